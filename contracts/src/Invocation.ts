import * as Schema from "effect/Schema"
import { Id } from "./Identity.ts"
import { Natural, Positive } from "./Quantity.ts"
import { Milliseconds } from "./Time.ts"

export const modalities = ["stt", "llm", "tts", "external"] as const
export const Modality = Schema.Literals(modalities)
export type Modality = typeof Modality.Type

export const outcomeClasses = [
  "success",
  "timeout",
  "overload",
  "blocked",
  "infrastructure_failure",
  "cancelled"
] as const
export const OutcomeClass = Schema.Literals(outcomeClasses)
export type OutcomeClass = typeof OutcomeClass.Type

/**
 * What an outcome says of the provider. `undefined`: nothing; who cancels, and content that is refused, are not its doing.
 */
export const providerVerdicts: Readonly<Record<OutcomeClass, "succeeded" | "failed" | undefined>> = {
  success: "succeeded",
  timeout: "failed",
  overload: "failed",
  infrastructure_failure: "failed",
  blocked: undefined,
  cancelled: undefined
}

export const retryDecisions = ["none", "retry", "provider_switch", "fallback"] as const
export const RetryDecision = Schema.Literals(retryDecisions)
export type RetryDecision = typeof RetryDecision.Type

/** What one provider invocation used, as its provider said; what it did not say is absent. */
export const InvocationUsage = Schema.Struct({
  input_tokens: Schema.optionalKey(Natural),
  output_tokens: Schema.optionalKey(Natural),
  /** Characters that were spoken. */
  characters: Schema.optionalKey(Natural),
  /** Sound that was recognised or made. */
  audio_ms: Schema.optionalKey(Milliseconds)
}).annotate({ identifier: "InvocationUsage" })
export type InvocationUsage = typeof InvocationUsage.Type

/** What is known of one provider invocation once it has ended. A time that was not observed is absent. */
export const InvocationFacts = Schema.Struct({
  provider_invocation_id: Id,
  turn_id: Schema.optionalKey(Id),
  node_id: Id,
  modality: Modality,
  provider_id: Id,
  idempotency_key: Id,
  authority_epoch: Natural,
  outcome_class: OutcomeClass,
  retryable: Schema.Boolean,
  retry_decision: RetryDecision,
  attempts: Positive,
  started_ms: Milliseconds,
  /** When the first attempt at its work began, by the same provider; absent where this one is the first. */
  first_started_ms: Schema.optionalKey(Milliseconds),
  first_result_ms: Schema.optionalKey(Milliseconds),
  cancel_sent_ms: Schema.optionalKey(Milliseconds),
  cancel_ack_ms: Schema.optionalKey(Milliseconds),
  late_outputs_dropped: Natural,
  /** Latency of the last attempt. */
  final_latency_ms: Milliseconds,
  /** Latency over all attempts, the waits between them included. */
  total_latency_ms: Milliseconds,
  reason: Schema.optionalKey(Id),
  usage: Schema.optionalKey(InvocationUsage)
}).annotate({ identifier: "InvocationFacts" })
export type InvocationFacts = typeof InvocationFacts.Type

/** When an invocation ended. */
export const endedMsOf = (
  { first_started_ms, started_ms, total_latency_ms }: Pick<
    InvocationFacts,
    "first_started_ms" | "started_ms" | "total_latency_ms"
  >
): number => (first_started_ms ?? started_ms) + total_latency_ms
