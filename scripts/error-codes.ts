// The machine-readable codes and reasons that the program can print, collected from its sources.
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"

/** A typed error that a command can end with. */
export interface TypedError {
  readonly tag: string
  /** What its docstring says first. */
  readonly sentence: string
}

export interface Codes {
  /** `code` of problems, findings and errors, with the file that gives it. */
  readonly codes: ReadonlyMap<string, string>
  /** `reason` of control signals, events, outcomes and invocations. */
  readonly reasons: ReadonlyMap<string, string>
  readonly errors: ReadonlyArray<TypedError>
}

const word = "\"([a-z][a-z_0-9]*[a-z0-9])\""

const codePatterns = [
  new RegExp(`\\bcode: ${word}`, "gu"),
  new RegExp(`\\bnotReady\\(${word}`, "gu"),
  // `notFound("key", …)`
  new RegExp(`\\bnotFound\\(${word}`, "gu"),
  // `code: kind + "_invalid"` of the documents of a control plane.
  new RegExp(`\\bmakeDocuments\\("\\w+", ${word}`, "gu")
]

/** What a pattern finds is the code itself, but for these two. */
const suffixes = ["", "", "_not_found", "_invalid"]

const reasonPatterns = [
  new RegExp(`\\bdenied\\(\\s*${word}`, "gu"),
  new RegExp(`\\breason(?:\\))? \\?\\? ${word}`, "gu"),
  new RegExp(`\\b(?:refuse|cancel|cancelAll|turnAway|fence|lost|tellShed)\\([^()\\n]*${word}\\)`, "gu"),
  new RegExp(`\\b(?:full|late): ${word}`, "gu")
]

/** A list of codes or reasons that are declared together. */
const lists = [
  /\bcode: Schema\.Literals\(\[(.*?)\]/gsu,
  /ErrorCode = Schema\.Literals\(\[(.*?)\]/gsu
]
const reasonLists = [
  /\breason: Schema\.Literals\(\[(.*?)\]/gsu,
  /\bRefusal = ([^\n]*)/gu,
  /\b(?:abortReasons|pressureReasons|outcomeClasses) = \[(.*?)\]/gsu
]

/** What a value is compared with is not what it becomes. */
const compared = /(?:[!=]==|includes\(|Literal\(|\w\[) ?"\w+"/gu

/** Every word that a `reason:` may be, the branches of a condition too. */
const givenReasons = (source: string) =>
  source.split("\n").flatMap((line) =>
    wordsIn((/\b(?:reason(?::| =) |withdraw\()([^,}]*)/u.exec(line)?.[1] ?? "").replaceAll(compared, ""))
  )

const wordsIn = (text: string) => [...text.matchAll(new RegExp(word, "gu"))].map(([, found = ""]) => found)

/** What one source gives. */
export const codesIn = (
  source: string
): { readonly codes: ReadonlyArray<string>; readonly reasons: ReadonlyArray<string> } => ({
  codes: [
    ...codePatterns.flatMap((pattern, index) =>
      [...source.matchAll(pattern)].map(([, found = ""]) => `${found}${suffixes[index] ?? ""}`)
    ),
    ...lists.flatMap((pattern) => [...source.matchAll(pattern)].flatMap(([, list = ""]) => wordsIn(list)))
  ],
  reasons: [
    ...givenReasons(source),
    ...reasonPatterns.flatMap((pattern) => [...source.matchAll(pattern)].map(([, found = ""]) => found)),
    ...reasonLists.flatMap((pattern) => [...source.matchAll(pattern)].flatMap(([, list = ""]) => wordsIn(list)))
  ]
})

/** The typed errors of a source, with the first sentence of the docstring above each. */
export const errorsIn = (source: string): ReadonlyArray<TypedError> =>
  [...source.matchAll(
    /(?:\/\*\*((?:(?!\*\/).)*)\*\/\s*)?export class \w+ extends Schema\.TaggedError<\w+>\(\)\("(\w+)"/gsu
  )].map(([, docstring = "", tag = ""]) => {
    const text = docstring.replace(/^\s*\* ?/gmu, "").replace(/\{@link (\w+)\}/gu, "`$1`").split(/\n\s*\n|\n- /u)[0] ??
      ""
    const flat = text.replace(/\s+/gu, " ").trim()
    return { tag, sentence: /^.*?[.:](?=\s|$)/u.exec(flat)?.[0].replace(/:$/u, ".") ?? flat }
  })

/** All of them. The kit that tests nodes gives no reasons to users. */
export const collect = (root: string): Codes => {
  const codes = new Map<string, string>()
  const reasons = new Map<string, string>()
  const errors: Array<TypedError> = []
  for (const path of globSync("packages/simulation/src/**/*.ts", { cwd: root })) {
    errors.push(...errorsIn(readFileSync(join(root, path), "utf8")))
  }
  const paths = globSync([
    "packages/{cli,control,providers,runtime,sql,timeline,transports}/src/**/*.ts",
    "contracts/src/*.ts"
  ], {
    cwd: root
  }).filter((path) => !path.endsWith("NodeTestKit.ts")).sort()
  for (const path of paths) {
    const source = readFileSync(join(root, path), "utf8")
    const found = codesIn(source)
    for (const code of found.codes) codes.set(code, path)
    // A flag or field that is called so is none.
    for (const reason of found.reasons) if (reason !== "reason") reasons.set(reason, path)
    errors.push(...errorsIn(source))
  }
  return { codes, reasons, errors: errors.sort((a, b) => a.tag < b.tag ? -1 : 1) }
}
