import { assert } from "@effect/vitest"
import type { NamedScenario } from "../Call.ts"
import type { Told } from "../Told.ts"

/** What egress accepted of a segment is what was enqueued of it, and only what was played to its end is completed. */
const deliveryIsTrue = (told: Told): void => {
  for (const turn of told.turns) {
    for (const { accepted, cancelled, completed, enqueued, segment } of told.segments(turn)) {
      if (accepted !== undefined) assert.strictEqual(accepted, enqueued, `accepted of ${segment}`)
      if (completed !== undefined) assert.strictEqual(completed, enqueued, `completed of ${segment}`)
      assert.isFalse(completed !== undefined && cancelled !== undefined, `${segment} ended once`)
    }
  }
}

export const scenario: NamedScenario = {
  id: "S02",
  sentence: "delivery state is per segment id; `playback_completed` only when all of it was accepted",
  cases: [
    {
      name: "the reply after a barge-in is delivered to its last frame",
      script: [
        { when: { atMs: 400 }, act: { does: "say", words: [300, 300, 240] } },
        { when: { on: "input:playback_started", delayMs: 300 }, act: { does: "say", words: [400, 400, 300] } }
      ],
      holds: (told) => {
        const [cut, next] = told.turns
        assert.strictEqual(told.terminal(cut), "cancelled")
        const [first] = told.segments(cut)
        assert.isUndefined(first?.completed)
        assert.isBelow(first?.cancelled ?? Infinity, first?.enqueued ?? 0)
        assert.deepStrictEqual(told.signals("playback_completed", cut), [])
        assert.strictEqual(told.terminal(next), "commit")
        assert.lengthOf(told.segments(next), 2)
        for (const { accepted, completed, enqueued } of told.segments(next)) {
          assert.deepStrictEqual([accepted, completed], [enqueued, enqueued])
        }
      },
      always: deliveryIsTrue
    },
    {
      name: "a reply that is cut between two of its segments",
      script: [
        { when: { atMs: 400 }, act: { does: "say", words: [300, 300] } },
        { when: { on: "input:output_accepted" }, act: { does: "type", words: 2 } }
      ],
      holds: (told) => {
        const [cut, next] = told.turns
        const [first, second] = told.segments(cut)
        assert.strictEqual(first?.accepted, first?.enqueued)
        assert.isUndefined(first?.completed, "the transport still held its end")
        assert.isUndefined(second?.completed)
        assert.strictEqual(told.terminal(next), "commit")
      },
      always: deliveryIsTrue
    }
  ]
}
