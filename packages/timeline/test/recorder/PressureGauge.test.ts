// Holds I-PRESSURE-STEP, I-PRESSURE-TOP.
import { assert, describe, it } from "@effect/vitest"
import type { RecordingLevel } from "@rspp/contracts/TurnPlan"
import { isLowerLevel, recordingLevels } from "@rspp/contracts/TurnPlan"
import { PressureGauge } from "../../src/recorder/PressureGauge.ts"
import { SeededStream } from "../support/SeededStream.ts"

/** Reads at virtual times; each entry is `[ms, fill, lag]`. What was told, each with its time. */
const told = (
  readings: ReadonlyArray<readonly [ms: number, fill: number, lagMs?: number]>,
  gauge = new PressureGauge("L2")
): ReadonlyArray<string> =>
  readings.flatMap(([nowMs, fill, lagMs = 0]) => {
    const said = gauge.read({ nowMs, fill, lagMs })
    return said === undefined ? [] : [`${nowMs} ${said.level} ${said.reason}`]
  })

const every100 = (from: number, to: number, fill: number, lagMs = 0) =>
  Array.from({ length: (to - from) / 100 + 1 }, (_, i) => [from + i * 100, fill, lagMs] as const)

describe("a fill", () => {
  it("of 0.80 for 500 ms is L1, and not a millisecond before", () => {
    assert.deepStrictEqual(told([[0, 0.8], [499, 0.8]]), [])
    assert.deepStrictEqual(told([[0, 0.8], [499, 0.8], [500, 0.8]]), ["500 L1 append_queue_fill"])
    assert.deepStrictEqual(told([[0, 0.79], [9000, 0.79]]), [])
  })

  it("that dips below begins its 500 ms anew", () => {
    assert.deepStrictEqual(told([[0, 0.85], [400, 0.79], [401, 0.85], [600, 0.85], [900, 0.85]]), [])
    assert.deepStrictEqual(told([[0, 0.85], [400, 0.79], [401, 0.85], [901, 0.85]]), ["901 L1 append_queue_fill"])
  })

  it("of 0.90 goes down one step at a reading", () => {
    assert.deepStrictEqual(told([[0, 0.95], [500, 0.95], [501, 0.95]]), [
      "500 L1 append_queue_fill",
      "501 L0 append_queue_fill"
    ])
  })

  it("between 0.80 and 0.90 stops at L1; 0.90 counts from when it was reached", () => {
    assert.deepStrictEqual(told([[0, 0.85], [500, 0.85], [1000, 0.9], [1499, 0.9], [1500, 0.9]]), [
      "500 L1 append_queue_fill",
      "1500 L0 append_queue_fill"
    ])
  })
})

describe("an export lag", () => {
  it("of 2 s is L1 and of 5 s is L0, at once", () => {
    assert.deepStrictEqual(told([[0, 0, 1999], [1, 0, 2000], [2, 0, 4999], [3, 0, 5000]]), [
      "1 L1 export_lag",
      "3 L0 export_lag"
    ])
  })

  it("of 5 s from nothing goes through L1", () => {
    assert.deepStrictEqual(told([[0, 0, 9000], [1, 0, 9000]]), ["0 L1 export_lag", "1 L0 export_lag"])
  })
})

describe("a pressure that has gone", () => {
  it("is told after 500 ms without it", () => {
    assert.deepStrictEqual(told([...every100(0, 500, 0.8), [600, 0.7], [1099, 0.7], [1100, 0.7], [9000, 0]]), [
      "500 L1 append_queue_fill",
      "1100 L2 eased"
    ])
  })

  it("has not gone while the other trigger holds", () => {
    assert.deepStrictEqual(told([...every100(0, 500, 0.8), ...every100(600, 3000, 0.1, 2000)]), [
      "500 L1 append_queue_fill"
    ])
  })

  it("goes up as far as it has gone", () => {
    assert.deepStrictEqual(
      told([[0, 0, 5000], [1, 0, 5000], ...every100(100, 700, 0, 3000), ...every100(800, 1400, 0)]),
      [
        "0 L1 export_lag",
        "1 L0 export_lag",
        "600 L1 eased",
        "1300 L2 eased"
      ]
    )
  })

  it("and comes again is told again, after the same time", () => {
    assert.deepStrictEqual(
      told([...every100(0, 500, 0.8), ...every100(600, 1100, 0), ...every100(1200, 1700, 0.8)]),
      ["500 L1 append_queue_fill", "1100 L2 eased", "1700 L1 append_queue_fill"]
    )
  })
})

describe("a recording that began lower", () => {
  it("at L1 goes down to L0 alone, and up to L1 alone", () => {
    const gauge = new PressureGauge("L1")
    assert.deepStrictEqual(told([[0, 0.85], [600, 0.85]], gauge), [])
    assert.deepStrictEqual(told([[700, 0.95], [1200, 0.95], [1300, 0], [1800, 0], [9000, 0]], gauge), [
      "1200 L0 append_queue_fill",
      "1800 L1 eased"
    ])
  })

  it("at L0 says nothing", () => {
    assert.deepStrictEqual(told([[0, 1, 9000], [900, 1, 9000], [5000, 0]], new PressureGauge("L0")), [])
  })
})

describe("any readings", () => {
  it("lead to steps of one down, each with a trigger that holds, and to eased ones up to the top", () => {
    for (let seed = 0; seed < 300; seed++) {
      const draw = new SeededStream(seed, "readings")
      const pick = <A>(of: readonly [A, ...ReadonlyArray<A>]): A => of[draw.between(0, of.length - 1)] ?? of[0]
      const top = pick(recordingLevels)
      const gauge = new PressureGauge(top)
      let nowMs = 0
      let level: RecordingLevel = top
      for (let n = 0; n < 60; n++) {
        nowMs += draw.between(0, 400)
        const fill = pick([0, 0.5, 0.79, 0.8, 0.89, 0.9, 1])
        const lagMs = pick([0, 0, 0, 1999, 2000, 4999, 5000])
        const said = gauge.read({ nowMs, fill, lagMs })
        assert.strictEqual(gauge.told, said?.level ?? level)
        if (said === undefined) continue
        const step = recordingLevels.indexOf(said.level) - recordingLevels.indexOf(level)
        if (said.reason === "eased") {
          assert.isAbove(step, 0)
          assert.isFalse(isLowerLevel(top, said.level))
        } else {
          assert.strictEqual(step, -1)
          if (said.reason === "export_lag") assert.isAtLeast(lagMs, said.level === "L1" ? 2000 : 5000)
          else assert.isAtLeast(fill, said.level === "L1" ? 0.8 : 0.9)
        }
        level = said.level
      }
    }
  })
})
