import { sloReport, failsReport } from "@rspp/timeline/slo/SloReport"
import { sloTimeline } from "@rspp/timeline/slo/SloTimeline"
import type { SloTimeline } from "@rspp/timeline/slo/SloTimeline"
import { Effect, Exit, FileSystem } from "effect"
import { CliFailure, endingOf, told } from "../CliFailure.ts"
import type { ExitName } from "../ExitCode.ts"
import { checkTextOutput, notWritable } from "../OutputFiles.ts"
import { timelinesOf } from "../ReplayFiles.ts"
import { Screen } from "../Screen.ts"
import { boundsOf } from "../SloBoundFlags.ts"
import type { AccessFlags } from "../TimelineAccess.ts"
import { openTimeline } from "../TimelineAccess.ts"
import { graver } from "../Verdict.ts"
import { sloMarkdown } from "../view/SloMarkdown.ts"
import { noticeTexts, sloLines } from "../view/SloText.ts"

export interface SloReportFlags extends Omit<AccessFlags, "keys"> {
  readonly files: ReadonlyArray<string>
  readonly markdown: string | undefined
  readonly bounds: string | undefined
  readonly bound: ReadonlyArray<string>
  readonly requireAll: boolean
  readonly json: boolean
}

/** What stands for standard output. */
const standardOutput = "-"

/**
 * `rspp slo report`: the seven gates and the critical path of recordings. A gate that fails is a violation; a recording
 * that cannot be read to its end is bad input, and what of it could be read counts.
 */
export const reportSlo = Effect.fn("rspp.slo.report")(function*(flags: SloReportFlags) {
  const { access, as, json, markdown, requireAll } = flags
  const screen = yield* Screen
  const fs = yield* FileSystem.FileSystem
  if (json && markdown === standardOutput) {
    return yield* new CliFailure({
      exit: "usage",
      message: "--json and --markdown - both write to standard output",
      hint: "Give --markdown a file, or leave out --json."
    })
  }
  const bounds = yield* boundsOf(flags.bounds, flags.bound)
  const files = yield* timelinesOf(flags.files)
  if (markdown !== undefined && markdown !== standardOutput) yield* checkTextOutput(markdown, files)
  const timelines: Array<SloTimeline> = []
  const unreadable: Array<{ readonly file: string; readonly error: string }> = []
  let worst: ExitName = "ok"
  for (const [at, file] of files.entries()) {
    if (files.length > 1) screen.update(`${at} of ${files.length} timelines read`)
    const exit = yield* Effect.exit(openTimeline(file, "summary", { access, as, keys: undefined }))
    if (Exit.isSuccess(exit)) {
      const facts = sloTimeline(file, exit.value)
      timelines.push(facts)
      if (facts.cut_off) worst = graver(worst, "bad_input")
      continue
    }
    const ending = endingOf(exit, false)
    if (ending.exit !== "bad_input" && ending.exit !== "violation") return yield* exit
    worst = graver(worst, ending.exit)
    const error = ending.lines.join(" ")
    unreadable.push({ file, error: error.startsWith(file) ? error : `${file}: ${error}` })
  }
  const report = sloReport(timelines, { bounds, unreadable })
  if (failsReport(report, requireAll)) worst = "violation"
  if (markdown === standardOutput) screen.raw(sloMarkdown(report))
  else if (json) screen.line(JSON.stringify(report))
  else {
    for (const line of sloLines(report, screen.style)) screen.line(line)
    for (const notice of noticeTexts(report)) screen.note(`${screen.style.yellow("notice:")} ${notice}`)
  }
  if (markdown !== undefined && markdown !== standardOutput) {
    yield* Effect.mapError(fs.writeFileString(markdown, sloMarkdown(report)), () => notWritable(markdown))
  }
  if (worst !== "ok") return yield* told(worst)
  return undefined
})
