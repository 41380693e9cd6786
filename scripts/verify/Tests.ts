// Vitest as a gate asks it: which tests really ran, by its JSON report.
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { isAbsolute, join, relative } from "node:path"
import { type Ended, lastWords, runChild } from "./Child.ts"
import type { GateContext } from "./Gate.ts"

const Report = Schema.Struct({
  success: Schema.Boolean,
  testResults: Schema.Array(Schema.Struct({
    name: Schema.String,
    status: Schema.String,
    message: Schema.optionalKey(Schema.String),
    assertionResults: Schema.Array(Schema.Struct({
      fullName: Schema.String,
      status: Schema.String,
      failureMessages: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.String)))
    }))
  }))
})

/** One test that a report tells of. */
export interface Tested {
  /** Path of its file, from the root of the repository. */
  readonly file: string
  readonly name: string
  /** `passed`, `failed`, `skipped`, `pending`, `todo`. */
  readonly status: string
  /** Why it failed. */
  readonly message: string
}

/** What a report of Vitest tells. */
export interface TestReport {
  readonly tests: ReadonlyArray<Tested>
  /** Files that could not be loaded, and errors outside of any test. */
  readonly broken: ReadonlyArray<string>
}

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Report))

/** The report as text; undefined when it is none of Vitest's. */
export const readReport = (root: string, text: string): TestReport | undefined => {
  const report = Option.getOrUndefined(decode(text))
  if (report === undefined) return undefined
  const inside = (file: string) => isAbsolute(file) ? relative(root, file) : file
  const tests = report.testResults.flatMap(({ assertionResults, name }) =>
    assertionResults.map((test): Tested => ({
      file: inside(name),
      name: test.fullName,
      status: test.status,
      message: (test.failureMessages ?? [])[0]?.split("\n").slice(0, 3).join("\n") ?? ""
    }))
  )
  const unloaded = report.testResults.filter(({ assertionResults, status }) =>
    status === "failed" && !assertionResults.some((test) => test.status === "failed")
  ).map(({ message, name }) => `${inside(name)} could not be loaded: ${(message ?? "").split("\n", 1)[0]}`)
  const outside = !report.success && unloaded.length === 0 && !tests.some(({ status }) => status === "failed")
    ? ["Vitest tells of an error outside of any test"]
    : []
  return { tests, broken: [...unloaded, ...outside] }
}

export interface TestRun {
  readonly projects: ReadonlyArray<string>
  readonly files: ReadonlyArray<string>
  /** Only tests whose name matches; the others of the files are not in the report. */
  readonly named?: RegExp
  readonly limitMs: number
}

/** The command that repeats a run by hand. */
export const testCommand = ({ files, named, projects }: TestRun): string =>
  [
    "npx vitest run --config vitest.workspace.ts",
    ...projects.map((project) => `--project ${project}`),
    ...(named === undefined ? [] : [`-t '${named.source}'`]),
    ...files
  ].join(" ")

/** Runs tests; a report that Vitest did not write is a reason, in words. */
export const runTests = async (
  { root, signal }: Pick<GateContext, "root" | "signal">,
  run: TestRun
): Promise<TestReport | { readonly reason: string }> => {
  const directory = mkdtempSync(join(tmpdir(), "rspp-verify-tests-"))
  const file = join(directory, "report.json")
  try {
    const ended: Ended = await runChild(
      [
        process.execPath,
        join(root, "node_modules/vitest/vitest.mjs"),
        "run",
        "--config",
        "vitest.workspace.ts",
        ...run.projects.flatMap((project) => ["--project", project]),
        ...(run.named === undefined ? [] : ["-t", run.named.source]),
        ...run.files,
        "--reporter=json",
        `--outputFile.json=${file}`
      ],
      { cwd: root, signal, limitMs: run.limitMs }
    )
    if (ended.timedOut) return { reason: lastWords(ended) }
    let text: string
    try {
      text = readFileSync(file, "utf8")
    } catch {
      return { reason: `Vitest ended without a report: ${lastWords(ended)}` }
    }
    const report = readReport(root, text)
    if (report === undefined) return { reason: "the report of Vitest is not one that can be read" }
    // With -t the others of a file are told as skipped.
    const { named } = run
    return named === undefined
      ? report
      : { ...report, tests: report.tests.filter(({ name }) => named.test(name)) }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** What of the tests is a failure, and what did not run. */
export const faultsOf = (report: TestReport): {
  readonly failures: ReadonlyArray<string>
  readonly missing: ReadonlyArray<string>
} => ({
  failures: [
    ...report.broken,
    ...report.tests.filter(({ status }) => status === "failed")
      .map(({ file, message, name }) => `${file}: ${name}${message === "" ? "" : `\n${message}`}`)
  ],
  missing: report.tests.filter(({ status }) => status !== "passed" && status !== "failed")
    .map(({ file, name, status }) => `${file}: ${name} (${status})`)
})
