import { assert } from "@effect/vitest"
import { endedMsOf } from "@rspp/contracts/Invocation"
import type { NamedScenario } from "../Call.ts"
import type { Told } from "../Told.ts"

/** Session times only grow, wall times are session times plus one start, and no latency is longer than the call. */
const oneTimebase = (told: Told): void => {
  let before = 0
  let sequence = -1
  for (
    const { runtime_sequence, runtime_timestamp_ms, wall_clock_timestamp_ms } of told.signals([
      "turn_open_proposed",
      "turn_open",
      "cancel",
      "commit",
      "abort",
      "close",
      "playback_started",
      "playback_completed",
      "playback_cancelled"
    ])
  ) {
    assert.isAbove(runtime_sequence, sequence)
    assert.isAtLeast(runtime_timestamp_ms, before)
    assert.strictEqual(wall_clock_timestamp_ms - runtime_timestamp_ms, told.header.wall_clock_start_ms)
    sequence = runtime_sequence
    before = runtime_timestamp_ms
  }
  const last = told.records.at(-1)
  const end = last?.record === "end" ? last.runtime_timestamp_ms : 0
  for (const facts of told.invocations) {
    assert.isAtMost(facts.final_latency_ms, end)
    assert.strictEqual(endedMsOf(facts), facts.ms)
  }
}

export const scenario: NamedScenario = {
  id: "S21",
  sentence: "one monotonic timebase per session; times never negative, never mixed",
  cases: [
    {
      name: "the wall clock is set 200 s ahead while the agent speaks, and 500 s back",
      script: [
        { when: { atMs: 400 }, act: { does: "say", words: [300, 300, 240] } },
        { when: { on: "input:playback_started" }, act: { does: "wall_clock", byMs: 200_000 } },
        { when: { on: "signal:commit" }, act: { does: "wall_clock", byMs: -500_000 } }
      ],
      // The control plane's own leases run out by the wall clock; this one is longer than the leap.
      call: { leaseTtlMs: 600_000, snapshotTtlMs: 86_400_000 },
      holds: (told) => {
        for (const turn of told.turns) assert.strictEqual(told.terminal(turn), "commit")
        for (const { total_latency_ms } of told.invocations) assert.isBelow(total_latency_ms, 5000)
      },
      always: oneTimebase
    },
    {
      name: "the wall clock is set back before the session has its first turn",
      script: [
        { when: { atMs: 0 }, act: { does: "wall_clock", byMs: -3_600_000 } },
        { when: { atMs: 400 }, act: { does: "say", words: [300, 300] } }
      ],
      holds: (told) => assert.strictEqual(told.terminal(told.turns[0]), "commit"),
      always: oneTimebase
    }
  ]
}
