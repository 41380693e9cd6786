import type { GraphEdge, GraphNode, NodeType, PayloadKind } from "@rspp/contracts/GraphDefinition"
import type { NormalizedPipeline } from "@rspp/contracts/NormalizedPipeline"
import { simpleProfile } from "@rspp/contracts/Profile"
import type { AdaptiveAction, EdgeBufferPolicy } from "@rspp/contracts/TurnPlan"
import { sha256Of } from "./LiteralSession.ts"

type Options<T> = Omit<Partial<T>, "node_id" | "edge_id">

export const node = (node_id: string, node_type: NodeType, options: Options<GraphNode> = {}): GraphNode => ({
  node_id,
  node_type,
  ...options
})

/** `a.text.b`, with its options. */
export const edge = (id: string, options: Options<GraphEdge> = {}): GraphEdge => {
  const [from_node_id = "", payload_kind = "", to_node_id = ""] = id.split(".")
  return {
    edge_id: id,
    from_node_id,
    to_node_id,
    payload_kind: payload_kind as PayloadKind,
    lane: "DataLane",
    ...options
  }
}

const prelude = {
  nodes: [
    node("input", "audio_input"),
    node("vad", "voice_activity"),
    node("stt", "speech_to_text", { provider_id: "test/ear" }),
    node("turn", "turn_detector"),
    node("output", "audio_output")
  ],
  edges: [
    edge("input.caller_audio.vad"),
    edge("input.caller_audio.stt"),
    edge("vad.voice_edge.turn"),
    edge("stt.interim_transcript.turn"),
    edge("stt.transcript.turn")
  ]
}

/** A pipeline with this graph between the turn detector (`turn`) and the audio output (`output`). */
export const graphPipeline = (options: {
  readonly nodes: ReadonlyArray<GraphNode>
  readonly edges: ReadonlyArray<GraphEdge>
  readonly actions?: ReadonlyArray<AdaptiveAction>
  readonly policies?: Readonly<Record<string, Partial<EdgeBufferPolicy>>>
  readonly bindings?: Readonly<Record<string, string>>
}) =>
(pipeline: NormalizedPipeline): NormalizedPipeline => {
  const content = {
    schema_version: "v1.0",
    pipeline_id: "graph",
    pipeline_version: "p1",
    nodes: [...prelude.nodes, ...options.nodes],
    edges: [...prelude.edges, ...options.edges]
  }
  return {
    ...pipeline,
    graph: { ...content, graph_definition_ref: `sha256:${sha256Of(content)}` },
    provider_bindings: { ...pipeline.provider_bindings, ...options.bindings },
    allowed_adaptive_actions: options.actions ?? [],
    edge_buffer_policies: Object.fromEntries(content.edges.map(({ edge_id, payload_kind }) => [
      edge_id,
      { ...simpleProfile.edge_buffer_policies[payload_kind], ...options.policies?.[edge_id] }
    ]))
  }
}
