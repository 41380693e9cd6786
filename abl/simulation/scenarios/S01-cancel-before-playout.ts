import { assert } from "@effect/vitest"
import type { Cue } from "@rspp/simulation/Script"
import { fixed } from "../Call.ts"
import type { NamedScenario, ScenarioCase } from "../Call.ts"
import type { Told } from "../Told.ts"

const cutThenSpoken = (told: Told): void => {
  const [cut, next] = told.turns
  assert.deepStrictEqual(told.words(["commit", "abort", "close"], cut), ["abort(cancelled)", "close"])
  assert.deepStrictEqual(told.signals("playback_started", cut), [], "nothing of the cut reply was heard")
  assert.strictEqual(told.terminal(next), "commit")
  const spoken = told.segments(next)
  assert.isNotEmpty(spoken)
  for (const { completed, enqueued } of spoken) assert.strictEqual(completed, enqueued)
  const { cancel, terminal } = told.evidence(cut)
  assert.deepStrictEqual(terminal, { kind: "abort", reason: "cancelled" })
  assert.isAtLeast(cancel?.fenced_ms ?? -1, cancel?.accepted_ms ?? 0)
}

/** The caller types on while a reply is at this stage: the turn makes way. */
const typed = (stage: string, on: Cue): ScenarioCase => ({
  name: `cut when ${stage}`,
  script: [
    { when: { atMs: 400 }, act: { does: "say", words: [300, 300, 240] } },
    { when: { on }, act: { does: "type", words: 3 } }
  ],
  holds: cutThenSpoken
})

export const scenario: NamedScenario = {
  id: "S01",
  sentence: "cancel at any point before playout closes the turn once; the next turn plays",
  cases: [
    typed("the turn has just opened", "signal:turn_open"),
    typed("the model was asked", "command:start_invocation:llm"),
    typed("the first word has come", "input:text_delta"),
    typed("the first sentence has come", "input:segment"),
    typed("the voice was asked", "command:start_invocation:tts"),
    typed("the first sound has come", "input:voice_chunk"),
    {
      name: "cut by speech that goes on while the model is asked",
      script: [
        { when: { atMs: 400 }, act: { does: "say", words: [300, 300, 240] } },
        { when: { on: "command:start_invocation:llm" }, act: { does: "say", words: [400, 400, 400] } }
      ],
      call: { latencies: { stt: fixed(150), llm: { ...fixed(900), perTokenMs: 10 }, tts: fixed(100) } },
      holds: cutThenSpoken
    }
  ]
}
