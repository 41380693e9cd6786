import { assert } from "@effect/vitest"
import { fixed } from "../Call.ts"
import type { NamedScenario } from "../Call.ts"
import type { Told } from "../Told.ts"

/** A turn that committed and was not cut is heard whole, whatever was cleared while it spoke. */
const committedIsHeard = (told: Told): void => {
  for (const turn of told.turns) {
    if (told.terminal(turn) !== "commit" || told.signals("cancel", turn).length > 0) continue
    for (const { completed, enqueued, segment } of told.segments(turn)) {
      assert.strictEqual(completed, enqueued, `${segment} is heard to its end`)
    }
  }
}

export const scenario: NamedScenario = {
  id: "S06",
  sentence: "clearing a finished segment never affects a live one",
  cases: [
    {
      name: "the turn before is sealed 43 ms after this one began to speak",
      script: [
        { when: { atMs: 400 }, act: { does: "say", words: [300, 300] } },
        { when: { on: "signal:commit" }, act: { does: "type", words: 2 } }
      ],
      // Chunks of the live turn wait for room when the turn before is sealed.
      spec: {
        edge_buffer_policies: {
          "tts.voice.output": {
            strategy: "block",
            max_queue_items: 10,
            max_queue_ms: 60,
            max_queue_bytes: 1_048_576,
            max_block_time_ms: 200
          }
        }
      },
      call: {
        latencies: { stt: fixed(150), llm: { ...fixed(10), perTokenMs: 1 }, tts: fixed(15) },
        reply: { sentences: [3, 3, 3], chunkMs: 40, factor: 0.1 }
      },
      holds: (told) => {
        const [before, live] = told.turns
        const [spoke] = told.signals("playback_started", live)
        const sealed = told.commands("seal_supplement").find(({ turn_id }) => turn_id === before)
        const after = (sealed?.ms ?? 0) - (spoke?.ms ?? Infinity)
        assert.isAbove(after, 20)
        assert.isBelow(after, 60)
        assert.lengthOf(told.segments(live), 3)
        assert.strictEqual(told.terminal(live), "commit")
      },
      always: committedIsHeard
    },
    {
      name: "each sentence ends while the next is spoken",
      script: [
        { when: { atMs: 400 }, act: { does: "say", words: [300, 300] } },
        { when: { on: "input:playback_completed", nth: 1, delayMs: 43 }, act: { does: "noise", ms: 20 } }
      ],
      call: { reply: { sentences: [1, 1, 1, 4], chunkMs: 20, factor: 0.1 } },
      holds: (told) => {
        const [turn] = told.turns
        assert.lengthOf(told.segments(turn), 4)
        assert.strictEqual(told.terminal(turn), "commit")
      },
      always: committedIsHeard
    }
  ]
}
