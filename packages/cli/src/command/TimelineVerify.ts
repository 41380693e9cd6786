import { read } from "@rspp/timeline/format/TimelineReader"
import { openAtTear } from "@rspp/timeline/format/TimelineRepair"
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
      // Of a turn that was open where the recording stops nobody can say what would have become of it.
      const open = openAtTear(exit.value)
      const judged = turns.filter(({ turn_id }) => !open.has(turn_id))
      const incomplete = formatIncomplete(judged)
      const damage = tear === undefined
        ? []
        : [`${tear.reason} at byte ${tear.offset}, after ${tear.recordsBefore} records`]
      if (incomplete.length > 0) worst = graver(worst, "violation")
      if (tear !== undefined) worst = graver(worst, "bad_input")
      const stopped = [...open].map((turn) => `${turn} was open when the recording stopped`)
      const problems = [...damage, ...incomplete]
      if (json) {
        const ok = problems.length === 0
        screen.line(
          JSON.stringify({ file, ok, records: records.length + 1, turns: judged, problems, open: [...open] })
        )
        return undefined
      }
      const verdict = problems.length === 0 ? style.green("ok") : style.red("not ok")
      const complete = judged.length - incomplete.length
      screen.line(
        `${file}: ${verdict}, ${records.length + 1} records, ${complete} of ${judged.length} accepted turns complete`
      )
      for (const problem of [...problems, ...stopped]) screen.line(`  ${problem}`)
      return undefined
    }), { discard: true })
  if (worst !== "ok") return yield* told(worst)
  return undefined
})
