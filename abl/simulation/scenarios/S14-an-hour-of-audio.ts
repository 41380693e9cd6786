import { assert } from "@effect/vitest"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { runSeed } from "@rspp/simulation/Run"
import { optionsOf } from "../Call.ts"
import type { NamedScenario, ScenarioCase } from "../Call.ts"

setFlagsFromString("--expose-gc")
const collect = runInNewContext("gc") as () => void

const hourMs = 3_600_000

/** Frames of 20 ms between the two looks at the heap: 50 minutes of audio. */
const framesBetween = 150_000

/**
 * Bytes that a frame may leave behind. The world itself notes the number of each frame that the session took (up to 16
 * bytes); the smallest object that a session could keep of one, with its place in a list, is some 40.
 */
const bytesPerFrame = 24

const hour: ScenarioCase = {
  name: "a call of an hour in which both speak at the beginning",
  script: [
    { when: { atMs: 400 }, act: { does: "say", words: [300, 300, 240] } },
    { when: { on: "signal:commit" }, act: { does: "say", words: [300, 240] } }
  ],
  // The lease is renewed four times an hour, so that what grows would be what each frame leaves.
  call: { faultsUntilMs: hourMs, hangUpMs: hourMs + 60_000, leaseTtlMs: 2_000_000, snapshotTtlMs: 86_400_000 },
  shiftedCall: { faultsUntilMs: 30_000, hangUpMs: 90_000, leaseTtlMs: 10_000 },
  seeds: [1],
  holds: (told) => {
    const frames = told.records.reduce((sum, record) => sum + (record.record === "audio" ? record.count : 0), 0)
    assert.isAtLeast(frames, hourMs / 20)
    for (const turn of told.turns) assert.strictEqual(told.terminal(turn), "commit")
    // Once more, with a look at the heap after ten minutes and after an hour.
    const heap: Array<number> = []
    const look = (atMs: number) => {
      if (heap.length === 0 ? atMs < 600_000 : heap.length > 1 || atMs < hourMs) return
      collect()
      heap.push(process.memoryUsage().heapUsed)
    }
    runSeed(1, { ...optionsOf(hour, hour.script), replay: false, check: () => [], trace: look })
    const [early = 0, late = Infinity] = heap
    assert.isBelow((late - early) / framesBetween, bytesPerFrame, `bytes that a frame leaves: ${early} → ${late}`)
  }
}

export const scenario: NamedScenario = {
  id: "S14",
  sentence: "heap is flat over a soak of an hour of audio",
  cases: [hour]
}
