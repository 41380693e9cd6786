import type { GraphDefinition, GraphEdge, GraphNode, NodeType } from "@rspp/contracts/GraphDefinition"
import { InvariantBroken } from "../authority/InvariantBroken.ts"

/** A node of the part of the graph that runs once for each turn, with what is tied to it. */
export interface TurnNode {
  readonly node: GraphNode
  /** What a plan's provider bindings call it: those of one node go before those of its modality. */
  readonly binding: { readonly own: string; readonly modality: "llm" | "tts" | "external" }
  /** What brings it work, fallback edges included. */
  readonly into: ReadonlyArray<GraphEdge>
  /** Where what it gives goes: the edges of the segmenter that it is fused with, where there is one. */
  readonly out: ReadonlyArray<GraphEdge>
  /** Where its work goes when it fails. */
  readonly fallback: ReadonlyArray<GraphEdge>
  /**
   * A language model whose text goes to one segmenter and nowhere else gives sentences itself: its port cuts the text
   * where it comes in, and no text travels.
   */
  readonly givesSentences: boolean
  /** From it a way leads to what the caller gets: a turn is complete when all of these are. */
  readonly isToCaller: boolean
}

/** The graph of one session, resolved once. */
export interface SessionGraph {
  /** The id of the node of a type that every graph has once. Dies when the compiled graph has none. */
  readonly nodeId: (type: NodeType) => string
  /** The nodes that run for each turn, in an order in which every edge leads onwards. */
  readonly turnNodes: ReadonlyArray<TurnNode>
  /** The only language model that runs in a turn, where there is just one. */
  readonly onlyModel: string | undefined
  /** The nodes that join what several edges bring. */
  readonly merges: ReadonlySet<string>
  /** Edges that the caller's words leave the turn detector by. */
  readonly entries: ReadonlyArray<GraphEdge>
  /** The nodes from which nothing comes through but over the given edges. */
  readonly onlyBefore: (edges: ReadonlyArray<GraphEdge>) => ReadonlySet<string>
}

const modalities: { readonly [type in NodeType]?: "llm" | "tts" } = { language_model: "llm", text_to_speech: "tts" }

const preludeTypes: ReadonlySet<NodeType> = new Set([
  "audio_input",
  "voice_activity",
  "speech_to_text",
  "turn_detector"
])

/**
 * Resolves the compiled graph: which nodes run in a turn, in which order, and what is fused.
 *
 * A function of the graph alone, so every session of a pipeline, live or replayed, runs the same.
 */
export const openGraph = (graph: GraphDefinition): SessionGraph => {
  const byId = new Map(graph.nodes.map((node) => [node.node_id, node]))
  const firstOf = new Map<NodeType, string>()
  for (const { node_id, node_type } of graph.nodes) if (!firstOf.has(node_type)) firstOf.set(node_type, node_id)
  const nodeId = (type: NodeType): string => {
    const id = firstOf.get(type)
    if (id === undefined) throw new InvariantBroken("I-GRAPH-ROUTE", `the graph has no ${type} node`)
    return id
  }
  const isTurns = (id: string) => {
    const node = byId.get(id)
    return node !== undefined && !preludeTypes.has(node.node_type)
  }
  const edges = graph.edges.filter((edge) => isTurns(edge.to_node_id))
  const into = (id: string) => edges.filter((edge) => edge.to_node_id === id)
  const from = (id: string) => edges.filter((edge) => edge.from_node_id === id)
  const given = (id: string) => from(id).filter((edge) => edge.fallback_on === undefined)

  const fusedWith = (node: GraphNode): string | undefined => {
    if (node.node_type !== "language_model") return undefined
    const [only, ...others] = given(node.node_id)
    if (only === undefined || others.length > 0 || only.condition !== undefined) return undefined
    const segmenter = byId.get(only.to_node_id)
    if (segmenter?.node_type !== "sentence_segmenter" || into(segmenter.node_id).length > 1) return undefined
    return from(segmenter.node_id).some((edge) => edge.fallback_on !== undefined) ? undefined : segmenter.node_id
  }
  const fused = new Map<string, string>()
  for (const node of graph.nodes) {
    const segmenter = fusedWith(node)
    if (segmenter !== undefined) fused.set(node.node_id, segmenter)
  }
  const swallowed = new Set(fused.values())

  const order: Array<string> = []
  const visit = (id: string): void => {
    if (order.includes(id)) return
    for (const edge of into(id)) if (isTurns(edge.from_node_id)) visit(edge.from_node_id)
    order.push(id)
  }
  for (const { node_id } of graph.nodes) if (isTurns(node_id)) visit(node_id)

  const toCaller = new Set<string>()
  const mark = (id: string): void => {
    if (toCaller.has(id)) return
    toCaller.add(id)
    for (const edge of into(id)) mark(edge.from_node_id)
  }
  for (const { node_id, node_type } of graph.nodes) {
    if (node_type === "audio_output" || node_type === "transcript_sink") mark(node_id)
  }
  const turnNodes = order.filter((id) => !swallowed.has(id)).map((id): TurnNode => {
    const node = byId.get(id) as GraphNode
    const segmenter = fused.get(id)
    const modality = modalities[node.node_type] ?? "external"
    return {
      node,
      binding: { own: `${modality}.${id}`, modality },
      into: into(id),
      out: given(segmenter ?? id),
      fallback: from(id).filter((edge) => edge.fallback_on !== undefined),
      givesSentences: segmenter !== undefined,
      isToCaller: toCaller.has(id)
    }
  })
  const ofType = (type: NodeType) =>
    turnNodes.filter(({ node }) => node.node_type === type).map(({ node }) => node.node_id)
  const models = ofType("language_model")
  const detector = nodeId("turn_detector")
  return {
    nodeId,
    turnNodes,
    onlyModel: models.length === 1 ? models[0] : undefined,
    merges: new Set(ofType("merge")),
    entries: given(detector),
    onlyBefore: (lost) => {
      // Walks back from the edges: a node belongs when all that leaves it is lost or leads to nodes that belong.
      const found = new Set<string>()
      const ids = new Set(lost.map((edge) => edge.edge_id))
      const walk = (id: string): void => {
        if (!isTurns(id) || found.has(id)) return
        if (from(id).some((edge) => !ids.has(edge.edge_id) && !found.has(edge.to_node_id))) return
        found.add(id)
        for (const edge of into(id)) walk(edge.from_node_id)
      }
      for (const edge of lost) walk(edge.from_node_id)
      return found
    }
  }
}
