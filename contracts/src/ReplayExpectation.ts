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

const atMost = (description: string) => Schema.optionalKey(Milliseconds.annotate({ description }))

/** How long each turn of a recording may have taken, in ms, by its critical path. What a turn did not reach is not held against it. */
export const TurnLatencyThresholds = Schema.Struct({
  turn_open_ms: atMost("Proposed → `turn_open`."),
  first_output_ms: atMost("`turn_open` → first output on the data lane, with or without trouble."),
  cancel_fence_ms: atMost("Cancel accepted → egress fenced."),
  response_ms: atMost("End of the caller's speech → playback started."),
  kernel_ms: atMost("The kernel's own part of the critical path."),
  stages: Schema.optionalKey(Schema.Struct({
    endpointing: atMost("End of speech → the turn is proposed."),
    open: atMost("The turn is proposed → `turn_open`."),
    model_first_token: atMost("→ the model's first words."),
    first_segment: atMost("→ the first sentence that can be spoken."),
    voice_first_chunk: atMost("→ the first chunk of speech."),
    egress: atMost("→ speech is handed to egress."),
    playback: atMost("→ playback has started.")
  }))
})
export type TurnLatencyThresholds = typeof TurnLatencyThresholds.Type

/**
 * Which verification replays a recording: `smoke` ones are replayed by the quick and by the full one, `full` ones by the full
 * one alone.
 */
export const fixtureGates = ["smoke", "full"] as const
export const FixtureGate = Schema.Literals(fixtureGates)
export type FixtureGate = typeof FixtureGate.Type

/**
 * What a replay of one recording is expected to find: a JSON file beside it, `NAME.expected.json` of `NAME.timeline`.
 *
 * The gate (CONTRACT section 7) reads it: plan, outcome and ordering differences pass only when they are listed, ordering
 * also only when `approved`; a listed one that does not appear fails. Without a file nothing is expected.
 */
export const ReplayExpectation = Schema.Struct({
  schema_version: SchemaVersion,
  gate: Schema.optionalKey(
    FixtureGate.annotate({
      description:
        "Which verification replays the recording: `smoke`: the quick and the full one; `full`, when absent: the full one."
    })
  ),
  expected_divergences: Schema.Array(ExpectedDivergence),
  approved: Schema.Boolean.annotate({ description: "Somebody has looked at the differences in order and takes them." }),
  timing_tolerance_ms: Schema.optionalKey(
    Milliseconds.annotate({ description: "Times may differ by so much; 0 when absent." })
  ),
  invocation_latency_thresholds: Schema.optionalKey(Schema.Array(InvocationLatencyThreshold)),
  turn_latency_thresholds: Schema.optionalKey(TurnLatencyThresholds)
}).annotate({ identifier: "ReplayExpectation" })
export type ReplayExpectation = typeof ReplayExpectation.Type
