// Runs the checks in order and says in one line each how they went; shows a check's output only when it fails.
//
//   node scripts/check.ts           the checks (`make verify`)
//   node scripts/check.ts --tests   the determinism test, the checks, every test (`make test`)
//   node scripts/check.ts --format  rewrites the sources in the house format (`make format`)
//   --only a,b                      of the checks only these
//   --json                          the verdicts of the checks as one JSON value instead of lines
//
// The determinism test comes first: if the same seed twice does not give the same bytes, no other verdict means anything,
// so nothing more is run. Any other failure lets the rest go on. The last line is `N passed, N failed` (with `, N skipped`
// where something was skipped), checks and tests counted together.
//
// A check that could not run is never a pass: it fails, except that a tool without a program for this machine is skipped
// outside CI (the registry at hand may lack it). Exit codes: 0, 1 (something failed), 2 (usage), 130 (interrupted).
import { type ChildProcess, spawn } from "node:child_process"
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"

export type Verdict =
  | { readonly verdict: "passed" }
  | { readonly verdict: "failed"; readonly output: string }
  | { readonly verdict: "skipped"; readonly reason: string }

interface Result {
  readonly code: number
  readonly output: string
}

interface Check {
  readonly name: string
  readonly command: ReadonlyArray<string>
  /** Decides what came out; without it the exit code does. */
  readonly judge?: (result: Result) => Verdict
}

export interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

const root = dirname(import.meta.dirname)
const vitest = ["vitest", "run", "--config", "vitest.workspace.ts"]
const interruptedCode = 130
const usageCode = 2

const passed: Verdict = { verdict: "passed" }
const failed = (output: string): Verdict => ({ verdict: "failed", output })

/** Effect's diagnostics say "0 errors" too when they looked at no file: they do so when tsconfig.json lacks the plugin. */
export const judgeEffects = ({ code, output }: Result): Verdict => {
  const checked = /Checked (\d+) files? out of/u.exec(output)?.[1]
  if (checked === undefined || checked === "0") {
    return failed(`${output}\nno file was checked: is the plugin entry still in tsconfig.json?`)
  }
  return code === 0 ? passed : failed(output)
}

const judgeFormat = ({ code, output }: Result): Verdict =>
  code === 0
    ? passed
    : failed(`${output.replaceAll(`${root}/`, "")}these files are not in the house format; run make format`)

const checks: ReadonlyArray<Check> = [
  { name: "dependencies", command: ["node", "scripts/check-dependencies.ts"] },
  { name: "format", command: ["dprint", "check", "--list-different"], judge: judgeFormat },
  { name: "lint", command: ["oxlint", "--deny-warnings", "--format=unix"] },
  { name: "types", command: ["tsc", "-p", "."] },
  {
    name: "effects",
    command: [
      "effect-tsgo",
      "diagnostics",
      "--project",
      "tsconfig.json",
      "--strict",
      "--severity",
      "error,warning",
      "--format",
      "text"
    ],
    judge: judgeEffects
  },
  { name: "walls", command: ["node", "scripts/check-walls.ts"] },
  { name: "schema", command: ["node", "scripts/generate-schema.ts", "--check"] }
]

/** What a tool that came without a program for this machine prints. */
const missingProgram =
  /Cannot find native binding|Cannot find module '@(?:oxlint|dprint|effect|typescript)\/|Could not find package|No binary|ENOENT.*(?:oxlint|dprint|tsgo)/u

let running: ChildProcess | undefined
let interrupted = false
const json = process.argv.includes("--json")

const run = (command: ReadonlyArray<string>, output: "collect" | "show"): Promise<Result> =>
  new Promise((resolve) => {
    const [program, ...args] = command
    const child = spawn(program ?? "", args, {
      cwd: root,
      // The formatter keeps its compiled plugin with the packages, not in the user's home.
      env: { ...process.env, DPRINT_CACHE_DIR: join(root, "node_modules/.cache/dprint"), NO_UPDATE_NOTIFIER: "1" },
      stdio: output === "show" ? "inherit" : ["ignore", "pipe", "pipe"]
    })
    running = child
    const chunks: Array<Buffer> = []
    child.stdout?.on("data", (chunk: Buffer) => chunks.push(chunk))
    child.stderr?.on("data", (chunk: Buffer) => chunks.push(chunk))
    child.on("error", (error) => resolve({ code: 69, output: error.message }))
    child.on("close", (code) => resolve({ code: code ?? interruptedCode, output: Buffer.concat(chunks).toString() }))
  })

const judge = (check: Check, result: Result): Verdict => {
  if (result.code !== 0 && missingProgram.test(result.output) && process.env["CI"] === undefined) {
    return {
      verdict: "skipped",
      reason: `not run: ${check.command[0]} has no program for ${process.platform}-${process.arch}`
    }
  }
  return (check.judge ?? (({ code, output }) => code === 0 ? passed : failed(output)))(result)
}

const labels = { passed: "ok  ", failed: "FAIL", skipped: "skip" }

const report = (name: string, verdict: Verdict, startedMs: number) => {
  if (json) return
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  const reason = verdict.verdict === "skipped" ? `  ${verdict.reason}` : ""
  console.log(`${labels[verdict.verdict]}  ${name.padEnd(13)}${seconds.padStart(6)} s${reason}`)
  if (verdict.verdict === "failed") console.log(verdict.output.trimEnd().replaceAll(/^/gmu, "      "))
}

const runCheck = async (check: Check): Promise<Verdict> => {
  const startedMs = performance.now()
  const verdict = judge(check, await run(check.command, "collect"))
  if (!interrupted) report(check.name, verdict, startedMs)
  return verdict
}

/** The counts in Vitest's JSON report. A file that could not be loaded has no tests and counts as one failure. */
export const countTests = (text: string, code: number): Counts => {
  const json = JSON.parse(text) as {
    readonly numPassedTests: number
    readonly numFailedTests: number
    readonly numPendingTests: number
    readonly numTodoTests: number
    readonly testResults: ReadonlyArray<{
      readonly status: string
      readonly assertionResults: ReadonlyArray<{ readonly status: string }>
    }>
  }
  const unloaded =
    json.testResults.filter(({ status, assertionResults }) =>
      status === "failed" && !assertionResults.some((assertion) => assertion.status === "failed")
    ).length
  const failures = json.numFailedTests + unloaded
  return {
    passed: json.numPassedTests,
    // An error outside of any test fails the run without failing a test.
    failed: failures === 0 && code !== 0 ? 1 : failures,
    skipped: json.numPendingTests + json.numTodoTests
  }
}

const runTests = async (): Promise<Counts> => {
  const directory = mkdtempSync(join(tmpdir(), "rspp-tests-"))
  const file = join(directory, "report.json")
  try {
    const { code } = await run(
      [...vitest, "--reporter=default", "--reporter=json", `--outputFile.json=${file}`],
      "show"
    )
    return countTests(readFileSync(file, "utf8"), code)
  } catch {
    console.log("FAIL  tests: Vitest ended without a report")
    return { passed: 0, failed: 1, skipped: 0 }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** The determinism test: every `meta.test.ts`. That there is none is a failure, since then nothing vouches for the rest. */
const runDeterminism = async (): Promise<Verdict> => {
  const files = globSync("{test,packages/*/test,contracts/test}/**/{,*.}meta.test.ts", { cwd: root })
  const check: Check = { name: "determinism", command: [...vitest, ...files] }
  if (files.length > 0) return runCheck(check)
  const verdict = failed("not run: there is no meta.test.ts")
  report(check.name, verdict, performance.now())
  return verdict
}

/** The checks that `--only` names, all without it; what is wrong with it, in words. */
const only = (): ReadonlyArray<Check> | string => {
  const at = process.argv.indexOf("--only")
  if (at < 0) return checks
  const names = (process.argv[at + 1] ?? "").split(",")
  const unknown = names.find((name) => !checks.some((check) => check.name === name))
  return unknown === undefined
    ? checks.filter(({ name }) => names.includes(name))
    : `--only ${unknown}: there are ${checks.map(({ name }) => name).join(", ")}`
}

const closing = ({ passed: good, failed: bad, skipped }: Counts) =>
  `${good} passed, ${bad} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`

const main = async (withTests: boolean): Promise<number> => {
  const verdicts: Array<Verdict> = []
  const tally = (kind: Verdict["verdict"]) => verdicts.filter(({ verdict }) => verdict === kind).length
  const finish = (tests: Counts): number => {
    if (interrupted) return interruptedCode
    const counts = {
      passed: tally("passed") + tests.passed,
      failed: tally("failed") + tests.failed,
      skipped: tally("skipped") + tests.skipped
    }
    console.log(closing(counts))
    return counts.failed === 0 && counts.passed > 0 ? 0 : 1
  }
  const none = { passed: 0, failed: 0, skipped: 0 }
  if (withTests) {
    verdicts.push(await runDeterminism())
    if (tally("failed") > 0) return finish(none)
  }
  const chosen = only()
  if (typeof chosen === "string") {
    console.error(chosen)
    return usageCode
  }
  const told: Array<{ readonly name: string } & Verdict> = []
  for (const check of chosen) {
    if (interrupted) break
    const verdict = await runCheck(check)
    verdicts.push(verdict)
    told.push({ name: check.name, ...verdict })
  }
  if (json && !interrupted) {
    console.log(JSON.stringify({ checks: told }))
    return tally("failed") === 0 && tally("passed") > 0 ? 0 : 1
  }
  return finish(withTests && !interrupted ? await runTests() : none)
}

if (import.meta.main) {
  // A reader that went away (`make verify | head`) is not a failure to report.
  process.stdout.on("error", () => process.exit(1))
  process.on("SIGINT", () => {
    interrupted = true
  })
  process.on("SIGTERM", () => {
    interrupted = true
    running?.kill()
  })
  process.exitCode = process.argv.includes("--format")
    ? (await run(["dprint", "fmt"], "show")).code
    : await main(process.argv.includes("--tests"))
}
