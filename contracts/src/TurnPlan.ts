import * as Schema from "effect/Schema"
import { byLane } from "./Event.ts"
import { freeMap, Id, RuleVersion, Sha256Hex, uniqueList } from "./Identity.ts"
import { Natural, Positive } from "./Quantity.ts"
import { type Rule, ruleCheck } from "./Rule.ts"
import { PositiveMilliseconds } from "./Time.ts"

export const bufferStrategies = ["block", "drop", "merge", "sample", "latest_only"] as const
export const BufferStrategy = Schema.Literals(bufferStrategies).annotate({
  description:
    "What an edge does that is full: hold its producer for `max_block_time_ms` and then shed (`block`), lose the new item (`drop`), join it to the one before (`merge`), keep every other (`sample`), keep the newest (`latest_only`). Each loss has a notice."
})
export type BufferStrategy = typeof BufferStrategy.Type

export const adaptiveActions = ["retry", "provider_switch", "degrade", "fallback"] as const
export const AdaptiveAction = Schema.Literals(adaptiveActions)
export type AdaptiveAction = typeof AdaptiveAction.Type
export const AdaptiveActions = uniqueList(AdaptiveAction).annotate({
  description:
    "What may be done about a failure: call again (`retry`), another provider (`provider_switch`), go on without (`degrade`), another node (`fallback`)."
})

export const recordingLevels = ["L0", "L1", "L2"] as const
export const RecordingLevel = Schema.Literals(recordingLevels).annotate({
  description:
    "What is recorded of words and sound: `L0` a keyed hash and the length, `L1` also every letter as `*`, `L2` all of it."
})
export type RecordingLevel = typeof RecordingLevel.Type
/** Whether `a` keeps less than `b`. */
export const isLowerLevel = (a: RecordingLevel, b: RecordingLevel): boolean =>
  recordingLevels.indexOf(a) < recordingLevels.indexOf(b)
/** The level that keeps less. */
export const lowerLevel = (a: RecordingLevel, b: RecordingLevel): RecordingLevel => isLowerLevel(b, a) ? b : a

export const replayModes = [
  "re_simulate_nodes",
  "playback_recorded_provider_outputs",
  "replay_decisions",
  "recompute_decisions"
] as const
export const ReplayMode = Schema.Literals(replayModes)
export type ReplayMode = typeof ReplayMode.Type
export const ReplayModes = uniqueList(ReplayMode, { min: 1 }).annotate({
  description: "The ways in which the recording may be executed again."
})

/** Budgets of a turn, all in milliseconds and ≥ 1. */
export const Budgets = Schema.Struct({
  turn_budget_ms: PositiveMilliseconds.annotate({ description: "From `turn_open` to the first output of the turn." }),
  node_budget_ms_default: PositiveMilliseconds.annotate({ description: "What a node may take before a warning." }),
  path_budget_ms_default: PositiveMilliseconds.annotate({
    description: "From `turn_open` to the first output on the path in use."
  }),
  edge_budget_ms_default: PositiveMilliseconds.annotate({
    description: "What an item may wait on an edge before a warning."
  })
})
export type Budgets = typeof Budgets.Type

/** Provider of each modality; the modality keys are free. */
export const ProviderBindings = freeMap(Id)
export type ProviderBindings = typeof ProviderBindings.Type

/** Fill at which pressure is reported (`high`) and at which it is over (`low`). */
export const Watermark = Schema.Struct({ high: Positive, low: Natural }).annotate({
  description: "Fill at which pressure is reported (`high`) and at which it is over (`low`)."
})
export type Watermark = typeof Watermark.Type

export const edgeWatermarkRules: ReadonlyArray<Rule> = [{
  id: "edge.watermarks.at-least-one",
  then: { atLeastOne: ["queue_items", "queue_ms"] },
  message: "watermarks of an edge hold queue_items, queue_ms or both"
}]

export const edgeWatermarkFields = {
  queue_items: Schema.optionalKey(Watermark),
  queue_ms: Schema.optionalKey(Watermark)
} as const
export const EdgeWatermarks = Schema.Struct(edgeWatermarkFields).check(ruleCheck(edgeWatermarkRules))
export type EdgeWatermarks = typeof EdgeWatermarks.Type

export const syncDropRules: ReadonlyArray<Rule> = [
  {
    id: "edge.sync-drop.requires-group-by",
    when: [{ field: "policy", in: ["atomic_drop", "drop_with_discontinuity"] }],
    then: { require: ["group_by"] },
    message: "a sync drop policy other than no_sync names group_by"
  },
  {
    id: "edge.sync-drop.discontinuity-requires-sync-domain",
    when: [{ field: "policy", in: ["drop_with_discontinuity"] }],
    then: { require: ["sync_domain"] },
    message: "drop_with_discontinuity names its sync_domain"
  }
]

export const SyncDropPolicy = Schema.Struct({
  policy: Schema.Literals(["atomic_drop", "drop_with_discontinuity", "no_sync"]).annotate({
    description:
      "What is lost with an item: its whole group (`atomic_drop`), nothing, but the gap is told (`drop_with_discontinuity`), nothing (`no_sync`)."
  }),
  scope: Schema.Literals(["edge_local", "plan_wide"]).annotate({
    description: "Whether a group is lost on this edge only, or on every edge of the same `sync_domain`."
  }),
  group_by: Schema.optionalKey(
    Schema.Literals(["sync_id", "event_id", "custom"]).annotate({
      description: "What belongs together: a sentence (`sync_id`), an item (`event_id`), a label (`custom`)."
    })
  ),
  sync_domain: Schema.optionalKey(Id.annotate({ description: "The name under which edges lose together." }))
}).check(ruleCheck(syncDropRules))
export type SyncDropPolicy = typeof SyncDropPolicy.Type

/** The control lane of an edge is never held and never shed. */
export const ControlHandling = Schema.Literal("non_blocking_priority").annotate({
  description: "Control is never held and never shed."
})
export const TelemetryHandling = Schema.Literals(["drop", "sample", "best_effort_drop"]).annotate({
  description: "What is lost of telemetry about this edge when its lane is full."
})

/** How an edge treats each lane; the control lane is never blocked and never dropped. */
export const LaneHandling = byLane(
  BufferStrategy,
  ControlHandling,
  TelemetryHandling
)
export type LaneHandling = typeof LaneHandling.Type

export const DefaultingSource = Schema.Literals(["explicit_edge_config", "execution_profile_default"])
export type DefaultingSource = typeof DefaultingSource.Type

export const edgePolicyRules: ReadonlyArray<Rule> = [{
  id: "edge.block-requires-max-block-time",
  when: [{ field: "strategy", in: ["block"] }],
  then: { require: ["max_block_time_ms"] },
  message: "an edge that blocks has max_block_time_ms, so that it cannot block for ever"
}]

/** How long a full edge may hold its producer, ms. */
export const maxBlockTimeMs = PositiveMilliseconds.annotate({
  description: "How long a full edge may hold its producer; needed where `strategy` is `block`."
})

/** By what calls behind an edge take turns. */
export const fairnessKey = Id.annotate({
  description: "Calls to the provider behind the edge take turns by this key; by default the tenant's."
})

/** What bounds an edge's queue. */
export const edgeBounds = {
  max_queue_items: Positive.annotate({ description: "Items that may wait." }),
  max_queue_ms: PositiveMilliseconds.annotate({ description: "Sound or waiting time that may wait." }),
  max_queue_bytes: Positive.annotate({ description: "Bytes that may wait." }),
  max_latency_contribution_ms: PositiveMilliseconds.annotate({
    description: "The longest that an item may wait on the edge; after that it is shed."
  })
} as const

/** Bounds and loss rule of one edge: its queue is bounded in items, milliseconds and bytes. */
export const EdgeBufferPolicy = Schema.Struct({
  strategy: BufferStrategy,
  ...edgeBounds,
  max_block_time_ms: Schema.optionalKey(maxBlockTimeMs),
  watermarks: EdgeWatermarks,
  lane_handling: LaneHandling,
  defaulting_source: DefaultingSource,
  fairness_key: Schema.optionalKey(fairnessKey),
  sync_drop_policy: Schema.optionalKey(SyncDropPolicy)
}).check(ruleCheck(edgePolicyRules)).annotate({ identifier: "EdgeBufferPolicy" })
export type EdgeBufferPolicy = typeof EdgeBufferPolicy.Type

/** Policy of each edge, by edge id; at least one. */
export const EdgeBufferPolicies = freeMap(EdgeBufferPolicy).check(
  Schema.makeFilter<object>((policies) => Object.keys(policies).length >= 1, {
    expected: "at least one edge",
    rule: "minProperties",
    toJsonSchema: () => ({ minProperties: 1 })
  })
)
export type EdgeBufferPolicies = typeof EdgeBufferPolicies.Type

export const FlowMode = Schema.Literals(["signal", "credit", "hybrid"]).annotate({
  description:
    "How pressure is told: by `flow_xoff` and `flow_xon` (`signal`), by `credit_grant` (`credit`), by both (`hybrid`)."
})
export const DataShedding = Schema.Literals(["drop", "merge", "latest_only", "degrade", "fallback"]).annotate({
  description: "What becomes of what a full edge has held for `max_block_time_ms`."
})
export const TelemetryShedding = Schema.Literals(["drop", "sample"]).annotate({
  description: "What is lost of telemetry when its lane is full."
})

export const ControlShedding = Schema.Literal("none").annotate({ description: "Control is never shed." })

export const FlowControl = Schema.Struct({
  mode_by_lane: byLane(FlowMode, FlowMode, FlowMode),
  watermarks: byLane(Watermark, Watermark, Watermark),
  shedding_strategy_by_lane: byLane(DataShedding, ControlShedding, TelemetryShedding)
})
export type FlowControl = typeof FlowControl.Type

export const RecordingPolicy = Schema.Struct({
  recording_level: RecordingLevel,
  allowed_replay_modes: ReplayModes
})
export type RecordingPolicy = typeof RecordingPolicy.Type

/** The id of each of the six snapshots that the turn was started from. */
export const SnapshotProvenance = Schema.Struct({
  routing_view_snapshot: Id,
  admission_policy_snapshot: Id,
  abi_compatibility_snapshot: Id,
  version_resolution_snapshot: Id,
  policy_resolution_snapshot: Id,
  provider_health_snapshot: Id
})
export type SnapshotProvenance = typeof SnapshotProvenance.Type

/** Something that entered the turn and cannot be computed again, with where its evidence is. */
export const NondeterministicInput = Schema.Struct({
  input_key: Id,
  source: Schema.Literals(["external_call", "system_time", "random", "operator_override", "other"]),
  evidence_ref: Id
})
export type NondeterministicInput = typeof NondeterministicInput.Type

export const OrderingMarkers = uniqueList(Id, { min: 1 })

export const Determinism = Schema.Struct({
  seed: Natural,
  ordering_markers: OrderingMarkers,
  ordering_marker: Schema.optionalKey(Schema.String),
  merge_rule_id: Id,
  merge_rule_version: RuleVersion,
  nondeterministic_inputs: Schema.Array(NondeterministicInput)
})
export type Determinism = typeof Determinism.Type

/**
 * What a turn may do, frozen when it starts (CONTRACT section 5).
 *
 * Validation checks the form of `plan_hash`, not its value, and no profile numbers: the plan resolver answers for those.
 */
export const ResolvedTurnPlan = Schema.Struct({
  turn_id: Id,
  pipeline_version: Id,
  plan_hash: Sha256Hex,
  graph_definition_ref: Id,
  execution_profile: Id,
  authority_epoch: Natural,
  budgets: Budgets,
  provider_bindings: ProviderBindings,
  edge_buffer_policies: EdgeBufferPolicies,
  flow_control: FlowControl,
  allowed_adaptive_actions: AdaptiveActions,
  snapshot_provenance: SnapshotProvenance,
  recording_policy: RecordingPolicy,
  determinism: Determinism
}).annotate({ identifier: "ResolvedTurnPlan" })
export type ResolvedTurnPlan = typeof ResolvedTurnPlan.Type
