import * as Schema from "effect/Schema"
import { Id, SchemaVersion, schemaVersion } from "./Identity.ts"
import { PositiveMilliseconds } from "./Time.ts"
import {
  AdaptiveActions,
  Budgets,
  type BufferStrategy,
  EdgeBufferPolicy,
  FlowControl,
  RecordingPolicy
} from "./TurnPlan.ts"

/** What admission answers when a turn-start snapshot cannot be used. */
export const SnapshotOutcome = Schema.Literals(["defer", "reject"])
export const SnapshotOutcomes = Schema.Struct({
  stale: SnapshotOutcome,
  missing: SnapshotOutcome,
  incompatible: SnapshotOutcome
})
export type SnapshotOutcomes = typeof SnapshotOutcomes.Type

/** Policy of each payload kind's edges. */
export const PolicyByPayloadKind = Schema.Struct({
  caller_audio: EdgeBufferPolicy,
  voice_edge: EdgeBufferPolicy,
  interim_transcript: EdgeBufferPolicy,
  transcript: EdgeBufferPolicy,
  text: EdgeBufferPolicy,
  segment: EdgeBufferPolicy,
  voice: EdgeBufferPolicy
})
export type PolicyByPayloadKind = typeof PolicyByPayloadKind.Type

/** An execution profile: everything that the author of a pipeline may leave unsaid. */
export const Profile = Schema.Struct({
  schema_version: SchemaVersion,
  profile_id: Id,
  profile_version: Id,
  budgets: Budgets,
  /** Time that a provider call has to its first result, unless its catalog entry declares another. */
  provider_first_result_ms: PositiveMilliseconds,
  /** Time that a language model or a voice has from one result to the next, what it is held for left out; 5000 if absent. */
  provider_between_chunks_ms: Schema.optionalKey(PositiveMilliseconds),
  /** Time that such a call has in all, what it is held for left out; 60000 if absent. */
  provider_total_ms: Schema.optionalKey(PositiveMilliseconds),
  /** Between a cancel and the moment at which a node is cut off. */
  cancellation_grace_ms: PositiveMilliseconds,
  edge_buffer_policies: PolicyByPayloadKind,
  flow_control: FlowControl,
  allowed_adaptive_actions: AdaptiveActions,
  recording_policy: RecordingPolicy,
  snapshot_outcomes: SnapshotOutcomes
})
export type Profile = typeof Profile.Type

/** Limits of a call after its first result, where neither the author nor the profile gives them. */
export const providerPhaseDefaults = { provider_between_chunks_ms: 5000, provider_total_ms: 60_000 } as const

/** High watermarks stand at 75 % of a bound, low ones at 50 % (CONTRACT section 5). */
const watermark = (bound: number) => ({ high: Math.max(1, Math.floor(bound * 0.75)), low: Math.floor(bound * 0.5) })

const policy = (
  strategy: BufferStrategy,
  items: number,
  ms: number,
  bytes: number,
  blockMs?: number
): EdgeBufferPolicy => ({
  strategy,
  max_queue_items: items,
  max_queue_ms: ms,
  max_queue_bytes: bytes,
  max_latency_contribution_ms: ms,
  ...(blockMs === undefined ? {} : { max_block_time_ms: blockMs }),
  watermarks: { queue_items: watermark(items), queue_ms: watermark(ms) },
  lane_handling: { DataLane: strategy, ControlLane: "non_blocking_priority", TelemetryLane: "drop" },
  defaulting_source: "execution_profile_default"
})

const text = policy("block", 256, 1000, 65_536, 200)
const laneWatermark = watermark(256)

/**
 * The default profile, `simple/v1`, with the numbers of CONTRACT section 5. Any change of them is a new version.
 *
 * Voice-activity edges and final transcripts are small, rare and must not be lost; they share the bounds of text.
 */
export const simpleProfile: Profile = {
  schema_version: schemaVersion,
  profile_id: "simple",
  profile_version: "simple/v1",
  budgets: {
    turn_budget_ms: 2000,
    node_budget_ms_default: 800,
    path_budget_ms_default: 2000,
    edge_budget_ms_default: 200
  },
  provider_first_result_ms: 1000,
  cancellation_grace_ms: 75,
  edge_buffer_policies: {
    caller_audio: policy("merge", 50, 1000, 65_536),
    voice_edge: text,
    interim_transcript: policy("latest_only", 1, 500, 8192),
    transcript: text,
    text,
    segment: text,
    voice: policy("block", 1000, 20_000, 1_048_576, 200)
  },
  flow_control: {
    mode_by_lane: { DataLane: "signal", ControlLane: "signal", TelemetryLane: "signal" },
    watermarks: { DataLane: laneWatermark, ControlLane: laneWatermark, TelemetryLane: laneWatermark },
    shedding_strategy_by_lane: { DataLane: "drop", ControlLane: "none", TelemetryLane: "drop" }
  },
  // A switch, a fallback or a degraded answer changes what the caller gets, so the author has to allow it.
  allowed_adaptive_actions: ["retry"],
  // Without payloads nodes cannot run again; everything else can.
  recording_policy: {
    recording_level: "L0",
    allowed_replay_modes: ["playback_recorded_provider_outputs", "replay_decisions", "recompute_decisions"]
  },
  snapshot_outcomes: { stale: "defer", missing: "reject", incompatible: "reject" }
}
