import type { GraphEdge, GraphNode, NodeType, PayloadKind } from "@rspp/contracts/GraphDefinition"
import { edgeIdOf } from "../GraphSource.ts"
import type { GraphSource } from "../GraphSource.ts"
import { nodePorts, singleTypes } from "../NodeTypes.ts"
import type { SpecError } from "../SpecError.ts"
import { a, duplicateEdge, graphError, quote } from "./GraphError.ts"
import { byCodeUnit, findCycles, reachable } from "./GraphSearch.ts"

/** A source whose types and kinds are known ones. */
export interface KnownGraph extends GraphSource {
  readonly nodes: ReadonlyArray<GraphNode>
  readonly edges: ReadonlyArray<Omit<GraphEdge, "edge_id" | "lane"> & { readonly edge_id?: string }>
}

const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1)
const list = (names: Iterable<string>): string => [...names].join(" and ")

/** How the parts fit together; everything named here exists. */
export function* shapeErrors({ edges, nodes }: KnownGraph): Generator<SpecError> {
  const typeOf = new Map(nodes.map((node) => [node.node_id, node.node_type]))
  const idsOf = (type: NodeType) =>
    nodes.filter((node) => node.node_type === type).map((node) => node.node_id).sort(byCodeUnit)

  for (const type of singleTypes) {
    const ids = idsOf(type)
    if (ids.length === 1) continue
    yield ids.length === 0
      ? graphError(
        "node_type_missing",
        ["nodes"],
        "one-of-each",
        `the graph has no ${type} node`,
        `Add a node with node_type ${type} and connect it.`
      )
      : graphError(
        "node_type_repeated",
        ["nodes"],
        "one-of-each",
        `the graph has ${ids.length} ${type} nodes: ${ids.map(quote).join(", ")}`,
        "Keep one: a pipeline is one chain from the caller's audio to the agent's."
      )
  }

  for (const [i, { node_id, node_type, provider_id }] of nodes.entries()) {
    const modality = nodePorts[node_type].provider
    if (modality !== undefined && provider_id === undefined) {
      yield graphError(
        "provider_missing",
        ["nodes", i],
        "provider-given",
        `node ${quote(node_id)} is ${a(node_type)} and has no provider`,
        `Add provider_id to the node, or providers.${modality} to the spec.`
      )
    }
    if (modality === undefined && provider_id !== undefined) {
      yield graphError(
        "provider_not_needed",
        ["nodes", i, "provider_id"],
        "provider-used",
        `node ${quote(node_id)} is ${a(node_type)}, which calls no provider, but has provider_id ${quote(provider_id)}`,
        "Remove provider_id from the node."
      )
    }
  }

  const connections = new Map<string, number>()
  for (const [i, edge] of edges.entries()) {
    const connection = JSON.stringify([edge.from_node_id, edge.payload_kind, edge.to_node_id])
    const first = connections.get(connection)
    if (first === undefined) connections.set(connection, i)
    else yield duplicateEdge(edge, i, first)
    const misfit = misfitOf(edge.payload_kind, typeOf.get(edge.from_node_id), typeOf.get(edge.to_node_id))
    if (misfit !== undefined) {
      const [what, hint] = misfit
      yield graphError("payload_mismatch", ["edges", i], "payload-fits", `edge ${quote(edgeIdOf(edge))}: ${what}`, hint)
    }
  }

  for (const [i, { node_id, node_type }] of nodes.entries()) {
    for (const port of nodePorts[node_type].accepts) {
      if (edges.some((edge) => edge.to_node_id === node_id && edge.payload_kind === port.kind)) continue
      const from = idsOf(port.from)[0] ?? `<${a(port.from)} node>`
      yield graphError(
        "node_input_missing",
        ["nodes", i],
        "inputs-connected",
        `node ${quote(node_id)} is ${a(node_type)} and gets no ${port.kind}`,
        `Add an edge from ${from} to ${node_id} with payload_kind ${port.kind}.`
      )
    }
  }

  const arrows = {
    nodes: nodes.map((node) => node.node_id),
    edges: edges.map((edge) => ({ from: edge.from_node_id, to: edge.to_node_id }))
  }
  const inputs = idsOf("audio_input")
  const outputs = idsOf("audio_output")
  for (const cycle of findCycles(arrows, inputs)) {
    const closing = edges.findIndex((edge) => edge.from_node_id === cycle.at(-1) && edge.to_node_id === cycle[0])
    yield graphError(
      "cycle",
      ["edges", closing],
      "acyclic",
      `the graph has a cycle: ${[...cycle, cycle[0]].join(" → ")}`,
      `Remove the edge from ${cycle.at(-1)} to ${cycle[0]}, or turn it round.`
    )
  }
  const fromInput = reachable(arrows, inputs)
  const toOutput = reachable(arrows, outputs, true)
  for (const [i, { node_id }] of nodes.entries()) {
    // a missing end has been reported; without it every node would be
    if (inputs.length > 0 && !fromInput.has(node_id)) {
      yield graphError(
        "node_unreachable",
        ["nodes", i],
        "reachable",
        `node ${quote(node_id)} cannot be reached from the audio input ${list(inputs.map(quote))}`,
        `Connect ${node_id}, or remove it.`
      )
    }
    if (outputs.length > 0 && !toOutput.has(node_id)) {
      yield graphError(
        "node_dead_end",
        ["nodes", i],
        "leads-to-output",
        `nothing that node ${quote(node_id)} emits reaches the audio output ${list(outputs.map(quote))}`,
        `Connect ${node_id} onwards, or remove it.`
      )
    }
  }
}

/** Why a payload of this kind cannot go from one type of node to the other, and what to do; undefined when it can. */
const misfitOf = (
  kind: PayloadKind,
  from: NodeType | undefined,
  to: NodeType | undefined
): readonly [string, string] | undefined => {
  if (from === undefined || to === undefined) return undefined
  const { emits } = nodePorts[from]
  const { accepts } = nodePorts[to]
  const kinds = [...new Set(accepts.map((port) => port.kind))]
  const emitted = emits.length === 0 ? "nothing" : list(emits)
  const accepted = kinds.length === 0 ? "nothing" : list(kinds)
  const between = accepts.filter((port) => port.from === from).map((port) => port.kind)
  const hint = between.length > 0
    ? `Between ${a(from)} and ${a(to)} only ${list(between)} can be carried.`
    : accepts.length > 0
    ? `${capital(a(to))} is fed by ${list(accepts.map((port) => `${a(port.from)} (${port.kind})`))}.`
    : `No edge ends at ${a(to)}.`
  if (!emits.includes(kind)) return [`${a(from)} emits ${emitted}, not ${kind}`, hint]
  if (!kinds.includes(kind)) return [`${a(to)} accepts ${accepted}, not ${kind}`, hint]
  if (!between.includes(kind)) return [`${a(to)} does not take its ${kind} from ${a(from)}`, hint]
  return undefined
}
