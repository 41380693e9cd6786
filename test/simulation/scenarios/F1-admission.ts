import { assert } from "@effect/vitest"
import type { NamedScenario } from "../Call.ts"
import type { Told } from "../Told.ts"

/** A turn that was turned away has its decision, and never an `abort` or `close`. */
const turnedAwayBeforeItOpened = (told: Told): void => {
  const refused = told.signals(["reject", "defer"]).filter(({ turn_id }) => turn_id !== undefined)
  assert.lengthOf(
    [...told.decisions("reject"), ...told.decisions("defer")].filter(({ scope }) => scope === "turn"),
    refused.length
  )
  for (const { turn_id } of refused) assert.deepStrictEqual(told.signals(["abort", "commit", "close"], turn_id), [])
}

/** Before the turn and at the edge; shedding at dequeue and dispatch is not there yet, so F1 stays open. */
export const scenario: NamedScenario = {
  id: "F1",
  sentence: "admission overload: `reject`/`defer` before the turn, `shed` at scheduling points",
  cases: [
    {
      name: "the quota of turns is exhausted",
      script: [
        { when: { atMs: 400 }, act: { does: "type", words: 2 } },
        { when: { on: "signal:commit" }, act: { does: "type", words: 2 } },
        { when: { on: "signal:commit", delayMs: 500 }, act: { does: "say", words: [300, 300] } }
      ],
      spec: { admission: { max_turns_per_session: 1 } },
      holds: (told) => {
        assert.lengthOf(told.turns, 1, "one was admitted, and not one more")
        const refused = told.words(["reject", "defer"])
        assert.isAtLeast(refused.length, 2)
        for (const word of refused) assert.match(word, /^(?:reject|defer)\(turn_quota_exhausted\)$/u)
        assert.strictEqual(told.terminal(told.turns[0]), "commit")
      },
      always: turnedAwayBeforeItOpened
    },
    {
      name: "texts that come in one instant are counted before they are accepted",
      script: [
        { when: { atMs: 400 }, act: { does: "type", words: 2, messages: 4 } },
        { when: { atMs: 420 }, act: { does: "type", words: 2 } }
      ],
      spec: { admission: { max_turns_per_session: 2 } },
      holds: (told) => assert.isAtMost(told.turns.length, 2),
      always: (told) => {
        assert.isAtMost(told.turns.length, 2)
        turnedAwayBeforeItOpened(told)
      }
    }
  ]
}
