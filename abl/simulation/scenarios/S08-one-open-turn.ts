import { assert } from "@effect/vitest"
import type { NamedScenario } from "../Call.ts"
import type { Told } from "../Told.ts"

/** At most one turn is open at any place of the timeline, and each that opened asked the model for one reply. */
const oneAtATime = (told: Told): void => {
  let open: string | undefined
  for (const { signal, turn_id } of told.signals(["turn_open", "close"])) {
    if (signal === "turn_open") {
      assert.isUndefined(open, `${String(turn_id)} opened while ${String(open)} was open`)
      open = turn_id
    } else open = undefined
  }
  for (const turn of told.turns) {
    const replies = told.commands("start_invocation").filter((one) => one.modality === "llm" && one.turn_id === turn)
    const keys = new Set(replies.map(({ idempotency_key }) => idempotency_key))
    assert.strictEqual(keys.size, 1, `${turn} asked for one reply`)
  }
}

export const scenario: NamedScenario = {
  id: "S08",
  sentence: "at most one open turn; one reply per accepted turn",
  cases: [
    {
      name: "three texts in one instant",
      script: [
        { when: { atMs: 400 }, act: { does: "type", words: 2, messages: 3 } },
        { when: { on: "input:playback_started", delayMs: 400 }, act: { does: "type", words: 2, messages: 2 } }
      ],
      holds: (told) => {
        assert.isAtLeast(told.inputs("typed_text").length, 5)
        const spoken = told.turns.filter((turn) => told.terminal(turn) === "commit")
        assert.lengthOf(spoken, 2, "the last text, and the caller's last words")
        assert.deepStrictEqual(
          [...new Set(told.turns.map((turn) => told.terminal(turn)))].toSorted(),
          ["cancelled", "commit"]
        )
      },
      always: oneAtATime
    },
    {
      name: "a text in the instant in which the caller's turn is over",
      script: [
        { when: { atMs: 400 }, act: { does: "say", words: [300, 300] } },
        { when: { on: "input:transcript:final" }, act: { does: "type", words: 2 } }
      ],
      holds: (told) => assert.isAtLeast(told.turns.length, 2),
      always: oneAtATime
    },
    {
      name: "a final text that comes twice at once",
      script: [
        { when: { atMs: 300 }, act: { does: "call", provider: "sim/stt", with: { duplicateMs: 0 } } },
        { when: { atMs: 400 }, act: { does: "say", words: [300, 300] } }
      ],
      holds: (told) => {
        assert.lengthOf(told.turns, 2, "what was said, and the caller's last words")
        for (const turn of told.turns) assert.strictEqual(told.terminal(turn), "commit")
      },
      always: oneAtATime
    }
  ]
}
