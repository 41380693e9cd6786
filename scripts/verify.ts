// Runs the gates and writes what came of each: `make verify-quick`, `make verify-full` (through scripts/verify.sh).
import { mkdirSync, readdirSync, rmSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import { parseArgs } from "node:util"
import { type GateArtifact, overall, writeArtifact, writeSummary } from "./verify/Artifacts.ts"
import { contractsGate } from "./verify/ContractsGate.ts"
import { docsGate } from "./verify/DocsGate.ts"
import { failuresGate } from "./verify/FailuresGate.ts"
import {
  type Gate,
  type GateContext,
  gateNames,
  type GateResult,
  type GateVerdict,
  type Mode,
  modes,
  notRun
} from "./verify/Gate.ts"
import { replayGate } from "./verify/ReplayGate.ts"
import { simulationGate } from "./verify/SimulationGate.ts"
import { sloGate } from "./verify/SloGate.ts"
import { type SourceState, sourceState } from "./verify/Source.ts"
import { wallsGate } from "./verify/WallsGate.ts"

/** Every gate, in the order in which they run. */
export const gates: ReadonlyArray<Gate> = [
  contractsGate,
  replayGate,
  wallsGate,
  docsGate,
  failuresGate,
  simulationGate,
  sloGate
]

/** Exit codes, as those of `rspp`. */
const exits = { pass: 0, fail: 1, usage: 2, not_run: 69, interrupted: 130 }

const help = `Usage: scripts/verify.sh quick|full [--only GATE]... [--out DIR] [--json]

Runs the gates on this tree and writes what came of each.

  quick   what a push must pass, about two minutes
  full    what a release must pass, about ten minutes

${gates.map(({ about, name }) => `  ${name.padEnd(11)} ${about}`).join("\n")}

  --only GATE   run this gate alone (repeatable); leaves no summary.json, so that nobody takes it for the whole
  --out DIR     where the artifacts go; default .rspp/verify/MODE, with --only .rspp/verify/only
                A directory that is there is emptied first.
  --json        print the verdicts as one JSON value; progress goes to standard error

Artifacts: GATE.json for each gate, and summary.json with the hash of every file.
Exit codes: ${exits.pass} pass, ${exits.fail} a gate fails, ${exits.usage} usage, ${exits.not_run} a gate could not run, ${exits.interrupted} interrupted.
`

export interface VerifyOptions {
  readonly root: string
  readonly mode: Mode
  readonly gates: ReadonlyArray<Gate>
  /** Whether these are all gates: then a summary is written. */
  readonly whole: boolean
  readonly out: string
  readonly signal: AbortSignal
  readonly say: (line: string) => void
  readonly source?: (root: string) => SourceState
}

export interface Verification {
  readonly verdict: GateVerdict | "interrupted"
  readonly source: SourceState
  readonly artifacts: ReadonlyArray<GateArtifact>
  readonly findings: ReadonlyArray<string>
}

const labels = { pass: "pass   ", fail: "FAIL   ", not_run: "NOT RUN" }

const indented = (lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines.flatMap((line) => line.split("\n").map((one) => `         ${one}`))

/** A gate that throws has not run. */
const runGate = async (gate: Gate, context: GateContext): Promise<GateResult> => {
  try {
    return await gate.run(context)
  } catch (error) {
    const why = error instanceof Error ? error.stack ?? error.message : String(error)
    return notRun(`scripts/verify.sh ${context.mode} --only ${gate.name}`, why)
  }
}

/**
 * Runs gates one after the other and writes their artifacts into `out`, which is emptied first: what lies there afterwards is
 * of this run alone. An interrupted run leaves no summary.
 */
export const verify = async (options: VerifyOptions): Promise<Verification> => {
  const { mode, out, root, say, signal, whole } = options
  const stateOf = options.source ?? sourceState
  const startedAt = new Date()
  const source = stateOf(root)
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out, { recursive: true })
  const artifacts: Array<GateArtifact> = []
  for (const gate of options.gates) {
    if (signal.aborted) break
    const gateStarted = new Date()
    say(`…        ${gate.name}`)
    const directory = join(out, gate.name)
    mkdirSync(directory, { recursive: true })
    const result = await runGate(gate, {
      root,
      mode,
      directory,
      signal,
      say: (line) => say(`…        ${gate.name.padEnd(11)}${line}`)
    })
    if (readdirSync(directory).length === 0) rmSync(directory, { recursive: true })
    if (signal.aborted) break
    const endedAt = new Date()
    artifacts.push(
      writeArtifact(out, { gate: gate.name, mode, source }, { startedAt: gateStarted, endedAt }, result)
    )
    const seconds = ((endedAt.getTime() - gateStarted.getTime()) / 1000).toFixed(1).padStart(6)
    say(`${labels[result.verdict]}  ${gate.name.padEnd(11)}${seconds} s  ${result.says}`)
    if (result.verdict !== "pass") {
      for (const line of indented([...result.findings, `again: ${result.command}`])) say(line)
    }
  }
  if (signal.aborted) return { verdict: "interrupted", source, artifacts, findings: [] }
  const now = stateOf(root)
  const findings = now.commit === source.commit && now.dirty === source.dirty
    ? []
    : ["the tree changed while it was verified: run it again and leave the tree alone meanwhile"]
  for (const line of findings) say(`NOT RUN  ${line}`)
  const verdict = whole
    ? writeSummary(out, { mode, source, startedAt }, artifacts, findings)
    : overall([...artifacts.map((one) => one.verdict), ...(findings.length > 0 ? (["not_run"] as const) : [])])
  return { verdict, source, artifacts, findings }
}

const usage = (message: string): number => {
  process.stderr.write(`verify: ${message}\n\n${help}`)
  return exits.usage
}

const main = async (): Promise<number> => {
  const options = { only: { type: "string", multiple: true }, out: { type: "string" } } as const
  const switches = { json: { type: "boolean" }, help: { type: "boolean", short: "h" } } as const
  let parsed
  try {
    parsed = parseArgs({ options: { ...options, ...switches }, allowPositionals: true })
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error))
  }
  const { positionals, values } = parsed
  if (values.help === true) {
    process.stdout.write(help)
    return exits.pass
  }
  const mode = modes.find((one) => one === positionals[0])
  if (mode === undefined || positionals.length !== 1) return usage("say quick or full")
  const only = values.only ?? []
  const unknown = only.find((name) => !gates.some((gate) => gate.name === name))
  if (unknown !== undefined) return usage(`there is no gate ${unknown}; there are ${gateNames.join(", ")}`)

  const root = dirname(import.meta.dirname)
  const whole = only.length === 0
  const out = resolve(values.out ?? join(root, ".rspp/verify", whole ? mode : "only"))
  const json = values.json === true
  const stop = new AbortController()
  const interrupt = () => stop.abort()
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, interrupt)
  const say = (line: string) => void (json ? process.stderr : process.stdout).write(`${line}\n`)
  const startedMs = performance.now()
  const { artifacts, findings, source, verdict } = await verify({
    root,
    mode,
    gates: whole ? gates : gates.filter(({ name }) => only.includes(name)),
    whole,
    out,
    signal: stop.signal,
    say
  })
  const seconds = Math.round((performance.now() - startedMs) / 1000)
  const where = relative(process.cwd(), out)
  if (json) {
    const verdicts = artifacts.map(({ findings, gate, says, verdict }) => ({ gate, verdict, says, findings }))
    process.stdout.write(
      `${JSON.stringify({ mode, ...source, verdict, findings, gates: verdicts, directory: where })}\n`
    )
  }
  const passed = artifacts.filter((one) => one.verdict === "pass").length
  const commit = source.commit === undefined ? "no commit" : `commit ${source.commit.slice(0, 12)}`
  const about = `${commit}${source.dirty ? " with changes" : ""}`
  const word = { pass: "pass", fail: "FAIL", not_run: "NOT RUN", interrupted: "interrupted" }[verdict]
  say(`verify ${mode}: ${word}, ${passed} of ${artifacts.length} gates pass, ${about}, ${seconds} s, ${where}`)
  return exits[verdict]
}

if (import.meta.main) {
  // A reader that went away (`make verify-quick | head`) is not a failure to report.
  process.stdout.on("error", () => process.exit(exits.fail))
  process.exitCode = await main()
}
