// The docs gate: what the README and the pages of docs/ say is what the program does.
import { globSync } from "node:fs"
import { checkCommands } from "./DocumentedCommands.ts"
import { type Gate, type GateContext, type GateResult, judged, notRun } from "./Gate.ts"
import { faultsOf, runTests, testCommand, type TestReport } from "./Tests.ts"

/** Tests of pages that run each command of their page, for minutes together: only a full verification has that time. */
export const slowPages = [
  "leasesPage",
  "livekitPage",
  "mutants",
  "operationsPage",
  "providersPage",
  "timelinePage",
  "tooling",
  "walls"
].map((name) => `test/repository/${name}.test.ts`)

/** The test files of the pages in the repository at `root`. */
export const pageTests = (root: string): ReadonlyArray<string> =>
  globSync("test/repository/*.test.ts", { cwd: root }).sort()

/** Judges pages in `directory` by the command line, and a report of the tests of pages: each file must have passed. */
export const judgeDocs = (
  command: string,
  directory: string,
  report: TestReport,
  files: ReadonlyArray<string>
): GateResult => {
  const { commands, findings, pages } = checkCommands(directory)
  const { failures, missing } = faultsOf(report)
  const passed = report.tests.filter(({ status }) => status === "passed")
  const unheard = files.filter((file) => !passed.some((test) => test.file === file))
  return judged({
    command,
    counts: { pages, commands, tests: passed.length },
    failures: [...findings, ...failures],
    missing: [
      ...(pages === 0 || commands === 0 ? [`there is no page that shows a command in ${directory}`] : []),
      ...unheard.map((file) => `no test of ${file} passed`),
      ...missing
    ],
    detail: { files }
  })
}

/** Runs these tests of pages, and judges them together with the pages in `directory`. */
export const checkDocs = async (
  context: Pick<GateContext, "root" | "signal">,
  directory: string,
  files: ReadonlyArray<string>
): Promise<GateResult> => {
  const run = { projects: ["cross"], files, limitMs: 420_000 }
  const command = testCommand(run)
  if (files.length === 0) return notRun(command, "there is no test of a page")
  const report = await runTests(context, run)
  return "reason" in report ? notRun(command, report.reason) : judgeDocs(command, directory, report, files)
}

export const docsGate: Gate = {
  name: "docs",
  about: "README and docs/ against the program; full: with every command of each page run",
  run: (context) => {
    const all = pageTests(context.root)
    const files = context.mode === "full" ? all : all.filter((file) => !slowPages.includes(file))
    return checkDocs(context, context.root, files)
  }
}
