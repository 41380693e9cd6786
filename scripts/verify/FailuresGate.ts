// The failures gate: each class of the failure matrix (CONTRACT section 8) was injected, in each of its cases, and held.
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import type { NamedScenario } from "../../test/simulation/Call.ts"
import { type Gate, type GateContext, type GateResult, judged, notRun } from "./Gate.ts"
import { faultsOf, runTests, testCommand, type TestReport, type TestRun } from "./Tests.ts"

/** The classes that a quick verification runs: one before a turn, one within, one about authority. */
export const quickClasses = ["F1", "F3", "F7"]
export const everyClass = ["F1", "F2", "F3", "F4", "F5", "F6", "F7", "F8"]

/** A class of the matrix and the tests that must have run: each case as written, and with each event shifted. */
export interface FailureClass {
  readonly id: string
  /** Full names of the tests, as Vitest gives them. */
  readonly tests: ReadonlyArray<string>
}

/** The classes as their scenario files in `directory` have them. A class without a file has no tests. */
export const failureClasses = (
  directory: string,
  ids: ReadonlyArray<string>
): Promise<ReadonlyArray<FailureClass>> =>
  Promise.all(ids.map(async (id) => {
    const file = readdirSync(directory).find((name) => name.startsWith(`${id}-`) && name.endsWith(".ts"))
    if (file === undefined) return { id, tests: [] }
    const { scenario } = await import(pathToFileURL(join(directory, file)).href) as { readonly scenario: NamedScenario }
    return {
      id,
      tests: scenario.cases.flatMap(({ name }) =>
        ["as written, recorded and replayed", "with each event shifted by one place"].map((how) =>
          `${id} ${scenario.sentence} ${name}: ${how}`
        )
      )
    }
  }))

/** Judges what a run of the scenarios told: no class may fail, and each test of each class must have passed by name. */
export const judgeFailures = (
  command: string,
  report: TestReport,
  classes: ReadonlyArray<FailureClass>
): GateResult => {
  const passed = new Set(report.tests.filter(({ status }) => status === "passed").map(({ name }) => name))
  const told = new Set(report.tests.map(({ name }) => name))
  const { failures, missing } = faultsOf(report)
  const absent = classes.flatMap(({ id, tests }) =>
    tests.length === 0
      ? [`${id}: there is no scenario of this class`]
      : tests.filter((name) => !told.has(name)).map((name) => `${id}: nobody ran "${name}"`)
  )
  return judged({
    command,
    counts: { classes: classes.length, tests: passed.size },
    failures,
    missing: [...absent, ...missing],
    detail: {
      per_class: Object.fromEntries(
        classes.map((
          { id, tests }
        ) => [id, { wanted: tests.length, passed: tests.filter((one) => passed.has(one)).length }])
      )
    }
  })
}

const runOf = (ids: ReadonlyArray<string>): TestRun => ({
  projects: ["cross"],
  files: ["test/simulation/failures.test.ts"],
  named: new RegExp(`^(?:${ids.join("|")}) `, "u"),
  limitMs: 420_000
})

/** Runs the scenarios of these classes and judges the report. */
export const checkFailures = async (
  context: Pick<GateContext, "root" | "signal">,
  ids: ReadonlyArray<string>
): Promise<GateResult> => {
  const run = runOf(ids)
  const classes = await failureClasses(join(context.root, "test/simulation/scenarios"), ids)
  const report = await runTests(context, run)
  return "reason" in report
    ? notRun(testCommand(run), report.reason)
    : judgeFailures(testCommand(run), report, classes)
}

export const failuresGate: Gate = {
  name: "failures",
  about: "the failure matrix, each case by name; quick: F1, F3, F7; full: F1 to F8",
  run: (context) => checkFailures(context, context.mode === "full" ? everyClass : quickClasses)
}
