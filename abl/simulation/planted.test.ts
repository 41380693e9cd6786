// The harness itself: a shifted run that breaks a rule is named, with its scenario, its variation and the rule.
import { assert, describe, it } from "@effect/vitest"
import { checkTimeline } from "@rspp/simulation/checkers/Registry"
import type { ScenarioCase } from "./Call.ts"
import { runCase, runShifted } from "./Harness.ts"
import { variationsOf } from "./Shift.ts"

/** Two events, the second of which opens a turn of its own unless both come in one instant. */
const planted: ScenarioCase = {
  name: "planted",
  script: [
    { when: { atMs: 400 }, act: { does: "type", words: 2 } },
    { when: { atMs: 900 }, act: { does: "type", words: 3 } }
  ],
  seeds: [7],
  holds: (told) => assert.strictEqual(told.turns.length, 3)
}

describe("the harness of the scenarios", () => {
  it("runs the script as it stands, and a shifted one that breaks a rule fails with scenario, variation and rule", () => {
    // A checker that bites only when the second text comes in the instant of the first.
    const stub: typeof checkTimeline = (header, records) => {
      const typed = records.flatMap((record) =>
        record.record === "input" && record.input.type === "typed_text" ? [record.runtime_timestamp_ms] : []
      )
      const tie = typed[0] !== undefined && typed[0] === typed[1] && typed[0] === 400
      return [...checkTimeline(header, records), ...(tie ? [{ rule: "C99", message: "planted", record: 17 }] : [])]
    }
    runCase("S99 planted", planted, stub)
    assert.throws(
      () => runShifted("S99 planted", planted, stub),
      "S99 planted: event 2 (type) in the instant of event 1 (type), seed 7: C99 planted (record 17)"
    )
  })

  it("fails when a variation does not hold what must always hold, and names it", () => {
    const always: ScenarioCase = {
      ...planted,
      always: (told) => assert.isBelow(told.signals("turn_open")[0]?.ms ?? 0, 410)
    }
    runCase("S99 planted", always)
    assert.throws(
      () => runShifted("S99 planted", always),
      /^S99 planted: event 1 \(type\) 20 ms later, seed 7: expected/u
    )
  })

  it("shifts every event to every place", () => {
    const names = variationsOf(planted.script, [400, 900]).map(({ name }) => name)
    assert.deepStrictEqual(names, [
      "event 1 (type) 20 ms earlier",
      "event 1 (type) 20 ms later",
      "event 1 (type) and event 2 (type) exchanged",
      "event 1 (type) in the instant of event 2 (type)",
      "event 2 (type) in the instant of event 1 (type)",
      "event 2 (type) 20 ms earlier",
      "event 2 (type) 20 ms later"
    ])
  })

  it("shifts a provider's fault to the calls and the results next to it", () => {
    const stalled = {
      when: { atMs: 0 },
      act: { does: "call", provider: "sim/llm", nth: 2, with: { stall: { after: 1, ms: 900 } } }
    } as const
    const names = variationsOf([stalled], [1500]).map(({ name }) => name)
    assert.deepStrictEqual(names, [
      "event 1 (call) 20 ms earlier",
      "event 1 (call) 20 ms later",
      "event 1 (call) one call later",
      "event 1 (call) one call earlier",
      "event 1 (call) lasts 20 ms longer",
      "event 1 (call) lasts 20 ms less",
      "event 1 (call) after 0 results",
      "event 1 (call) after 2 results"
    ])
  })
})
