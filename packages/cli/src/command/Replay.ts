import type { FixtureGate } from "@rspp/contracts/ReplayExpectation"
import type { ReplayMode } from "@rspp/timeline/replay/ReplayMode"
import { defaultReplayMode } from "@rspp/timeline/replay/ReplayMode"
import { NodeResimulation } from "@rspp/timeline/replay/NodeResimulation"
import { Replayer } from "@rspp/timeline/replay/Replayer"
import { Effect, Exit } from "effect"
import { CliFailure, endingOf, told } from "../CliFailure.ts"
import { control, cursors, replay, resimulation } from "../Composition.ts"
import type { ExitName } from "../ExitCode.ts"
import { ofKind, readJson } from "../JsonInput.ts"
import { makeDirectories } from "../OutputFiles.ts"
import { loadPipeline } from "../PipelineFile.ts"
import type { OtherSettings, ReplayOneOptions } from "../ReplayCheck.ts"
import { exitOfReplay, replayFile } from "../ReplayCheck.ts"
import { ofGate, timelinesOf } from "../ReplayFiles.ts"
import type { ReportedFile } from "../ReplayReportFiles.ts"
import { reported, writeReport } from "../ReplayReportFiles.ts"
import { stopAt } from "../ReplayStop.ts"
import { ReplayTally, summaryLines } from "../ReplayTally.ts"
import { withProviders } from "../ProviderCatalog.ts"
import { Screen } from "../Screen.ts"
import type { AccessFlags } from "../TimelineAccess.ts"
import { graver } from "../Verdict.ts"
import { replayLines } from "../view/ReplayText.ts"

export interface ReplayFlags extends AccessFlags {
  readonly files: ReadonlyArray<string>
  readonly mode: ReplayMode | undefined
  readonly set: ReadonlyArray<string>
  readonly policy: string | undefined
  readonly spec: string | undefined
  readonly expect: string | undefined
  readonly gate: FixtureGate | undefined
  readonly report: string | undefined
  readonly to: string | undefined
  readonly cursor: string | undefined
  readonly json: boolean
}

/** Up to so many files each has its line; of more only those that are not identical have one. */
const shownFiles = 20

/** Progress is shown so often, in real time, ms. */
const progressMs = 100

const usage = (message: string, hint: string) => new CliFailure({ exit: "usage", message, hint })

/** `rspp replay`: each file on its own, a summary of several, and the gravest verdict as the exit code. */
export const replayFiles = Effect.fn("rspp.replay")(function*(flags: ReplayFlags) {
  const { cursor, files, json, mode, policy, set, spec, to } = flags
  const isWhatIf = set.length > 0 || policy !== undefined || spec !== undefined
  if (to !== undefined) {
    const [file, ...others] = files
    if (file === undefined || others.length > 0) return yield* usage("--to stops in one recording", "Give one FILE.")
    if (isWhatIf || flags.report !== undefined || (mode ?? defaultReplayMode) !== defaultReplayMode) {
      return yield* usage(
        "--to stops in the recording as it is",
        "Leave --mode, --set, --policy, --spec and --report out."
      )
    }
    return yield* Effect.provide(stopAt({ file, to, cursor, json, access: accessOf(flags) }), cursors)
  }
  if (cursor !== undefined) return yield* usage("--cursor is where --to puts the place down", "Add --to.")
  if (isWhatIf && (mode ?? defaultReplayMode) !== defaultReplayMode) {
    return yield* usage(
      `--set, --policy and --spec ask what would differ; that is no replay in mode ${mode}`,
      "Leave --mode out."
    )
  }
  const settings = yield* settingsOf(flags)
  const each = { settings, access: accessOf(flags), ...(flags.expect === undefined ? {} : { expect: flags.expect }) }
  if (mode === "re_simulate_nodes") {
    return yield* Effect.flatMap(NodeResimulation, ({ resimulate }) => replayAll(flags, { ...each, run: resimulate }))
      .pipe(Effect.provide(resimulation))
  }
  return yield* Effect.flatMap(Replayer, (replayer) =>
    replayAll(flags, {
      ...each,
      run: (timeline, options) => replayer.replay(timeline, mode === undefined ? options : { ...options, mode })
    })).pipe(Effect.provide(replay))
})

const accessOf = ({ access, as, keys }: ReplayFlags): AccessFlags => ({ access, as, keys })

const settingsOf = Effect.fnUntraced(function*({ policy, set, spec }: ReplayFlags) {
  const what = "the body of a policy resolution snapshot"
  const body = policy === undefined ? undefined : yield* readJson(policy, what)
  const settings: OtherSettings = {
    overrides: set,
    ...(policy === undefined
      ? {}
      : { policy: (yield* ofKind(policy, "policy_resolution_snapshot", around(body))).body }),
    ...(spec === undefined
      ? {}
      : {
        pipeline:
          (yield* withProviders(undefined, loadPipeline(spec, [], "--spec")).pipe(Effect.provide(control))).pipeline
      })
  }
  return settings
})

/** A snapshot around the body, whose own fields nothing looks at. */
const around = (body: unknown) => ({
  schema_version: "v1.0",
  snapshot_kind: "policy_resolution_snapshot",
  snapshot_id: "what-if",
  version: 0,
  issued_at_ms: 0,
  ttl_ms: 1,
  content_hash: "0".repeat(64),
  body
})

/** What was asked, for the head of a report. */
const titleOf = ({ expect, gate, mode, policy, set, spec }: ReplayFlags): ReadonlyArray<string> => [
  ...(mode === undefined ? [] : [`mode \`${mode}\``]),
  ...(set.length === 0 ? [] : [`what if ${set.map((one) => `\`${one}\``).join(" and ")}`]),
  ...(policy === undefined ? [] : [`what if the policy of \`${policy}\``]),
  ...(spec === undefined ? [] : [`what if the pipeline of \`${spec}\``]),
  ...(gate === undefined ? [] : [`gate \`${gate}\``]),
  ...(expect === undefined ? [] : [`expectations of \`${expect}\``])
]

const replayAll = Effect.fnUntraced(function*<E, R>(
  flags: ReplayFlags,
  options: ReplayOneOptions<E, R>
) {
  const { files: given, json, report } = flags
  const screen = yield* Screen
  // Before anything is replayed: a report that has no place should not cost an hour first.
  if (report !== undefined) yield* makeDirectories(report)
  const startedMs = performance.now()
  const files = yield* ofGate(yield* timelinesOf(given), flags.gate)
  const tally = new ReplayTally()
  const kept: Array<ReportedFile> = []
  let worst: ExitName = "ok"
  let shownMs = 0
  const progress = (done: number) => {
    const now = performance.now()
    if (files.length <= 1 || now - shownMs < progressMs) return
    shownMs = now
    screen.update(`${done} of ${files.length} files replayed`)
  }
  for (const [at, file] of files.entries()) {
    progress(at)
    const exit = yield* Effect.exit(replayFile(file, options))
    if (Exit.isSuccess(exit)) {
      const replayed = exit.value
      worst = graver(worst, exitOfReplay(replayed))
      tally.add(replayed)
      if (report !== undefined) kept.push(reported(replayed))
      if (json) screen.line(JSON.stringify(replayed))
      else if (files.length <= shownFiles || replayed.verdict !== "identical") {
        for (const line of replayLines(replayed, screen.style)) screen.line(line)
      }
      continue
    }
    const ending = endingOf(exit, false)
    // What concerns every file, or is a fault of ours, ends the command; a file that one may not see does not.
    if (ending.exit !== "bad_input" && ending.exit !== "violation") return yield* exit
    worst = graver(worst, ending.exit)
    tally.bad()
    const error = ending.lines.join(" ")
    const named = error.startsWith(file) ? error : `${file}: ${error}`
    if (report !== undefined) kept.push({ file, verdict: "bad", error: named })
    if (json) screen.line(JSON.stringify({ file, verdict: "bad", error: named }))
    else {screen.note(
        error.startsWith(file) ? ending.lines.join("\n      ") : `${file}: ${ending.lines.join("\n      ")}`
      )}
  }
  const summary = tally.summary(performance.now() - startedMs)
  if (report !== undefined) yield* writeReport(report, titleOf(flags), summary, kept)
  if (!json && files.length > 1) { for (const line of summaryLines(summary, screen.style)) screen.line(line) }
  if (worst !== "ok") return yield* told(worst)
  return undefined
})
