// Which failures from the field and which classes of the failure matrix are held, and which are open: all are counted.
import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import type { NamedScenario } from "./Call.ts"
import { catalogue, page } from "./Catalogue.ts"

/** Scenarios that are open. It only ever becomes smaller. */
const openScenarios = 0

const range = (letter: string, count: number, width: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, i) => letter + String(i + 1).padStart(width, "0"))

const here = (path: string): URL => new URL(path, import.meta.url)
const { held, open } = catalogue
const files = [...held.map(({ file }) => file), ...open.flatMap(({ part }) => part ?? [])]

describe("the scenarios", () => {
  it("S01 to S22 and F1 to F8 are each held or open, once", () => {
    const ids = [...held, ...open].map(({ id }) => id)
    assert.deepStrictEqual(ids.toSorted(), [...range("S", 22, 2), ...range("F", 8, 1), "X1", "X2"].toSorted())
  })

  it(`${openScenarios} are open, each with its reason and the issue that brings it`, () => {
    assert.lengthOf(open, openScenarios)
    for (const { id, issues, why } of open) {
      assert.isNotEmpty(why, id)
      assert.isNotEmpty(issues, id)
    }
  })

  it("F3, F6, F7, and cancel with lease loss in one instant, are held", () => {
    assert.includeMembers(held.map(({ id }) => id), ["F3", "F6", "F7", "X1"])
  })

  it("each file says what the catalogue says, and has cases with something to shift", async () => {
    assert.sameMembers(readdirSync(here("scenarios")), [...new Set(files)])
    const known = new Map([...held, ...open].map(({ id, sentence }) => [id, sentence]))
    for (const file of new Set(files)) {
      const { scenario } = await import(here(`scenarios/${file}`).href) as { readonly scenario: NamedScenario }
      assert.isTrue(file.startsWith(`${scenario.id}-`), file)
      assert.strictEqual(scenario.sentence, known.get(scenario.id), file)
      assert.isNotEmpty(scenario.cases, file)
      for (const { name, script } of scenario.cases) assert.isNotEmpty(script, `${file}: ${name}`)
      assert.lengthOf(new Set(scenario.cases.map(({ name }) => name)), scenario.cases.length, file)
    }
  })

  it("each file is run by one suite", () => {
    const suites = readdirSync(here(".")).filter((name) => name.endsWith(".test.ts"))
      .map((name) => readFileSync(here(name), "utf8"))
    for (const file of new Set(files)) {
      const runs = suites.flatMap((suite) => {
        const name = new RegExp(
          `import \\{ scenario as (\\w+) \\} from "\\./scenarios/${file.replaceAll(".", "\\.")}"`,
          "u"
        )
          .exec(suite)?.[1]
        return name !== undefined && suite.includes(`\nheld(${name})\n`) ? [name] : []
      })
      assert.lengthOf(runs, 1, file)
    }
  })

  it("docs/scenarios.md is the page of the catalogue", () => {
    assert.strictEqual(
      readFileSync(here("../../docs/scenarios.md"), "utf8"),
      page(),
      "node test/simulation/writePage.ts"
    )
  })
})
