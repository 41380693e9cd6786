import { assert } from "@effect/vitest"
import type { NamedScenario, ScenarioCase } from "../Call.ts"
import type { Told } from "../Told.ts"

/** Each final text either was the turn's, or what became of it is on record. */
const everyFinalIsJudged = (told: Told): void => {
  const finals = told.inputs("transcript").filter(({ finality, handle }) => finality === "final" && handle.length > 0)
  const judged = ["late_dropped", "late_remapped", "late_diagnostic"].flatMap((reason) => told.events(reason))
  const proposed = told.signals("turn_open_proposed").length - told.inputs("typed_text").length
  const remapped = told.events("late_remapped").length
  // A final that the caller spoke over is taken back by its own resume, and counted with the next one.
  const resumed = told.commands("mark_utterance").filter(({ mark }) => mark === "resume").length
  assert.isAtLeast(proposed - remapped + judged.length + resumed, finals.length, "no final text is without an outcome")
}

const late = (policy: "drop" | "remap" | "diagnostics", reason: string, turns: number): ScenarioCase => ({
  name: `policy ${policy}`,
  script: [
    { when: { atMs: 300 }, act: { does: "call", provider: "sim/stt", with: { duplicateMs: 400 } } },
    { when: { atMs: 400 }, act: { does: "say", words: [300, 300, 240] } }
  ],
  spec: { session_config: { late_event_policy: policy } },
  holds: (told) => {
    assert.lengthOf(told.turns, turns, "with the caller's last words")
    assert.lengthOf(told.events(reason), 1, "the decision is on record")
    const [turn, remapped] = told.turns
    if (policy === "remap") {
      assert.strictEqual(told.terminal(turn), "cancelled")
      assert.strictEqual(told.terminal(remapped), "commit")
    } else assert.strictEqual(told.terminal(turn), "commit")
  },
  always: everyFinalIsJudged
})

export const scenario: NamedScenario = {
  id: "S09",
  sentence: "late transcripts merge or are re-proposed by the session policy, and the decision is recorded",
  cases: [
    late("drop", "late_dropped", 2),
    late("diagnostics", "late_diagnostic", 2),
    late("remap", "late_remapped", 3)
  ]
}
