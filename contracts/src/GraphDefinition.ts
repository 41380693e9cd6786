import * as Schema from "effect/Schema"
import { Lane } from "./Event.ts"
import { ContentRef, freeMap, Id, SchemaVersion, uniqueList } from "./Identity.ts"
import { Natural } from "./Quantity.ts"
import { Milliseconds } from "./Time.ts"

export const nodeTypes = [
  "audio_input",
  "voice_activity",
  "speech_to_text",
  "turn_detector",
  "language_model",
  "sentence_segmenter",
  "text_to_speech",
  "audio_output",
  "text_filter",
  "merge",
  "select",
  "transcript_sink",
  "custom"
] as const
export const NodeType = Schema.Literals(nodeTypes).annotate({
  description: "What the node is; docs/pipelines.md has what each takes and gives."
})
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
export const PayloadKind = Schema.Literals(payloadKinds).annotate({ description: "What an edge carries." })
export type PayloadKind = typeof PayloadKind.Type

/** A fact of a payload and what it must be for the payload to pass an edge. A fact that is not known fails the condition. */
export const EdgeCondition = Schema.Struct({
  fact: Schema.Literals(["words", "length", "complete", "label"]).annotate({
    description: "What is asked of the payload."
  }),
  is: Schema.Literals(["equals", "not_equals", "at_least", "at_most"]).annotate({ description: "How it is compared." }),
  value: Schema.Union([Id, Natural, Schema.Boolean]).annotate({ description: "With what." })
})
export type EdgeCondition = typeof EdgeCondition.Type

/** What makes a fallback edge take over the work of the node that it starts from. */
export const FallbackCauses = uniqueList(Schema.Literals(["timeout", "error"]), { min: 1 }).annotate({
  description: "Makes the edge a fallback: which failures of the node that it starts from hand its work over."
})

/**
 * How a `select` node chooses among its inputs, once for the turn.
 *
 * `first`: whoever delivers first. `preferred`: the earliest of `order` (edge ids) that delivers within `wait_ms` of the
 * first delivery; who has ended or failed is not waited for. The work behind the others is cancelled.
 */
export const SelectRule = Schema.Struct({
  rule: Schema.Literals(["first", "preferred"]).annotate({
    description:
      "`first`: whoever delivers first. `preferred`: the earliest of `order` within `wait_ms` of the first delivery."
  }),
  order: Schema.optionalKey(uniqueList(Id, { min: 1 }).annotate({ description: "Edge ids, the preferred one first." })),
  wait_ms: Schema.optionalKey(
    Milliseconds.annotate({ description: "How long the preferred ones are waited for after the first delivery." })
  )
})
export type SelectRule = typeof SelectRule.Type

/** Settings of a node, in the words of its implementation. */
export const NodeSettings = freeMap(Schema.Union([Schema.String, Schema.Finite, Schema.Boolean]))
export type NodeSettings = typeof NodeSettings.Type

/** What a node may say beyond its type. */
export const nodeOptions = {
  provider_id: Schema.optionalKey(
    Id.annotate({ description: "The provider, or the implementation of a custom node or text filter." })
  ),
  settings: Schema.optionalKey(
    NodeSettings.annotate({ description: "Settings of the node, in the words of its implementation." })
  ),
  select: Schema.optionalKey(SelectRule),
  optional: Schema.optionalKey(
    Schema.Boolean.annotate({
      description:
        "Where the plan allows `degrade`: when it fails its input goes on unchanged, instead of ending the turn."
    })
  )
} as const

/** What an edge may say beyond its ends. */
export const edgeOptions = {
  condition: Schema.optionalKey(EdgeCondition),
  fallback_on: Schema.optionalKey(FallbackCauses)
} as const

export const GraphNode = Schema.Struct({
  node_id: Id,
  node_type: NodeType,
  ...nodeOptions
})
export type GraphNode = typeof GraphNode.Type

export const GraphEdge = Schema.Struct({
  edge_id: Id,
  from_node_id: Id,
  to_node_id: Id,
  payload_kind: PayloadKind,
  lane: Lane,
  ...edgeOptions
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
