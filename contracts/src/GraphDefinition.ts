import * as Schema from "effect/Schema"
import { Lane } from "./Event.ts"
import { ContentRef, Id, SchemaVersion } from "./Identity.ts"

export const nodeTypes = [
  "audio_input",
  "voice_activity",
  "speech_to_text",
  "turn_detector",
  "language_model",
  "sentence_segmenter",
  "text_to_speech",
  "audio_output"
] as const
export const NodeType = Schema.Literals(nodeTypes)
export type NodeType = typeof NodeType.Type

export const payloadKinds = [
  "caller_audio",
  "voice_edge",
  "interim_transcript",
  "transcript",
  "text",
  "segment",
  "voice"
] as const
export const PayloadKind = Schema.Literals(payloadKinds)
export type PayloadKind = typeof PayloadKind.Type

export const GraphNode = Schema.Struct({
  node_id: Id,
  node_type: NodeType,
  provider_id: Schema.optionalKey(Id)
})
export type GraphNode = typeof GraphNode.Type

export const GraphEdge = Schema.Struct({
  edge_id: Id,
  from_node_id: Id,
  to_node_id: Id,
  payload_kind: PayloadKind,
  lane: Lane
})
export type GraphEdge = typeof GraphEdge.Type

/**
 * The compiled graph of a pipeline.
 *
 * `graph_definition_ref` names it by content: `sha256:` and the hash of the canonical JSON of the rest.
 */
export const GraphDefinition = Schema.Struct({
  schema_version: SchemaVersion,
  graph_definition_ref: ContentRef,
  pipeline_id: Id,
  pipeline_version: Id,
  nodes: Schema.Array(GraphNode),
  edges: Schema.Array(GraphEdge)
}).annotate({ identifier: "GraphDefinition" })
export type GraphDefinition = typeof GraphDefinition.Type
