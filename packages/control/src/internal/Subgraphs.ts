import { edgeIdOf, maxEdges, maxNodes, maxSubgraphDepth } from "../GraphSource.ts"
import type { GraphSource, SourceEdge, SourceNode, SourceSubgraph } from "../GraphSource.ts"
import { nodeOptionNames } from "../NodeTypes.ts"
import type { SpecError } from "../SpecError.ts"
import type { FieldPath } from "./FieldPath.ts"
import { graphError, quote, tooLarge } from "./GraphError.ts"
import { findCycles } from "./GraphSearch.ts"
import { suggest } from "./Spelling.ts"

/** A graph in which every copy of a subgraph is written out. `graph` is undefined where that cannot be done. */
export interface Expansion {
  readonly graph: Omit<GraphSource, "subgraphs"> | undefined
  readonly errors: ReadonlyArray<SpecError>
}

/** Nodes and edges that stand together: the graph itself, or a subgraph. */
interface Level {
  readonly nodes: ReadonlyArray<SourceNode>
  readonly edges: ReadonlyArray<SourceEdge>
  readonly at: FieldPath
}

const isCopy = (node: SourceNode): boolean => node.node_type === "subgraph"

/**
 * Writes out the copies of subgraphs: the node `a` of the copy `x` becomes `x/a`, its edge `e` becomes `x/e`; an edge to
 * `x` goes to the subgraph's entry, one from `x` leaves at its exit, and both keep the ids that they have as written.
 *
 * A graph without subgraphs comes out as it went in, but that each part says where it was written. The work is bounded:
 * sizes and depth are judged before anything is copied.
 */
export const expandSubgraphs = (source: GraphSource): Expansion => {
  const named = new Map<string, SourceSubgraph>(Object.entries(source.subgraphs ?? {}))
  const top: Level = { nodes: source.nodes, edges: source.edges, at: [] }
  const levels = [
    top,
    ...[...named].map(([name, { edges, nodes }]): Level => ({ nodes, edges, at: ["subgraphs", name] }))
  ]

  const large = [...sizeErrors(levels)]
  if (large.length > 0) return { graph: undefined, errors: large }

  const fatal = [...levels.flatMap((level) => [...copyErrors(level, named)]), ...endErrors(named)]
  if (fatal.length === 0) fatal.push(...nestingErrors(top, named))
  const errors = [...levels.flatMap((level) => [...optionErrors(level)]), ...unusedErrors(top, named)]
  if (fatal.length > 0) return { graph: undefined, errors: [...errors, ...fatal] }

  const { pipeline_id, pipeline_version } = source
  const graph = { pipeline_id, pipeline_version, nodes: [] as Array<SourceNode>, edges: [] as Array<SourceEdge> }
  copy(top, "", named, graph)
  const insides = new Set(graph.nodes.map(({ node_id }) => node_id))
  for (const level of levels) errors.push(...insideErrors(level, insides))
  return { graph, errors }
}

const writtenAt = (level: Level, list: "nodes" | "edges", i: number): FieldPath => [...level.at, list, i]

/** The id of the node that the end of an edge means: itself, or the entry or exit of the copy that it names. */
const endOf = (
  id: string,
  end: "entry" | "exit",
  nodes: ReadonlyArray<SourceNode>,
  named: ReadonlyMap<string, SourceSubgraph>
): string => {
  const subgraph = named.get(nodes.find((node) => node.node_id === id && isCopy(node))?.subgraph ?? "")
  return subgraph === undefined ? id : `${id}/${endOf(subgraph[end], end, subgraph.nodes, named)}`
}

const copy = (
  level: Level,
  prefix: string,
  named: ReadonlyMap<string, SourceSubgraph>,
  into: { readonly nodes: Array<SourceNode>; readonly edges: Array<SourceEdge> }
): void => {
  for (const [i, { subgraph: name, ...node }] of level.nodes.entries()) {
    const subgraph = isCopy(node) ? named.get(name ?? "") : undefined
    if (subgraph !== undefined) {
      copy({ ...subgraph, at: ["subgraphs", name ?? ""] }, `${prefix}${node.node_id}/`, named, into)
      continue
    }
    const order = node.select?.order?.map((id) => `${prefix}${id}`)
    into.nodes.push({
      ...node,
      node_id: `${prefix}${node.node_id}`,
      ...(node.select === undefined ? {} : { select: { ...node.select, ...(order === undefined ? {} : { order }) } }),
      at: node.at ?? writtenAt(level, "nodes", i)
    })
  }
  for (const [i, edge] of level.edges.entries()) {
    const from = `${prefix}${endOf(edge.from_node_id, "exit", level.nodes, named)}`
    const to = `${prefix}${endOf(edge.to_node_id, "entry", level.nodes, named)}`
    const moved = from !== edge.from_node_id || to !== edge.to_node_id
    into.edges.push({
      ...edge,
      // the id is the one that the author reads in the spec, so that a policy or an order can name it
      ...(moved ? { edge_id: `${prefix}${edgeIdOf(edge)}` } : {}),
      from_node_id: from,
      to_node_id: to,
      at: edge.at ?? writtenAt(level, "edges", i)
    })
  }
}

/** What no graph that is compiled can hold, as written: so that nothing below takes long. */
function* sizeErrors(levels: ReadonlyArray<Level>): Generator<SpecError> {
  for (const { at, edges, nodes } of levels) {
    if (nodes.length > maxNodes || edges.length > maxEdges) yield tooLarge(nodes.length, edges.length, at)
  }
  if (levels.length - 1 > maxNodes) {
    yield graphError(
      "graph_too_large",
      ["subgraphs"],
      "size",
      `the spec has ${levels.length - 1} subgraphs; at most ${maxNodes} are compiled`,
      "Split the pipeline."
    )
  }
}

/** Copies of what is not there, and ids that a copy shares. */
function* copyErrors(level: Level, named: ReadonlyMap<string, SourceSubgraph>): Generator<SpecError> {
  const ids = new Map<string, number>()
  for (const [i, node] of level.nodes.entries()) {
    const path = node.at ?? writtenAt(level, "nodes", i)
    const first = ids.get(node.node_id)
    if (first === undefined) ids.set(node.node_id, i)
    else if (isCopy(node) || level.nodes.some((other) => other.node_id === node.node_id && isCopy(other))) {
      yield graphError(
        "node_id_duplicate",
        [...path, "node_id"],
        "node-ids-unique",
        `a copy of a subgraph and another node are both called ${quote(node.node_id)}`,
        "Give each node an id of its own."
      )
    }
    if (!isCopy(node)) continue
    if (node.subgraph === undefined) {
      yield graphError(
        "subgraph_missing",
        path,
        "subgraph-named",
        `node ${quote(node.node_id)} is a subgraph and does not say which`,
        "Add subgraph with the name of one of the spec's subgraphs."
      )
    } else if (!named.has(node.subgraph)) {
      yield graphError(
        "subgraph_unknown",
        [...path, "subgraph"],
        "subgraph-exists",
        `node ${quote(node.node_id)} is a copy of the subgraph ${quote(node.subgraph)}, which does not exist`,
        suggest(node.subgraph, named.keys(), "subgraph")
      )
    }
  }
}

/** What a node says that it has no use for, because it is a copy or because it is none. */
function* optionErrors(level: Level): Generator<SpecError> {
  for (const [i, node] of level.nodes.entries()) {
    const path = node.at ?? writtenAt(level, "nodes", i)
    if (!isCopy(node) && node.subgraph !== undefined) {
      yield graphError(
        "node_option_unused",
        [...path, "subgraph"],
        "options-used",
        `node ${quote(node.node_id)} has a subgraph, but its node_type is ${node.node_type}`,
        "Write node_type subgraph, or remove subgraph from the node."
      )
    }
    for (const key of isCopy(node) ? ["provider_id", ...nodeOptionNames] as const : []) {
      if (node[key] === undefined) continue
      yield graphError(
        "node_option_unused",
        [...path, key],
        "options-used",
        `node ${quote(node.node_id)} is a copy of a subgraph and has ${key}`,
        `Write ${key} on the nodes of the subgraph.`
      )
    }
  }
}

/** Entries and exits that are not in their subgraph. */
function* endErrors(named: ReadonlyMap<string, SourceSubgraph>): Generator<SpecError> {
  for (const [name, subgraph] of named) {
    const ids = subgraph.nodes.map((node) => node.node_id)
    for (const end of ["entry", "exit"] as const) {
      if (ids.includes(subgraph[end])) continue
      yield graphError(
        "subgraph_end_unknown",
        ["subgraphs", name, end],
        "subgraph-ends-exist",
        `the ${end} of the subgraph ${quote(name)} is ${quote(subgraph[end])}, which is no node of it`,
        suggest(subgraph[end], ids, "node")
      )
    }
  }
}

function* unusedErrors(top: Level, named: ReadonlyMap<string, SourceSubgraph>): Generator<SpecError> {
  const used = new Set<string>()
  const open = [...top.nodes]
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    const name = isCopy(node) ? node.subgraph : undefined
    if (name === undefined || used.has(name)) continue
    used.add(name)
    open.push(...(named.get(name)?.nodes ?? []))
  }
  for (const name of named.keys()) {
    if (used.has(name)) continue
    yield graphError(
      "subgraph_unused",
      ["subgraphs", name],
      "subgraph-used",
      `the subgraph ${quote(name)} is never used`,
      `Add a node with node_type subgraph and subgraph ${name}, or remove it.`
    )
  }
}

/** Subgraphs that contain themselves, stand too deep in one another, or make the graph too large. */
function* nestingErrors(top: Level, named: ReadonlyMap<string, SourceSubgraph>): Generator<SpecError> {
  const inner = (nodes: ReadonlyArray<SourceNode>) =>
    nodes.flatMap((node) => isCopy(node) && node.subgraph !== undefined ? [node.subgraph] : [])
  const contains = [...named].flatMap(([from, { nodes }]) => inner(nodes).map((to) => ({ from, to })))
  const cycles = findCycles({ nodes: [...named.keys()], edges: contains }, [])
  for (const cycle of cycles) {
    yield graphError(
      "subgraph_recursive",
      ["subgraphs", cycle.at(-1) ?? ""],
      "subgraphs-nest",
      `a subgraph contains itself: ${[...cycle, cycle[0]].join(" → ")}`,
      `Remove the copy of ${cycle[0]} from ${cycle.at(-1)}.`
    )
  }
  if (cycles.length > 0) return

  interface Size {
    readonly nodes: number
    readonly edges: number
    readonly depth: number
  }
  const sizes = new Map<string, Size>()
  const sizeOf = ({ edges, nodes }: Pick<Level, "nodes" | "edges">): Size => {
    const copies = inner(nodes).map((name) => {
      const known = sizes.get(name)
      if (known !== undefined) return known
      const size = sizeOf(named.get(name) ?? { nodes: [], edges: [] })
      sizes.set(name, size)
      return size
    })
    const sum = (of: "nodes" | "edges") => copies.reduce((total, size) => total + size[of], 0)
    return {
      nodes: nodes.length - copies.length + sum("nodes"),
      edges: edges.length + sum("edges"),
      depth: 1 + Math.max(0, ...copies.map(({ depth }) => depth))
    }
  }
  const { edges, nodes } = sizeOf(top)
  for (const [i, node] of top.nodes.entries()) {
    const depth = isCopy(node) ? sizes.get(node.subgraph ?? "")?.depth ?? 0 : 0
    if (depth <= maxSubgraphDepth) continue
    yield graphError(
      "subgraph_too_deep",
      [...(node.at ?? ["nodes", i]), "subgraph"],
      "subgraph-depth",
      `node ${quote(node.node_id)} holds subgraphs ${depth} deep; at most ${maxSubgraphDepth} are expanded`,
      "Write the innermost subgraphs out."
    )
  }
  if (nodes > maxNodes || edges > maxEdges) yield tooLarge(nodes, edges)
}

/** Edges that reach into a copy, past its entry and exit. */
function* insideErrors(level: Level, insides: ReadonlySet<string>): Generator<SpecError> {
  const own = new Set(level.nodes.map((node) => node.node_id))
  for (const [i, edge] of level.edges.entries()) {
    for (const end of ["from_node_id", "to_node_id"] as const) {
      const outer = level.nodes.find((node) => isCopy(node) && edge[end].startsWith(`${node.node_id}/`))
      if (outer === undefined || own.has(edge[end]) || (level.at.length === 0 && !insides.has(edge[end]))) continue
      yield graphError(
        "edge_into_subgraph",
        [...(edge.at ?? writtenAt(level, "edges", i)), end],
        "subgraphs-closed",
        `edge ${quote(edgeIdOf(edge))} names ${quote(edge[end])}, which stands inside of ${quote(outer.node_id)}`,
        `Name ${outer.node_id}: edges arrive at its entry and leave at its exit.`
      )
    }
  }
}
