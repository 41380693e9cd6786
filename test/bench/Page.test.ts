import { assert, describe, it } from "@effect/vitest"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { Figure } from "./Figure.ts"
import { isKept, percentile } from "./Figure.ts"
import { line, number, page, pagePath, renewed } from "./Page.ts"

const root = join(import.meta.dirname, "../..")

const pageOf = (figures: ReadonlyArray<Figure>, free = 1) =>
  page({
    commit: "abc1234",
    date: "2026-01-01",
    node: "v24.0.0",
    machine: "a machine, 2 cores",
    load: [0, 0, 0],
    command: "node test/bench/run.ts",
    results: [{ name: "turns", about: "What is measured.", free, figures }]
  })

describe("the page of results", () => {
  it("names commit, machine, Node and the command", () => {
    const text = pageOf([])
    for (const part of ["abc1234", "a machine, 2 cores", "v24.0.0", "`node test/bench/run.ts`"]) {
      assert.include(text, part)
    }
  })

  it("says so when a bound is not reached, and only then", () => {
    const figure: Figure = { name: "a delay", value: 3, unit: "ms", bare: 0.5, bound: { atMost: 2 } }
    assert.include(pageOf([figure]), "| a delay | 3.00 ms | 0.500 ms | 6.00 × | ≤ 2: **not reached** |")
    assert.include(line(figure), "MISSES ≤ 2")
    const kept: Figure = { ...figure, value: 1 }
    assert.notInclude(pageOf([kept]), "not reached")
    assert.include(line(kept), "keeps ≤ 2")
    assert.isFalse(isKept({ name: "a speed", value: 1, unit: "×", bound: { atLeast: 2 } }))
    assert.isUndefined(isKept({ name: "no bound", value: 1, unit: "×" }))
  })

  it("says so when the machine was shared", () => {
    assert.include(pageOf([], 0.4), "a busy loop got 40 % of a core")
    assert.notInclude(pageOf([], 0.99), "busy loop got")
  })

  it("says of a section that it broke, or that it was measured later", () => {
    const about = { commit: "a", date: "2026-01-01", node: "v24", machine: "m", load: [0], command: "run" }
    const text = page({
      ...about,
      results: [
        { name: "turns", about: "", free: 1, figures: [], broke: "the benchmark turns broke (exit 1)" },
        { name: "live", about: "L.", free: 1, figures: [], alone: { commit: "b", date: "2026-01-02" } }
      ]
    })
    assert.include(text, "## turns\n\n**Not measured**: the benchmark turns broke (exit 1).")
    assert.include(text, "Measured after the rest: `--only live`, commit b, 2026-01-02.")
  })

  it("renews a section in its place, and takes in one that was not there", () => {
    const about = { commit: "a", date: "2026-01-01", node: "v24", machine: "m", load: [0], command: "run" }
    const of = (name: string, value: number) => ({ name, about: "", free: 1, figures: [{ name, value, unit: "ms" }] })
    const whole = { ...about, results: [of("turns", 1), of("import", 1)] }
    const later = { ...about, commit: "b", results: [of("turns", 2), of("rooms", 2)] }
    const { commit, results } = renewed(whole, later, ["turns", "rooms", "import"])
    assert.strictEqual(commit, "a")
    assert.deepStrictEqual(results.map(({ alone, name }) => [name, alone?.commit]), [
      ["turns", "b"],
      ["rooms", "b"],
      ["import", undefined]
    ])
  })

  it("rounds without losing what is small", () => {
    assert.deepStrictEqual([0, 0.00012, 0.0123, 0.5, 1.234, 12.34, 1234.5].map(number), [
      "0",
      "0.000120",
      "0.0123",
      "0.500",
      "1.23",
      "12.3",
      "1235"
    ])
  })

  it("takes percentiles of what was measured, not between", () => {
    assert.strictEqual(percentile([5, 1, 3], 0.5), 3)
    assert.strictEqual(percentile(Array.from({ length: 100 }, (_, i) => i), 0.99), 99)
    assert.strictEqual(percentile([], 0.5), 0)
  })

  it.skipIf(!existsSync(join(root, pagePath)))("in the repository is of a run of all benchmarks", () => {
    const text = readFileSync(join(root, pagePath), "utf8")
    for (const name of ["frames", "turns", "cancel", "live", "soak", "simulation", "replay", "rooms", "import"]) {
      assert.include(text, `\n## ${name}\n`)
    }
  })
})
