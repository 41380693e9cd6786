import type { Difference } from "@rspp/simulation/Meta"
import type { SeedReport } from "@rspp/simulation/SeedReport"
import { lostViolation } from "@rspp/simulation/SeedReport"
import { allMarks } from "@rspp/simulation/Sometimes"
import { Tally } from "@rspp/simulation/Tally"
import { describe, expect, it } from "vitest"
import { makeStyle } from "../src/Screen.ts"
import { differenceLines, repeatCommand, summaryJson, summaryLines } from "../src/view/SimReport.ts"

const style = makeStyle(false)
const context = {
  commit: "0123456789ab",
  first: 1,
  pins: { kinds: ["media.loss"], keepActions: [0, 2] },
  jobs: 2,
  tookMs: 1000,
  compared: 3,
  interrupted: false
} as const
const report = (seed: number, more: Partial<SeedReport> = {}): SeedReport => ({
  seed,
  simulatedMs: 60_000,
  realMs: 20,
  tasks: 1000,
  records: 500,
  struck: { "media.loss": 4 },
  replays: { L1: 1 },
  marks: ["row.T1", "row.T5"],
  violations: [],
  broken: 0,
  ...more
})
const broken = report(9, {
  broken: 2,
  violations: [{
    rule: "C01",
    sentence: "Each turn has one terminal.",
    message: "a second terminal of turn_2: commit",
    record: 41,
    of: 500,
    runtime_sequence: 77,
    turn_id: "turn_2",
    at_ms: 61_234,
    lines: ["01:01.200       76  turn     turn_2    before", "01:01.234       77  RK-03    turn_2    commit"],
    shown: `{"record":"signal"}`
  }]
})

describe("the report of many seeds", () => {
  const tally = new Tally()
  tally.add(broken)
  tally.add(report(4))
  tally.lost(7, lostViolation("did not end within 60 s"))
  const lines = summaryLines(tally, context, style)

  it("shows a broken rule with its place, the record, those before it, and what repeats it", () => {
    const from = lines.indexOf("seed 9 breaks C01")
    expect(lines.slice(from, from + 13)).toEqual([
      "seed 9 breaks C01",
      "  C01  Each turn has one terminal.",
      "    a second terminal of turn_2: commit",
      "    place    record 41 of 500, sequence 77, turn_2, at 01:01.234",
      "      01:01.200       76  turn     turn_2    before",
      "    > 01:01.234       77  RK-03    turn_2    commit",
      `    record   {"record":"signal"}`,
      "  … and 1 more violations",
      "  options  --kinds media.loss --keep-actions 0,2",
      "  faults   media.loss 4",
      "  commit   0123456789ab",
      "  repeat   npx rspp sim --seed 9 --kinds media.loss --keep-actions 0,2",
      "  shrink   npx rspp sim shrink --seed 9 --kinds media.loss --keep-actions 0,2"
    ])
  })

  it("shows the lowest seed first, and one that did not end as a failure", () => {
    expect(lines.indexOf("seed 7 breaks W02")).toBeGreaterThanOrEqual(0)
    expect(lines.indexOf("seed 7 breaks W02")).toBeLessThan(lines.indexOf("seed 9 breaks C01"))
    expect(lines).toContain("    did not end within 60 s")
    expect(lines.at(-1)).toBe("2 of 3 seeds break a rule")
  })

  it("counts what happened, and says what never did", () => {
    expect(lines).toContain(
      "3 seeds from 1 on: 2.0 min of calls in 1.0 s, 120 × real time on 2 processes, 1,000 records"
    )
    expect(lines).toContain("same bytes twice in one process and in a second one: 3 of 3 seeds")
    expect(lines).toContain("executed again from the recording, byte for byte the same: 0 at L0, 2 at L1, 0 at L2")
    expect(lines).toContain("  media.loss 8")
    expect(lines).toContain(`sometimes list: 2 of ${allMarks.length} happened; the first seed of each`)
    expect(lines).toContain("  row.T1 4  row.T5 4")
    expect(lines).toContain(`never happened: ${allMarks.length - 2}; more seeds find more`)
  })

  it("explains what never happened when it is little", () => {
    const nearly = new Tally()
    nearly.add(report(1, { marks: allMarks.filter((mark) => mark !== "quiet") }))
    const told = summaryLines(nearly, { ...context, compared: 0, interrupted: true }, style)
    expect(told).toContain("  never  quiet: a turn committed without speech")
    expect(told).toContain("not run: the check that a seed gives the same bytes twice")
    expect(told[0]).toMatch(/^interrupted, so far 1 seeds/u)
    expect(told.at(-1)).toBe("every rule held in every seed")
  })

  it("keeps a hundred failures in full, and the number of every other", () => {
    const many = new Tally()
    for (let seed = 150; seed >= 1; seed--) many.add(report(seed, { broken: 1, violations: broken.violations }))
    expect([many.failed, many.failures.length, many.otherFailures.length]).toEqual([150, 100, 50])
    expect(summaryLines(many, context, style).at(-1)).toBe("150 of 150 seeds break a rule")
    expect(summaryJson(many, context)).toMatchObject({ seeds: 150, other_failures: many.otherFailures })
  })

  it("says the same to machines", () => {
    expect(summaryJson(tally, context)).toMatchObject({
      commit: "0123456789ab",
      seeds: 3,
      speed: 120,
      faults: { "media.loss": 8 },
      sometimes: { seen: { "row.T1": 4 } },
      failures: [
        { seed: 7, repeat: "npx rspp sim --seed 7 --kinds media.loss --keep-actions 0,2" },
        { seed: 9, broken: 2, violations: [{ rule: "C01", record: 41 }] }
      ]
    })
  })
})

describe("a seed that is not the same twice", () => {
  it("is shown where it differs first, with the command that compares it again", () => {
    const difference: Difference = {
      seed: 3,
      where: "a second process",
      line: 12,
      first: `{"a":1,"b":2}`,
      second: `{"a":1,"b":3}`
    }
    expect(differenceLines(difference, { commit: "c", pins: {} }, style)).toEqual([
      "seed 3 does not give the same bytes in a second process",
      "  record   12 (0 is the header), character 11",
      `  first    {"a":1,"b":2}`,
      `  second   {"a":1,"b":3}`,
      "  options  none: everything is drawn from the seed",
      "  commit   c",
      "  repeat   npx rspp sim meta --first 3 --seeds 1"
    ])
  })
})

describe("the command that repeats a seed", () => {
  it("has everything that was fixed, an empty list as none", () => {
    expect(repeatCommand(5, {})).toBe("npx rspp sim --seed 5")
    expect(repeatCommand(5, { kinds: [], turns: 2, keepActions: [], keepEpisodes: [1] })).toBe(
      "npx rspp sim --seed 5 --kinds none --turns 2 --keep-actions none --keep-episodes 1"
    )
  })
})
