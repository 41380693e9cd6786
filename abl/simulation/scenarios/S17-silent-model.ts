import { assert } from "@effect/vitest"
import type { NamedScenario } from "../Call.ts"
import type { Told } from "../Told.ts"

const speech = { when: { atMs: 400 }, act: { does: "say", words: [300, 300, 240] } } as const
const silent = { when: { atMs: 300 }, act: { does: "call", provider: "sim/llm", with: { slowMs: 20_000 } } } as const

/** No call of a reply is waited for longer than its budget: by then it has given something, or it was given up. */
const nobodyWaits = (told: Told): void => {
  for (const { first_result_ms, modality, started_ms, cancel_sent_ms, ms } of told.invocations) {
    if (modality === "stt") continue
    assert.isAtMost((first_result_ms ?? cancel_sent_ms ?? ms) - started_ms, 1001, "first result, or given up")
  }
}

export const scenario: NamedScenario = {
  id: "S17",
  sentence: "first-output budget per invocation; switch or abort, recorded",
  cases: [
    {
      name: "a model that is connected but silent is switched",
      script: [silent, speech],
      spec: { allowed_adaptive_actions: ["provider_switch"] },
      call: { fallbacks: { "llm.fallback": "sim/llm-b" } },
      holds: (told) => {
        const [turn] = told.turns
        assert.deepStrictEqual(told.words(["budget_exhausted", "provider_error", "provider_switch"]), [
          "budget_exhausted(first_result)",
          "provider_error(timeout)",
          "provider_switch(timeout)"
        ])
        assert.strictEqual(told.terminal(turn), "commit")
        const models = told.invocations.filter((one) => one.modality === "llm" && one.turn_id === turn)
        assert.deepStrictEqual(
          models.map(({ outcome_class, provider_id, retry_decision }) => [provider_id, outcome_class, retry_decision]),
          [["sim/llm", "timeout", "provider_switch"], ["sim/llm-b", "success", "none"]]
        )
        assert.strictEqual(models[0]?.total_latency_ms, 1000)
      },
      always: nobodyWaits
    },
    {
      name: "with nothing to switch to the turn is aborted",
      script: [silent, speech],
      spec: { allowed_adaptive_actions: [] },
      holds: (told) => {
        const [turn] = told.turns
        assert.strictEqual(told.terminal(turn), "provider_failure")
        const [open] = told.signals("turn_open", turn)
        const [abort] = told.signals("abort", turn)
        assert.strictEqual((abort?.ms ?? 0) - (open?.ms ?? 0), 1000)
        assert.strictEqual(told.terminal(told.turns.at(-1)), "commit", "the next turn is answered")
      },
      always: nobodyWaits
    },
    {
      name: "a silent voice is switched",
      script: [{ when: { atMs: 300 }, act: { does: "call", provider: "sim/tts", with: { slowMs: 20_000 } } }, speech],
      spec: { allowed_adaptive_actions: ["provider_switch"] },
      call: { fallbacks: { "tts.fallback": "sim/tts-b" } },
      holds: (told) => {
        const [turn] = told.turns
        assert.include(told.words(["provider_switch"]), "provider_switch(timeout)")
        assert.strictEqual(told.terminal(turn), "commit")
      },
      always: nobodyWaits
    }
  ]
}
