import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import type { HostedEntry } from "./HostedEntry.ts"
import { hostedCases } from "./HostedCases.ts"

/** The page that shows the tables. `RSPP_WRITE_TABLE=1` writes what the run gave; otherwise it must say the same. */
const page = new URL("../../../../../docs/provider-conformance.md", import.meta.url)

type Mark = "yes" | "NO" | "–"

/** The table of a modality as Markdown: a row for each case, a column for each adapter. */
export const tableOf = (
  entries: ReadonlyArray<Pick<HostedEntry, "name" | "without">>,
  marks: ReadonlyMap<string, Mark>
): string => {
  const row = (cells: ReadonlyArray<string>) => `| ${cells.join(" | ")} |`
  const exempt = entries.flatMap(({ name, without }) =>
    Object.entries(without).map(([of, why]) => `- \`${name}\`, ${of}: ${why}`)
  )
  return [
    row(["case", ...entries.map(({ name }) => `\`${name}\``)]),
    row(["---", ...entries.map(() => "---")]),
    ...hostedCases.map((one) =>
      row([one.name, ...entries.map(({ name }) => marks.get(`${name}: ${one.name}`) ?? "NO")])
    ),
    ...(exempt.length === 0 ? [] : ["", "No place for it in the protocol (–):", "", ...exempt])
  ].join("\n")
}

const between = (modality: string) => [`<!-- ${modality}: begin -->\n\n`, `\n\n<!-- ${modality}: end -->`] as const

/** The table of a modality as the page shows it. */
export const shownTable = (text: string, modality: string): string | undefined => {
  const [begin, end] = between(modality)
  const from = text.indexOf(begin)
  const to = text.indexOf(end)
  return from < 0 || to < 0 ? undefined : text.slice(from + begin.length, to)
}

/** Runs every case over every adapter of a modality, prints the table, and holds the page to it. */
export const hostedConformance = (modality: string, entries: ReadonlyArray<HostedEntry>): void => {
  const marks = new Map<string, Mark>()
  for (const entry of entries) {
    describe(`adapter ${entry.name}`, () => {
      for (const one of hostedCases) {
        if (entry.without[one.name] !== undefined) {
          marks.set(`${entry.name}: ${one.name}`, "–")
          continue
        }
        it.live(`${one.name}: ${one.promise}`, () =>
          Effect.flatMap(entry.drive, (driven) => one.run(driven)).pipe(
            Effect.andThen(Effect.sync(() => void marks.set(`${entry.name}: ${one.name}`, "yes"))),
            Effect.scoped
          ), 120_000)
      }
    })
  }
  describe(`the page of ${modality}`, () => {
    it("shows what this run gave", () => {
      const table = tableOf(entries, marks)
      const text = readFileSync(page, "utf8")
      const [begin, end] = between(modality)
      if (process.env["RSPP_WRITE_TABLE"] === "1") {
        const old = shownTable(text, modality)
        assert.isDefined(old, `${page.pathname} has no place for ${modality}`)
        writeFileSync(page, text.replace(`${begin}${old}${end}`, () => `${begin}${table}${end}`))
      } else {assert.strictEqual(
          shownTable(text, modality),
          table,
          "docs/provider-conformance.md is not what this run gave"
        )}
    })
  })
  afterAll(() => console.log(`\nConformance of ${modality} adapters:\n\n${tableOf(entries, marks)}\n`))
}
