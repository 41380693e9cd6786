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

/**
 * What a replay of one recording is expected to find: a JSON file beside it, `NAME.expected.json` of `NAME.timeline`.
 *
 * The gate (CONTRACT section 7) reads it: plan, outcome and ordering differences pass only when they are listed, ordering
 * also only when `approved`; a listed one that does not appear fails. Without a file nothing is expected.
 */
export const ReplayExpectation = Schema.Struct({
  schema_version: SchemaVersion,
  expected_divergences: Schema.Array(ExpectedDivergence),
  approved: Schema.Boolean.annotate({ description: "Somebody has looked at the differences in order and takes them." }),
  timing_tolerance_ms: Schema.optionalKey(
    Milliseconds.annotate({ description: "Times may differ by so much; 0 when absent." })
  ),
  invocation_latency_thresholds: Schema.optionalKey(Schema.Array(InvocationLatencyThreshold))
}).annotate({ identifier: "ReplayExpectation" })
export type ReplayExpectation = typeof ReplayExpectation.Type
