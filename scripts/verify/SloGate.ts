// The SLO gate: sessions run now, by the real program, and the seven gates of CONTRACT section 9 computed from their timelines.
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { createHash } from "node:crypto"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { lastWords, rspp, runChild } from "./Child.ts"
import { type Gate, type GateContext, type GateResult, judged, notRun } from "./Gate.ts"
import { recordingsIn } from "./ReplayGate.ts"

/** The gates of `rspp slo report`; a report without one of them proves nothing about it. */
export const sloGates = [
  "turn_open_ms",
  "first_output_ms",
  "cancel_fence_ms",
  "stale_epoch_outputs_accepted",
  "evidence_complete",
  "exactly_one_terminal",
  "response_ms"
]

const Report = Schema.fromJsonString(Schema.Struct({
  timelines: Schema.Int,
  turns: Schema.Int,
  /** Recordings that end in the middle, and that could not be read. */
  cut_off: Schema.optionalKey(Schema.Array(Schema.Unknown)),
  unreadable: Schema.optionalKey(Schema.Array(Schema.Unknown)),
  /** Sessions by their clock: a virtual one waits for a provider and moves on by what it took. */
  clocks: Schema.optionalKey(Schema.Unknown),
  gates: Schema.Array(Schema.Struct({
    gate: Schema.String,
    verdict: Schema.Literals(["pass", "fail", "not_run"]),
    samples: Schema.Int,
    bound: Schema.Unknown,
    /** Absent where nothing was measured. */
    value: Schema.optionalKey(Schema.Unknown)
  })),
  critical_path: Schema.optionalKey(Schema.Unknown)
}))

/** A session that is run for the report: its name, and the words after `rspp`. */
export interface SessionRun {
  readonly name: string
  readonly args: (directory: string) => ReadonlyArray<string>
}

const calls = join(import.meta.dirname, "calls")

const scripted = (name: string, speed: "real" | "max"): SessionRun => ({
  name: `${name}-${speed}`,
  args: (directory) => [
    "run",
    "--script",
    join(calls, `${name}.json`),
    "--speed",
    speed,
    "--timeline",
    join(directory, `${name}-${speed}.timeline`)
  ]
})

const conversation = (speed: "real" | "max"): SessionRun => ({
  name: `conversation-${speed}`,
  args: (directory) => ["demo", "--speed", speed, "--out", join(directory, `conversation-${speed}`)]
})

/**
 * What is run: spoken and typed turns, and turns that are cut. `--speed max` waits for what a provider really takes and moves
 * the call's clock on by that; a full verification also runs calls that take as long as they take.
 */
export const quickSessions: ReadonlyArray<SessionRun> = [conversation("max"), scripted("cuts", "max")]
export const fullSessions: ReadonlyArray<SessionRun> = [
  ...quickSessions,
  scripted("questions", "max"),
  scripted("cuts", "real"),
  conversation("real")
]

/** Runs sessions one after the other, each with its timeline in `directory`; what did not end well, in words. */
export const produceSessions = async (
  { root, say, signal }: Pick<GateContext, "root" | "say" | "signal">,
  directory: string,
  sessions: ReadonlyArray<SessionRun>
): Promise<ReadonlyArray<string>> => {
  const missing: Array<string> = []
  mkdirSync(directory, { recursive: true })
  for (const { args, name } of sessions) {
    if (signal.aborted) return [...missing, "it was interrupted"]
    say(`session ${name}`)
    const ended = await runChild(rspp(root, ...args(directory)), { cwd: root, signal, limitMs: 180_000 })
    if (ended.code !== 0) missing.push(`session ${name}: ${lastWords(ended)}`)
  }
  return missing
}

/** Asks `rspp slo report` about the timelines in `timelines`, and judges what it says. */
export const checkSlo = async (
  { directory, root, signal }: Pick<GateContext, "directory" | "root" | "signal">,
  timelines: string
): Promise<GateResult> => {
  const command = `npx rspp slo report --require-all --json ${relative(root, timelines)}`
  const files = recordingsIn(timelines)
  if (files.length === 0) return notRun(command, `there is no timeline in ${timelines}`)
  const markdown = join(dirname(directory), "slo.md")
  const flags = ["--require-all", "--json", "--markdown", markdown]
  const ended = await runChild(rspp(root, "slo", "report", ...files, ...flags), { cwd: root, signal, limitMs: 120_000 })
  const report = Option.getOrUndefined(Schema.decodeUnknownOption(Report)(ended.stdout.trim()))
  if (report === undefined) return notRun(command, `rspp slo report gave no report: ${lastWords(ended)}`)
  writeFileSync(join(directory, "report.json"), ended.stdout)
  const failures: Array<string> = []
  const missing: Array<string> = []
  for (const name of sloGates) {
    const gate = report.gates.find((one) => one.gate === name)
    const about = gate === undefined ? "" : `${JSON.stringify(gate.value)}, bound ${JSON.stringify(gate.bound)}`
    if (gate === undefined) missing.push(`${name} is not in the report`)
    else if (gate.verdict === "fail") failures.push(`${name}: ${about}, ${gate.samples} samples`)
    else if (gate.verdict === "not_run" || gate.samples === 0) missing.push(`${name} has no sample`)
  }
  if (report.timelines !== files.length) {
    missing.push(`the report is about ${report.timelines} timelines, there are ${files.length}`)
  }
  for (const one of [...report.cut_off ?? [], ...report.unreadable ?? []]) {
    missing.push(`a timeline is not whole: ${JSON.stringify(one)}`)
  }
  if (ended.code !== 0 && failures.length === 0 && missing.length === 0) failures.push(lastWords(ended))
  return judged({
    command,
    counts: { gates: report.gates.length, timelines: report.timelines, turns: report.turns },
    failures,
    missing,
    detail: {
      slo: report.gates,
      critical_path: report.critical_path,
      clocks: report.clocks,
      sessions: files.map((file) => ({
        file: relative(timelines, file),
        sha256: createHash("sha256").update(readFileSync(file)).digest("hex")
      }))
    }
  })
}

export const sloGate: Gate = {
  name: "slo",
  about: "the seven latency and completeness gates, from sessions that run now",
  run: async (context) => {
    const timelines = join(context.directory, "sessions")
    const missing = await produceSessions(context, timelines, context.mode === "full" ? fullSessions : quickSessions)
    const result = await checkSlo(context, timelines)
    if (missing.length === 0) return result
    return {
      ...result,
      verdict: result.verdict === "fail" ? "fail" : "not_run",
      says: `not run: ${missing[0]?.split("\n", 1)[0]}`,
      findings: [...missing.map((line) => `not run: ${line}`), ...result.findings]
    }
  }
}
