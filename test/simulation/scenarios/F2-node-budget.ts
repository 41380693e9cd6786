import { assert } from "@effect/vitest"
import type { NamedScenario } from "../Call.ts"

/** Budgets of nodes and of the turn; a node that throws or dies is the node host's, so F2 stays open. */
export const scenario: NamedScenario = {
  id: "F2",
  sentence:
    "node timeout or failure: `budget_warning`, `budget_exhausted`, then `degrade`/`fallback` where the plan allows; `node_timeout_or_failure`",
  cases: [
    {
      name: "a node that is slower than its budget is warned of",
      script: [
        { when: { atMs: 300 }, act: { does: "call", provider: "sim/llm", with: { slowMs: 700 } } },
        { when: { atMs: 400 }, act: { does: "say", words: [300, 300] } }
      ],
      holds: (told) => {
        assert.deepStrictEqual(told.words(["budget_warning"]), ["budget_warning(node_budget)"])
        assert.strictEqual(told.terminal(told.turns[0]), "commit")
      }
    },
    {
      name: "a turn whose nodes are slow together runs out of its budget",
      script: [
        { when: { atMs: 300 }, act: { does: "call", provider: "sim/llm", with: { slowMs: 700 } } },
        { when: { atMs: 300 }, act: { does: "call", provider: "sim/tts", with: { slowMs: 800 } } },
        { when: { atMs: 400 }, act: { does: "say", words: [300, 300] } }
      ],
      spec: { budgets: { turn_budget_ms: 1500, path_budget_ms_default: 1800 } },
      holds: (told) => {
        const [turn] = told.turns
        assert.include(told.words(["budget_exhausted"], turn), "budget_exhausted(turn_budget)")
        assert.strictEqual(told.terminal(turn), "turn_budget_exhausted")
        const [open] = told.signals("turn_open", turn)
        const [abort] = told.signals("abort", turn)
        assert.strictEqual((abort?.ms ?? 0) - (open?.ms ?? 0), 1500)
        assert.deepStrictEqual(told.evidence(turn).terminal, { kind: "abort", reason: "turn_budget_exhausted" })
      }
    }
  ]
}
