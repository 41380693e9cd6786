/**
 * Writes docs/guarantees.md: every guarantee with the file that keeps it, the rule that watches it and the tests that
 * hold it.
 *
 *   node scripts/generate-guarantees.ts          write the page
 *   node scripts/generate-guarantees.ts --check  write nothing; exit 1 when it has drifted or an entry lacks something
 *
 * One mechanism: a guarantee is declared by its id in the docstring of the file that keeps it (`I-TURN-ONE at most one
 * turn is open`); a checker names the ids that it watches over in `holds`; a test names them in a comment at its head
 * (`// Holds I-TURN-ONE, I-TURN-CLOSE.`).
 */
import { checkers } from "@rspp/simulation/checkers/Registry"
import { globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"

export interface Guarantee {
  readonly id: string
  /** What holds, in the words of its keeper; empty when no docstring says it. */
  readonly sentence: string
  readonly keepers: ReadonlyArray<string>
  readonly rules: ReadonlyArray<string>
  readonly tests: ReadonlyArray<string>
}

/** What of a checker the page shows. */
export interface Rule {
  readonly id: string
  readonly holds: ReadonlyArray<string>
  readonly sentence: string
  readonly file: string
}

/** Sources by their path. */
export type Files = ReadonlyMap<string, string>

const idPattern = /\b[IW]-[A-Z]+(?:-[A-Z]+)*\b/gu
const plantedIn = "packages/simulation/test/Checkers.test.ts"

/** The text of each docstring, without its stars. */
const docstrings = (source: string): ReadonlyArray<string> =>
  [...source.matchAll(/\/\*\*(.*?)\*\//gsu)].map(([, text = ""]) =>
    text.split("\n").map((line) => line.replace(/^\s*\* ?/u, "")).join("\n")
  )

/**
 * What a docstring says of each id in it: from the id to the next one, or to the end of the sentence; of an id in
 * brackets what comes before it. Empty where it only names the id.
 */
const declarations = (text: string): ReadonlyArray<readonly [id: string, sentence: string]> => {
  const flat = text.replace(/\{@link (\w+)\}/gu, "`$1`").replace(/\s+/gu, " ")
  const found = [...flat.matchAll(idPattern)]
  return found.map((match, index) => {
    if (flat[match.index - 1] === "(") {
      const before = flat.slice(0, match.index - 1).split(/[.;:]\s|,\s(?:and )?|\bI-[A-Z-]+\)/u).at(-1) ?? ""
      return [match[0], before.trim()]
    }
    const rest = flat.slice(match.index + match[0].length, found[index + 1]?.index ?? flat.length)
      .replace(/^\*\*/u, "")
    if (!rest.startsWith(" ")) return [match[0], ""]
    const [sentence = ""] = rest.split(/\.(?:\s|$)/u)
    return [match[0], sentence.replace(/[\s;,*-]+$/u, "").trim()]
  })
}

/** Every guarantee that is declared, watched or held, in the order of its id. */
export const guaranteesOf = (sources: Files, tests: Files, rules: ReadonlyArray<Rule>): ReadonlyArray<Guarantee> => {
  const known = new Map<string, { sentence: string; keepers: Set<string>; rules: Array<string>; tests: Set<string> }>()
  const entry = (id: string) => {
    const own = known.get(id) ?? { sentence: "", keepers: new Set(), rules: [], tests: new Set() }
    known.set(id, own)
    return own
  }
  for (const [path, source] of sources) {
    for (const [id, sentence] of docstrings(source).flatMap(declarations)) {
      const own = entry(id)
      own.keepers.add(path)
      if (own.sentence === "") own.sentence = sentence
    }
  }
  for (const { holds, id } of rules) for (const held of holds) entry(held).rules.push(id)
  for (const [path, source] of tests) {
    const [head = ""] = /^(?:\/\/.*\n)*/u.exec(source) ?? []
    if (!head.startsWith("// Holds ")) continue
    for (const [id] of head.matchAll(idPattern)) entry(id).tests.add(path)
  }
  return [...known].sort(([a], [b]) => a < b ? -1 : 1).map(([id, own]) => ({
    id,
    sentence: own.sentence,
    keepers: [...own.keepers].sort(),
    rules: own.rules,
    tests: [...own.tests].sort()
  }))
}

/** What is missing, one line each; nothing when every entry is whole. */
export const lacking = (guarantees: ReadonlyArray<Guarantee>, rules: ReadonlyArray<Rule>): ReadonlyArray<string> => [
  ...guarantees.flatMap(({ id, keepers, rules: own, sentence, tests }) => [
    ...(keepers.length === 0 ? [`${id} is declared in the docstring of no file that keeps it`] : []),
    ...(keepers.length > 0 && sentence === "" ? [`${id} has no sentence`] : []),
    ...(own.length === 0 && tests.length === 0 ? [`${id} has neither a rule nor a test that holds it`] : [])
  ]),
  ...rules.filter(({ file }) => file === "").map(({ id }) => `${id} is in no file`)
]

const link = (path: string): string => `[${path.split("/").at(-1)}](../${path})`

/** The page. */
export const pageOf = (guarantees: ReadonlyArray<Guarantee>, rules: ReadonlyArray<Rule>): string => {
  const capital = (text: string) => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`
  const row = (cells: ReadonlyArray<string>) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`
  return [
    "# What RSPP guarantees",
    "",
    "Generated by `node scripts/generate-guarantees.ts`; do not edit. A guarantee stands in the docstring of the file that",
    "keeps it. A rule (`C…`) reads timelines only and is run on every seed of `make sim`; a test holds what no timeline shows.",
    "",
    `## Guarantees (${guarantees.length})`,
    "",
    "| id | what holds | kept by | rules | tests |",
    "| --- | --- | --- | --- | --- |",
    ...guarantees.map(({ id, keepers, rules: own, sentence, tests }) =>
      row([
        `\`${id}\``,
        capital(sentence),
        keepers.map(link).join(", "),
        own.map((rule) => `[${rule}](#rules)`).join(", ") || "–",
        tests.map(link).join(", ") || "–"
      ])
    ),
    "",
    "## Rules",
    "",
    `Each has planted violations that turn it red, in ${link(plantedIn)}.`,
    "",
    "| id | what every timeline keeps | checker | watches over |",
    "| --- | --- | --- | --- |",
    ...rules.map(({ file, holds, id, sentence }) =>
      row([`\`${id}\``, sentence, link(file), holds.map((held) => `\`${held}\``).join(", ") || "–"])
    ),
    ""
  ].join("\n")
}

const read = (root: string, pattern: string): Files =>
  new Map(
    globSync(pattern, { cwd: root, exclude: (name) => name === "node_modules" }).sort().map((path) => [
      path,
      readFileSync(join(root, path), "utf8")
    ])
  )

/** Everything that the page is made of, from the files of the repository. */
export const gather = (root: string) => {
  const sources = read(root, "packages/{runtime,timeline,simulation}/src/**/*.ts")
  const tests = new Map([...read(root, "packages/*/test/**/*.test.ts"), ...read(root, "test/**/*.test.ts")])
  const rules = checkers.map(({ holds = [], id, sentence }): Rule => ({
    id,
    holds,
    sentence,
    file: [...sources].find(([, source]) => source.includes(`id: "${id}"`))?.[0] ?? ""
  }))
  return { rules, guarantees: guaranteesOf(sources, tests, rules) }
}

if (import.meta.main) {
  const root = dirname(import.meta.dirname)
  const path = join(root, "docs/guarantees.md")
  const { guarantees, rules } = gather(root)
  const page = pageOf(guarantees, rules)
  const problems = [...lacking(guarantees, rules)]
  if (process.argv.includes("--check")) {
    const [present] = read(root, "docs/guarantees.md").values()
    if (present !== page) problems.push("docs/guarantees.md has drifted; run: node scripts/generate-guarantees.ts")
  } else {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, page)
    console.log(`${guarantees.length} guarantees, ${rules.length} rules`)
  }
  for (const problem of problems) console.error(problem)
  if (problems.length > 0) process.exitCode = 1
}
