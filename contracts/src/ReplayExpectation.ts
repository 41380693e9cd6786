import * as Schema from "effect/Schema"
import { DivergenceClass } from "./Divergence.ts"
import { Id, SchemaVersion } from "./Identity.ts"
import { Modality } from "./Invocation.ts"
import { Milliseconds } from "./Time.ts"

/** A difference that a recording is known to have: its class, and where (`session`, `turn:turn_3`, `invocation:inv_7`). */
export const ExpectedDivergence = Schema.Struct({
  divergence_class: DivergenceClass.annotate({
    description: "The class of a difference that the recording is known to have."
  }),
  scope: Id.annotate({ description: "Where: `session`, `turn:turn_3`, `invocation:inv_7`." })
})
export type ExpectedDivergence = typeof ExpectedDivergence.Type

/** How long calls may have taken, in ms; without `modality` it is about all of them. */
export const InvocationLatencyThreshold = Schema.Struct({
  modality: Schema.optionalKey(Modality.annotate({ description: "Calls of this modality; absent: all calls." })),
  final_latency_ms: Schema.optionalKey(Milliseconds.annotate({ description: "Latency of the last attempt." })),
  total_latency_ms: Schema.optionalKey(Milliseconds.annotate({ description: "Latency over all attempts." }))
})
export type InvocationLatencyThreshold = typeof InvocationLatencyThreshold.Type

/** The stages of an answer on its critical path, in order; docs/slo.md says where each begins and ends. */
export const pathStages = [
  "endpointing",
  "open",
  "model_first_token",
  "first_segment",
  "voice_first_chunk",
  "egress",
  "playback"
] as const
export const PathStage = Schema.Literals(pathStages)
export type PathStage = typeof PathStage.Type

const stageThreshold = Schema.optionalKey(Milliseconds)

const atMost = (what: string) =>
  Schema.optionalKey(Milliseconds.annotate({ description: `The most that a turn may have taken, ms: ${what}.` }))

/** How long each turn of a recording may have taken, in ms, by its critical path. What a turn did not reach is not held against it. */
export const TurnLatencyThresholds = Schema.Struct({
  turn_open_ms: atMost("proposed → `turn_open`"),
  first_output_ms: atMost("`turn_open` → first output on the data lane, with or without trouble"),
  cancel_fence_ms: atMost("cancel accepted → egress fenced"),
  response_ms: atMost("end of the caller's speech → playback started"),
  kernel_ms: atMost("the kernel's own part of the critical path"),
  stages: Schema.optionalKey(
    Schema.Struct({
      endpointing: stageThreshold,
      open: stageThreshold,
      model_first_token: stageThreshold,
      first_segment: stageThreshold,
      voice_first_chunk: stageThreshold,
      egress: stageThreshold,
      playback: stageThreshold
    }).annotate({ description: "The most that this stage of a turn's critical path may have taken, ms; docs/slo.md." })
  )
})
export type TurnLatencyThresholds = typeof TurnLatencyThresholds.Type

/** Which verification replays a recording. */
export const fixtureGates = ["smoke", "full"] as const
export const FixtureGate = Schema.Literals(fixtureGates).annotate({
  description:
    "Which verification replays it: `smoke`, the quick and the full one; `full`, the full one alone; `full` when absent."
})
export type FixtureGate = typeof FixtureGate.Type

/**
 * What a replay of one recording is expected to find: a JSON file beside it, `NAME.expected.json` of `NAME.timeline`.
 *
 * The gate (CONTRACT section 7) reads it: plan, outcome and ordering differences pass only when they are listed, ordering
 * also only when `approved`; a listed one that does not appear fails. Without a file nothing is expected.
 */
export const ReplayExpectation = Schema.Struct({
  schema_version: SchemaVersion,
  gate: Schema.optionalKey(FixtureGate),
  expected_divergences: Schema.Array(ExpectedDivergence),
  approved: Schema.Boolean.annotate({ description: "Somebody has looked at the differences in order and takes them." }),
  timing_tolerance_ms: Schema.optionalKey(
    Milliseconds.annotate({ description: "Times may differ by so much; 0 when absent." })
  ),
  invocation_latency_thresholds: Schema.optionalKey(Schema.Array(InvocationLatencyThreshold)),
  turn_latency_thresholds: Schema.optionalKey(TurnLatencyThresholds)
}).annotate({ identifier: "ReplayExpectation" })
export type ReplayExpectation = typeof ReplayExpectation.Type
