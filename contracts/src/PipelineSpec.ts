import * as Schema from "effect/Schema"
import { edgeOptions, nodeOptions, nodeTypes, PayloadKind } from "./GraphDefinition.ts"
import { freeMap, Id, SchemaVersion } from "./Identity.ts"
import { Natural } from "./Quantity.ts"
import { ruleCheck } from "./Rule.ts"
import { LateEventPolicy, sessionConfigAdditions, sessionConfigSections } from "./SessionConfig.ts"
import { admissionLimits } from "./Snapshot.ts"
import { PositiveMilliseconds } from "./Time.ts"
import {
  AdaptiveActions,
  Budgets,
  BufferStrategy,
  ControlHandling,
  ControlShedding,
  DataShedding,
  edgeBounds,
  edgeWatermarkFields,
  edgeWatermarkRules,
  fairnessKey,
  FlowMode,
  maxBlockTimeMs,
  RecordingLevel,
  ReplayModes,
  SyncDropPolicy,
  TelemetryHandling,
  TelemetryShedding,
  Watermark
} from "./TurnPlan.ts"

type Optional<F extends Schema.Struct.Fields> = {
  readonly [K in keyof F]: Schema.optionalKey<F[K] & Schema.Constraint>
}

/** The same fields, each of which may be left out. */
const optional = <const F extends Readonly<Record<string, Schema.Constraint>>>(fields: F): Schema.Struct<Optional<F>> =>
  Schema.Struct(
    Object.fromEntries(Object.entries(fields).map(([key, field]) => [key, Schema.optionalKey(field)])) as Optional<F>
  )

const partialByLane = <D extends Schema.Constraint, C extends Schema.Constraint, T extends Schema.Constraint>(
  DataLane: D,
  ControlLane: C,
  TelemetryLane: T
) => optional({ DataLane, ControlLane, TelemetryLane })

/** The part of an edge's policy that the author sets; the rest comes from the profile. */
export const PartialEdgeBufferPolicy = optional({
  strategy: BufferStrategy,
  ...edgeBounds,
  max_block_time_ms: maxBlockTimeMs,
  watermarks: Schema.Struct(edgeWatermarkFields).check(ruleCheck(edgeWatermarkRules)),
  lane_handling: partialByLane(
    BufferStrategy,
    ControlHandling,
    TelemetryHandling
  ),
  fairness_key: fairnessKey,
  sync_drop_policy: SyncDropPolicy
})
export type PartialEdgeBufferPolicy = typeof PartialEdgeBufferPolicy.Type

/** A node of a type of the runtime, or a copy of one of the spec's own subgraphs. */
export const PipelineNode = Schema.Struct({
  node_id: Id.annotate({ description: "Its id, yours to choose; unique in the graph." }),
  node_type: Schema.Literals([...nodeTypes, "subgraph"]).annotate({
    description:
      "What the node is; docs/pipelines.md has what each takes and gives. `subgraph`: a copy of one of `subgraphs`."
  }),
  ...nodeOptions,
  subgraph: Schema.optionalKey(Id.annotate({ description: "Name of the subgraph; for the node type `subgraph` only." }))
})
export type PipelineNode = typeof PipelineNode.Type

export const PipelineEdge = Schema.Struct({
  edge_id: Schema.optionalKey(Id.annotate({ description: "Its id; left out it is `<from>.<payload_kind>.<to>`." })),
  from_node_id: Id.annotate({ description: "The node that it starts from." }),
  to_node_id: Id.annotate({ description: "The node that it leads to." }),
  payload_kind: PayloadKind,
  ...edgeOptions
})
export type PipelineEdge = typeof PipelineEdge.Type

/**
 * A part of a graph that is used more than once. Edges to a copy of it arrive at `entry`, edges from it leave at `exit`;
 * the copy `x` of a node `a` is called `x/a`.
 */
export const Subgraph = Schema.Struct({
  nodes: Schema.Array(PipelineNode),
  edges: Schema.Array(PipelineEdge),
  entry: Id.annotate({ description: "The node at which edges to a copy arrive." }),
  exit: Id.annotate({ description: "The node from which edges of a copy leave." })
})
export type Subgraph = typeof Subgraph.Type

/** Session settings that the author changes; the others keep their defaults. */
export const PartialSessionConfig = optional({
  turn_detection: sessionConfigAdditions.turn_detection,
  voice_activity: optional(sessionConfigSections.voice_activity),
  recognition: optional(sessionConfigSections.recognition),
  endpointing: optional({ ...sessionConfigSections.endpointing, ...sessionConfigAdditions.endpointing }),
  barge_in: optional({ ...sessionConfigSections.barge_in, ...sessionConfigAdditions.barge_in }),
  end_of_turn: optional(sessionConfigAdditions.end_of_turn),
  speculation: optional(sessionConfigAdditions.speculation),
  idle: optional(sessionConfigAdditions.idle),
  late_event_policy: LateEventPolicy
})
export type PartialSessionConfig = typeof PartialSessionConfig.Type

/**
 * What the author of a voice agent writes. Only the three identifying keys are needed: the normalizer takes the graph
 * and every number from the execution profile.
 */
export const PipelineSpec = Schema.Struct({
  schema_version: SchemaVersion,
  pipeline_id: Id.annotate({ description: "The name of the agent." }),
  pipeline_version: Id.annotate({
    description: "The version of this file; what is published under it does not change."
  }),
  execution_profile: Schema.optionalKey(Id.annotate({ description: "Where everything comes from that is left out." })),
  providers: Schema.optionalKey(
    optional({ stt: Id, llm: Id, tts: Id }).annotate({
      description: "Who recognises, answers and speaks: provider ids."
    })
  ),
  fallback_providers: Schema.optionalKey(
    optional({ llm: Id, tts: Id }).annotate({
      description: "Who stands in when the plan allows `provider_switch` or `fallback`."
    })
  ),
  nodes: Schema.optionalKey(Schema.Array(PipelineNode)),
  edges: Schema.optionalKey(Schema.Array(PipelineEdge)),
  subgraphs: Schema.optionalKey(freeMap(Subgraph)),
  session_config: Schema.optionalKey(PartialSessionConfig),
  budgets: Schema.optionalKey(optional(Budgets.fields)),
  provider_between_chunks_ms: Schema.optionalKey(
    PositiveMilliseconds.annotate({
      description: "Time that a language model or a voice has from one result to the next."
    })
  ),
  provider_total_ms: Schema.optionalKey(
    PositiveMilliseconds.annotate({ description: "Time that such a call has in all." })
  ),
  edge_buffer_policies: Schema.optionalKey(freeMap(PartialEdgeBufferPolicy)),
  flow_control: Schema.optionalKey(optional({
    mode_by_lane: partialByLane(FlowMode, FlowMode, FlowMode),
    watermarks: partialByLane(Watermark, Watermark, Watermark),
    shedding_strategy_by_lane: partialByLane(DataShedding, ControlShedding, TelemetryShedding)
  })),
  allowed_adaptive_actions: Schema.optionalKey(AdaptiveActions),
  recording_policy: Schema.optionalKey(optional({
    recording_level: RecordingLevel,
    allowed_replay_modes: ReplayModes
  })),
  admission: Schema.optionalKey(
    Schema.Struct({
      max_turns_per_session: Schema.optionalKey(
        Natural.annotate({ description: "Turns that a session may have in all." })
      ),
      ...admissionLimits
    })
  )
})
export type PipelineSpec = typeof PipelineSpec.Type
