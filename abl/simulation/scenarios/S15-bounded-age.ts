import { assert } from "@effect/vitest"
import { fixed } from "../Call.ts"
import type { NamedScenario } from "../Call.ts"
import type { Told } from "../Told.ts"

const segmentEdge = "sentences.segment.tts"

/** Whatever was shed or dropped is told with its edge, and the decision is on record. */
const sheddingIsTold = (told: Told): void => {
  assert.lengthOf(told.decisions("shed"), told.signals("shed").length)
  for (const { phase, reason } of told.decisions("shed")) {
    assert.strictEqual(phase, "scheduling_point")
    assert.match(reason, /^block_time:/u)
  }
}

export const scenario: NamedScenario = {
  id: "S15",
  sentence: "queue age is bounded and reported; overload sheds by rule",
  cases: [
    {
      name:
        "a slow voice: sentences wait no longer than their edge allows, and what has no room is shed by the plan's rule",
      script: [
        { when: { atMs: 300 }, act: { does: "call", provider: "sim/tts", with: { slowMs: 700 } } },
        { when: { atMs: 400 }, act: { does: "say", words: [300, 300, 240] } }
      ],
      spec: {
        edge_buffer_policies: {
          [segmentEdge]: {
            strategy: "block",
            max_queue_items: 10,
            max_queue_ms: 1000,
            // One sentence has room, and a second one has not.
            max_queue_bytes: 40,
            max_block_time_ms: 200
          }
        },
        flow_control: { shedding_strategy_by_lane: { DataLane: "merge" } }
      },
      call: { reply: { sentences: [4, 4, 4, 4, 4], chunkMs: 100, factor: 0.2 } },
      holds: (told) => {
        const [turn] = told.turns
        assert.include(told.words(["budget_warning"]), "budget_warning(edge_budget)", "the age of what waits is told")
        assert.deepStrictEqual([...new Set(told.words(["shed"], turn))], ["shed(block_time:merge)"])
        const [blocked] = told.signals("flow_xoff", turn)
        const [shed] = told.signals("shed", turn)
        assert.isAtMost((shed?.ms ?? Infinity) - (blocked?.ms ?? 0), 250, "within the bounded block")
        assert.lengthOf(told.segments(turn), 5, "merging loses nothing")
        assert.strictEqual(told.terminal(turn), "commit")
      },
      always: sheddingIsTold
    },
    {
      name: "a recogniser that falls behind for 5 s: what it has no room for is dropped, and it catches up",
      script: [
        { when: { atMs: 300 }, act: { does: "call", provider: "sim/stt", with: { connectMs: 5000 } } },
        { when: { atMs: 400 }, act: { does: "say", words: Array.from({ length: 12 }, () => 400) } }
      ],
      call: { latencies: { stt: fixed(150), llm: { ...fixed(200), perTokenMs: 10 }, tts: fixed(100) } },
      holds: (told) => {
        const lost = told.inputs("media_loss").reduce((sum, { count }) => sum + count, 0)
        assert.isAbove(lost, 0)
        assert.lengthOf(told.signals("drop_notice"), told.inputs("media_loss").length)
        // The next utterance is answered as quickly as ever.
        const last = told.turns.at(-1)
        const ended = told.inputs("voice_activity").findLast(({ edge }) => edge === "speech_ended")
        const [open] = told.signals("turn_open", last)
        assert.isBelow((open?.ms ?? Infinity) - (ended?.ms ?? 0), 500)
      },
      always: sheddingIsTold
    }
  ]
}
