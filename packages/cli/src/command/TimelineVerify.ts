import { read } from "@rspp/timeline/format/TimelineReader"
import { evidenceCompleteness, formatIncomplete } from "@rspp/timeline/recorder/EvidenceCompleteness"
import { Effect, Exit } from "effect"
import { endingOf, told } from "../CliFailure.ts"
import type { ExitName } from "../ExitCode.ts"
import { Screen } from "../Screen.ts"
import { graver } from "../Verdict.ts"

export interface VerifyFlags {
  readonly files: ReadonlyArray<string>
  readonly json: boolean
}

/** `rspp timeline verify`: whole, valid, and complete evidence for each accepted turn; one line per file. */
export const verifyTimelines = Effect.fn("rspp.timeline.verify")(function*({ files, json }: VerifyFlags) {
  const screen = yield* Screen
  const { style } = screen
  let worst: ExitName = "ok"
  yield* Effect.forEach(files, (file) =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(read(file, { validate: true }))
      if (Exit.isFailure(exit)) {
        const ending = endingOf(exit, false)
        if (ending.exit === "internal" || ending.exit === "interrupted") return yield* exit
        worst = graver(worst, ending.exit)
        if (json) screen.line(JSON.stringify({ file, ok: false, problems: ending.lines }))
        else screen.note(ending.lines.join("\n      "))
        return undefined
      }
      const { records, tear } = exit.value
      const turns = evidenceCompleteness(records)
      const incomplete = formatIncomplete(turns)
      const damage = tear === undefined
        ? []
        : [`${tear.reason} at byte ${tear.offset}, after ${tear.recordsBefore} records`]
      if (incomplete.length > 0) worst = graver(worst, "violation")
      if (tear !== undefined) worst = graver(worst, "bad_input")
      const problems = [...damage, ...incomplete]
      if (json) {
        screen.line(JSON.stringify({ file, ok: problems.length === 0, records: records.length + 1, turns, problems }))
        return undefined
      }
      const verdict = problems.length === 0 ? style.green("ok") : style.red("not ok")
      const complete = turns.length - incomplete.length
      screen.line(
        `${file}: ${verdict}, ${records.length + 1} records, ${complete} of ${turns.length} accepted turns complete`
      )
      for (const problem of problems) screen.line(`  ${problem}`)
      return undefined
    }), { discard: true })
  if (worst !== "ok") return yield* told(worst)
  return undefined
})
