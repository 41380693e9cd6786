// docs/guarantees.md is what scripts/generate-guarantees.ts makes of the repository, and each of its entries is whole.
import { existsSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { describe, expect, it } from "vitest"
import type { Rule } from "../../scripts/generate-guarantees.ts"
import { gather, guaranteesOf, lacking, pageOf } from "../../scripts/generate-guarantees.ts"

const repository = dirname(dirname(import.meta.dirname))

describe("the guarantees of the repository", () => {
  const { guarantees, rules } = gather(repository)
  const page = readFileSync(join(repository, "docs/guarantees.md"), "utf8")

  it("each have a sentence, a file that keeps them, and a rule or a test that holds them", () => {
    expect(lacking(guarantees, rules)).toEqual([])
    expect(guarantees.length).toBeGreaterThan(50)
  })

  it("are all on the page, with every rule, in files that are there", () => {
    expect(page).toBe(pageOf(guarantees, rules))
    for (const { id } of [...guarantees, ...rules]) expect(page).toContain(`| \`${id}\` |`)
    const links = [...page.matchAll(/\]\(\.\.\/([^)]+)\)/gu)].map(([, path = ""]) => path)
    expect(links.filter((path) => !existsSync(join(repository, path)))).toEqual([])
  })
})

describe("a page of guarantees", () => {
  const sources = {
    "packages/runtime/src/Door.ts":
      "/**\n * A door. Guarantees: I-DOOR-ONE one at a time; I-DOOR-SHUT it shuts behind\n * whoever comes. More.\n */"
  }
  const tests = { "packages/runtime/test/Door.test.ts": "// Holds I-DOOR-ONE,\n// I-DOOR-SHUT.\nimport \"x\"\n" }
  const rule: Rule = { id: "C01", holds: ["I-DOOR-ONE"], sentence: "One at a time.", file: "packages/One.ts" }
  const made = (change: { sources?: object; tests?: object; rules?: ReadonlyArray<Rule> } = {}) => {
    const rules = change.rules ?? [rule]
    const guarantees = guaranteesOf(
      new Map(Object.entries({ ...sources, ...change.sources })),
      new Map(Object.entries({ ...tests, ...change.tests })),
      rules
    )
    return { guarantees, found: lacking(guarantees, rules), page: pageOf(guarantees, rules) }
  }
  const nothing = { "packages/runtime/test/Door.test.ts": "import \"x\"\n" }

  it("says what is declared, by whom it is kept, and what holds it", () => {
    const { found, guarantees } = made()
    expect(found).toEqual([])
    expect(guarantees).toEqual([
      {
        id: "I-DOOR-ONE",
        sentence: "one at a time",
        keepers: ["packages/runtime/src/Door.ts"],
        rules: ["C01"],
        tests: ["packages/runtime/test/Door.test.ts"]
      },
      {
        id: "I-DOOR-SHUT",
        sentence: "it shuts behind whoever comes",
        keepers: ["packages/runtime/src/Door.ts"],
        rules: [],
        tests: ["packages/runtime/test/Door.test.ts"]
      }
    ])
  })

  it("finds a guarantee that nothing holds", () => {
    expect(made({ tests: nothing }).found).toEqual(["I-DOOR-SHUT has neither a rule nor a test that holds it"])
  })

  it("finds a guarantee that no file keeps: one that only a test, or only a rule, names", () => {
    const other = { "packages/runtime/test/Wall.test.ts": "// Holds I-WALL-HIGH.\n" }
    expect(made({ tests: other }).found).toEqual(["I-WALL-HIGH is declared in the docstring of no file that keeps it"])
    expect(made({ rules: [{ ...rule, holds: ["I-DOOR-ONE", "I-GONE"] }] }).found).toEqual([
      "I-GONE is declared in the docstring of no file that keeps it"
    ])
  })

  it("finds a guarantee that is named and not said, and a rule that is in no file", () => {
    const bare = { "packages/runtime/src/Door.ts": "/** Guarantees: I-DOOR-ONE; I-DOOR-SHUT it shuts. */" }
    expect(made({ sources: bare }).found).toEqual(["I-DOOR-ONE has no sentence"])
    expect(made({ rules: [{ ...rule, file: "" }] }).found).toEqual(["C01 is in no file"])
  })

  it("takes only what stands at the head of a test, and only docstrings of sources", () => {
    const late = { "packages/runtime/test/Door.test.ts": "import \"x\"\n// Holds I-DOOR-SHUT.\n" }
    expect(made({ tests: late }).found).toEqual(["I-DOOR-SHUT has neither a rule nor a test that holds it"])
    expect(made({ sources: { "packages/runtime/src/Wall.ts": "// I-WALL-HIGH it is high\n" } }).guarantees.length).toBe(
      2
    )
  })

  it("changes with every entry, so that a page that has drifted shows", () => {
    expect(made({ tests: nothing }).page).not.toBe(made().page)
    expect(made({ rules: [{ ...rule, sentence: "Two." }] }).page).not.toBe(made().page)
  })
})
