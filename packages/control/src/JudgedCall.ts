import { providerVerdicts } from "@rspp/contracts/Invocation"
import type { InvocationFacts } from "@rspp/contracts/Invocation"
import type { ProviderCalls } from "./CircuitBreaker.ts"
import { latencyOf } from "./LatencyHistogram.ts"

/**
 * The part of a provider's first-result cap that a call may take without being slow. Beyond the cap itself it is ended as a
 * timeout, which counts as a failure, and not twice.
 */
export const slowPart = 0.75

/**
 * What one call says of its provider, from its recorded facts; undefined: nothing (it was cancelled, or refused for its
 * content). `capMs`: the provider's first-result cap, ms.
 *
 * A recogniser's latency is that of its final text, from the pause on: its first result is a guess in the middle of a word.
 */
export const judgedCall = (facts: InvocationFacts, capMs: number): ProviderCalls | undefined => {
  const verdict = providerVerdicts[facts.outcome_class]
  if (verdict === undefined) return undefined
  if (verdict === "failed") return { succeeded: 0, failed: 1, slow: 0, latency: [] }
  const { final_latency_ms, first_result_ms, modality, started_ms } = facts
  if (first_result_ms === undefined) return { succeeded: 1, failed: 0, slow: 0, latency: [] }
  const ms = modality === "stt" ? final_latency_ms : Math.max(0, first_result_ms - started_ms)
  return { succeeded: 1, failed: 0, slow: ms > capMs * slowPart ? 1 : 0, latency: latencyOf(ms) }
}
