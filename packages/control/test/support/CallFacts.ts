import type { InvocationFacts, Modality, OutcomeClass } from "@rspp/contracts/Invocation"

/** The facts of a call as a recording has them; its first result came after `firstMs`, if any did. */
export const callFacts = (
  provider_id: string,
  outcome_class: OutcomeClass,
  { firstMs, finalMs = firstMs ?? 0, modality = "llm" }: {
    readonly firstMs?: number
    readonly finalMs?: number
    readonly modality?: Modality
  } = {}
): InvocationFacts => ({
  provider_invocation_id: "inv_1",
  node_id: modality,
  modality,
  provider_id,
  idempotency_key: "k",
  authority_epoch: 1,
  outcome_class,
  retryable: false,
  retry_decision: "none",
  attempts: 1,
  started_ms: 1000,
  ...(firstMs === undefined ? {} : { first_result_ms: 1000 + firstMs }),
  late_outputs_dropped: 0,
  final_latency_ms: finalMs,
  total_latency_ms: finalMs
})
