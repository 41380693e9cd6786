import type { EdgeCondition, GraphEdge, GraphNode } from "@rspp/contracts/GraphDefinition"
import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { TimelineHeader } from "@rspp/contracts/Timeline"

/** Whether the facts of a payload meet the condition of an edge; one that is not known meets none. */
export const meets = (condition: EdgeCondition | undefined, handle: PayloadHandle): boolean => {
  if (condition === undefined) return true
  const { fact, is, value } = condition
  const known = fact === "length" ? handle.length : handle.facts?.[fact]
  if (known === undefined) return false
  if (is === "equals") return known === value
  if (is === "not_equals") return known !== value
  if (typeof known !== "number" || typeof value !== "number") return false
  return is === "at_least" ? known >= value : known <= value
}

/** The graph of a recording, as far as checkers need it. */
export interface RecordedGraph {
  readonly node: (id: string) => GraphNode | undefined
  readonly edge: (id: string) => GraphEdge | undefined
  /** What brings a node its work, fallback edges included. */
  readonly into: (id: string) => ReadonlyArray<GraphEdge>
  /**
   * Where what a node gives goes, fallback edges left out. A language model whose text goes to one segmenter and nowhere
   * else gives the segmenter's sentences itself.
   */
  readonly out: (id: string) => ReadonlyArray<GraphEdge>
  readonly fallback: (id: string) => ReadonlyArray<GraphEdge>
  /** The node that gives what goes over an edge: the model where the edge leaves a segmenter that is one with it. */
  readonly giver: (edge: GraphEdge) => string
  /** Nodes from which a way leads to what the caller gets. */
  readonly toCaller: ReadonlySet<string>
  readonly nodesOf: (...types: ReadonlyArray<GraphNode["node_type"]>) => ReadonlyArray<GraphNode>
}

export const recordedGraph = ({ pipeline: { graph } }: Pick<TimelineHeader, "pipeline">): RecordedGraph => {
  const nodes = new Map(graph.nodes.map((node) => [node.node_id, node]))
  const edges = new Map(graph.edges.map((edge) => [edge.edge_id, edge]))
  const into = (id: string) => graph.edges.filter((edge) => edge.to_node_id === id)
  const from = (id: string) => graph.edges.filter((edge) => edge.from_node_id === id)
  const given = (id: string) => from(id).filter((edge) => edge.fallback_on === undefined)
  /** Models by the segmenter that is one with them, and the other way round. */
  const model = new Map<string, string>()
  const segmenter = new Map<string, string>()
  for (const { node_id, node_type } of graph.nodes) {
    if (node_type !== "language_model") continue
    const [only, ...others] = given(node_id)
    if (only === undefined || others.length > 0 || only.condition !== undefined) continue
    const next = nodes.get(only.to_node_id)
    if (next?.node_type !== "sentence_segmenter" || into(next.node_id).length > 1) continue
    if (from(next.node_id).some((edge) => edge.fallback_on !== undefined)) continue
    model.set(next.node_id, node_id)
    segmenter.set(node_id, next.node_id)
  }
  const toCaller = new Set<string>()
  const mark = (id: string): void => {
    if (toCaller.has(id)) return
    toCaller.add(id)
    for (const edge of into(id)) mark(edge.from_node_id)
  }
  for (const { node_id, node_type } of graph.nodes) {
    if (node_type === "audio_output" || node_type === "transcript_sink") mark(node_id)
  }
  return {
    toCaller,
    node: (id) => nodes.get(id),
    edge: (id) => edges.get(id),
    into,
    out: (id) => given(segmenter.get(id) ?? id),
    fallback: (id) => from(id).filter((edge) => edge.fallback_on !== undefined),
    giver: ({ from_node_id }) => model.get(from_node_id) ?? from_node_id,
    nodesOf: (...types) => graph.nodes.filter(({ node_type }) => types.includes(node_type))
  }
}
