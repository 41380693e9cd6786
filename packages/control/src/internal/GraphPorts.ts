import type { GraphEdge, GraphNode, NodeType, PayloadKind } from "@rspp/contracts/GraphDefinition"
import { edgeIdOf } from "../GraphSource.ts"
import type { GraphSource, SourceEdge, SourceNode } from "../GraphSource.ts"
import { nodePorts } from "../NodeTypes.ts"
import type { SpecError } from "../SpecError.ts"
import { a, duplicateEdge, edgePath, graphError, nodePath, oneOf, quote } from "./GraphError.ts"
import { byCodeUnit } from "./GraphSearch.ts"

/** A node and an edge of which every name is a known one. */
export type KnownNode = Omit<SourceNode, "node_type"> & Pick<GraphNode, "node_type">
export type KnownEdge = Omit<SourceEdge, "payload_kind"> & Pick<GraphEdge, "payload_kind">

/** A source whose types and kinds are known ones. */
export interface KnownGraph extends GraphSource {
  readonly nodes: ReadonlyArray<KnownNode>
  readonly edges: ReadonlyArray<KnownEdge>
}

export const isFallback = (edge: SourceEdge): boolean => edge.fallback_on !== undefined

const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1)
const list = (names: Iterable<string>): string => [...names].join(" and ")
const unique = <A>(items: ReadonlyArray<A>): ReadonlyArray<A> => [...new Set(items)]

/** The kinds that come into a node and that a node of its type accepts. */
export const takenKinds = ({ edges }: KnownGraph, { node_id, node_type }: KnownNode): ReadonlyArray<PayloadKind> => {
  const coming = new Set(edges.filter((edge) => edge.to_node_id === node_id).map((edge) => edge.payload_kind))
  return nodePorts[node_type].accepts.map((port) => port.kind).filter((kind) => coming.has(kind))
}

/** What edges carry, and whether each node gets what it needs. Fallback edges are judged elsewhere, as far as they start. */
export function* portErrors(graph: KnownGraph): Generator<SpecError> {
  const { edges, nodes } = graph
  const byId = new Map(nodes.map((node) => [node.node_id, node]))

  const connections = new Map<string, number>()
  for (const [i, edge] of edges.entries()) {
    const connection = JSON.stringify([edge.from_node_id, edge.payload_kind, edge.to_node_id, isFallback(edge)])
    const first = connections.get(connection)
    const same = first === undefined ? undefined : edges[first]
    if (first === undefined || same === undefined) connections.set(connection, i)
    else yield duplicateEdge(edge, edgePath(edge, i), edgePath(same, first))
    if (isFallback(edge)) continue
    const from = byId.get(edge.from_node_id)
    const misfit = misfitOf(edge.payload_kind, from?.node_type, byId.get(edge.to_node_id)?.node_type) ??
      (from === undefined ? undefined : changed(graph, edge, from))
    if (misfit === undefined) continue
    const [what, hint] = misfit
    yield graphError(
      "payload_mismatch",
      edgePath(edge, i),
      "payload-fits",
      `edge ${quote(edgeIdOf(edge))}: ${what}`,
      hint
    )
  }

  for (const [i, node] of nodes.entries()) yield* inputErrors(graph, node, i)
}

/** Whether a node gets what it needs. */
function* inputErrors(graph: KnownGraph, node: KnownNode, i: number): Generator<SpecError> {
  const { node_id, node_type } = node
  const { accepts, minEdges = 1, takes } = nodePorts[node_type]
  const kinds = takenKinds(graph, node)
  const missing = (what: string, hint: string) =>
    graphError(
      "node_input_missing",
      nodePath(node, i),
      "inputs-connected",
      `node ${quote(node_id)} is ${a(node_type)} and gets ${what}`,
      hint
    )
  if (takes === "every_kind") {
    for (const { from, kind } of accepts) {
      if (kinds.includes(kind)) continue
      const source = from.flatMap((type) =>
        graph.nodes.filter((other) =>
          other.node_type === type
        ).map((other) => other.node_id).sort(byCodeUnit)
      )[0] ?? `<${a(from[0] ?? "")} node>`
      yield missing(`no ${kind}`, `Add an edge from ${source} to ${node_id} with payload_kind ${kind}.`)
    }
    return
  }
  const coming = graph.edges.filter((edge) => edge.to_node_id === node_id && kinds.includes(edge.payload_kind))
  if (coming.length < minEdges) {
    const kind = oneOf(kinds.length > 0 ? kinds : accepts.map((port) => port.kind))
    yield minEdges === 1
      ? missing("nothing", `Add an edge to ${node_id} with payload_kind ${kind}.`)
      : graphError(
        "node_inputs_too_few",
        nodePath(node, i),
        "inputs-enough",
        `node ${quote(node_id)} is ${a(node_type)} and has ${coming.length} ${
          coming.length === 1 ? "edge" : "edges"
        } coming in; it needs ${minEdges}`,
        `Add an edge to ${node_id} with payload_kind ${kind}, or remove the node.`
      )
  }
  if (takes === "one_kind" && kinds.length > 1) {
    yield graphError(
      "payload_kinds_mixed",
      nodePath(node, i),
      "one-kind",
      `node ${quote(node_id)} is ${a(node_type)} and gets ${list(kinds)}`,
      `${capital(a(node_type))} takes one kind: use a node of its own for each.`
    )
  }
}

type Misfit = readonly [what: string, hint: string]

/** Why a payload of this kind cannot go from one type of node to the other, and what to do; undefined when it can. */
const misfitOf = (kind: PayloadKind, from: NodeType | undefined, to: NodeType | undefined): Misfit | undefined => {
  if (from === undefined || to === undefined) return undefined
  const { emits } = nodePorts[from]
  const { accepts } = nodePorts[to]
  const kinds = unique(accepts.map((port) => port.kind))
  const emitted = emits.length === 0 ? "nothing" : list(emits)
  const accepted = kinds.length === 0 ? "nothing" : list(kinds)
  const between = accepts.filter((port) => port.from.includes(from)).map((port) => port.kind)
  const hint = between.length > 0
    ? `Between ${a(from)} and ${a(to)} only ${list(between)} can be carried.`
    : accepts.length > 0
    ? `${capital(a(to))} is fed by ${list(accepts.map((port) => `${a(oneOf(port.from))} (${port.kind})`))}.`
    : `No edge ends at ${a(to)}.`
  if (!emits.includes(kind)) return [`${a(from)} emits ${emitted}, not ${kind}`, hint]
  if (!kinds.includes(kind)) return [`${a(to)} accepts ${accepted}, not ${kind}`, hint]
  if (!between.includes(kind)) return [`${a(to)} does not take its ${kind} from ${a(from)}`, hint]
  return undefined
}

/** Why the edge carries another kind than its node was given; undefined when it does not, or may. */
const changed = (graph: KnownGraph, { payload_kind }: KnownEdge, from: KnownNode): Misfit | undefined => {
  const [kind, ...others] = takenKinds(graph, from)
  if (nodePorts[from.node_type].emitsWhatItTakes !== true || kind === undefined || others.length > 0) return undefined
  if (kind === payload_kind) return undefined
  return [
    `${a(from.node_type)} emits what it takes, and ${quote(from.node_id)} takes ${kind}, not ${payload_kind}`,
    `Write payload_kind ${kind}, or use a custom node.`
  ]
}
