import { assert } from "@effect/vitest"
import type { NamedScenario, ScenarioCase } from "../Call.ts"
import type { Told } from "../Told.ts"

const voiceEdge = "tts.voice.output"
const segmentEdge = "sentences.segment.tts"

const speech = [
  { when: { atMs: 400 }, act: { does: "say", words: [300, 300] } },
  { when: { on: "input:playback_started", delayMs: 400 }, act: { does: "noise", ms: 100 } }
] as const

/** On and off alternate on each edge of a turn, and an item that was lost has its notice. */
const flowIsOrdered = (told: Told): void => {
  const off = new Map<string, boolean>()
  for (const { edge_id, signal, turn_id } of told.signals(["flow_xoff", "flow_xon"])) {
    const edge = `${turn_id ?? ""}/${edge_id ?? ""}`
    if (signal === "flow_xon") assert.isTrue(off.get(edge), `${edge} goes on, but it was not held`)
    off.set(edge, signal === "flow_xoff")
  }
  assert.lengthOf(told.decisions("shed"), told.signals("shed").length)
  for (const { edge_id, reason, seq_range, target_lane } of told.signals("drop_notice")) {
    assert.isDefined(edge_id)
    assert.isDefined(reason)
    assert.isDefined(seq_range)
    assert.strictEqual(target_lane, "DataLane")
  }
}

const shedding = (strategy: "drop" | "merge" | "latest_only" | "degrade" | "fallback"): ScenarioCase => ({
  name: `a full edge sheds by ${strategy}`,
  script: speech,
  spec: {
    edge_buffer_policies: {
      [segmentEdge]: {
        strategy: "block",
        max_queue_items: 10,
        max_queue_ms: 1000,
        // One sentence has room, and a second one has not.
        max_queue_bytes: 40,
        max_block_time_ms: 50
      }
    },
    flow_control: { shedding_strategy_by_lane: { DataLane: strategy } }
  },
  call: { reply: { sentences: [4, 4, 4, 4], chunkMs: 100, factor: 0.2 } },
  seeds: [1, 2],
  holds: (told) => {
    const [turn] = told.turns
    assert.isNotEmpty(told.signals("shed", turn))
    assert.strictEqual(told.signals("shed", turn)[0]?.reason, `block_time:${strategy}`)
    assert.strictEqual(told.decisions("shed")[0]?.scope, "edge_enqueue")
    // The producer is held, so one sentence at most waits for room: the latest is the one that stays.
    if (strategy === "merge" || strategy === "latest_only") {
      assert.deepStrictEqual(told.signals("drop_notice", turn), [])
    } else assert.isNotEmpty(told.signals("drop_notice", turn))
    if (strategy === "degrade" || strategy === "fallback") {
      assert.include(told.words([strategy]), `${strategy}(edge_pressure)`)
    }
    assert.strictEqual(told.terminal(turn), "commit", "pressure alone ends no turn")
  },
  always: flowIsOrdered
})

export const scenario: NamedScenario = {
  id: "F4",
  sentence:
    "edge pressure: `watermark`, `flow_xoff`/`flow_xon`, `drop_notice`, `shed`; the turn ends only if the plan says so",
  cases: [
    {
      name: "a voice that is faster than playback is held and goes on",
      script: speech,
      spec: {
        edge_buffer_policies: {
          [voiceEdge]: {
            strategy: "block",
            max_queue_items: 8,
            max_queue_ms: 1000,
            max_queue_bytes: 1_048_576,
            max_block_time_ms: 200
          }
        }
      },
      call: { reply: { sentences: [8, 8], chunkMs: 100, factor: 0.1 } },
      holds: (told) => {
        const [turn] = told.turns
        assert.includeMembers([...told.words(["watermark"], turn)], ["watermark(high)", "watermark(low)"])
        assert.isNotEmpty(told.signals("flow_xoff", turn))
        assert.isNotEmpty(told.signals("flow_xon", turn))
        assert.deepStrictEqual(told.signals(["shed", "drop_notice"], turn), [], "speech is never shed as overload")
        for (const { completed, enqueued } of told.segments(turn)) assert.strictEqual(completed, enqueued)
        assert.strictEqual(told.terminal(turn), "commit")
      },
      always: flowIsOrdered
    },
    ...(["drop", "merge", "latest_only", "degrade", "fallback"] as const).map(shedding)
  ]
}
