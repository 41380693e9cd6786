import { Effect, Exit } from "effect"
import { endingOf, told } from "../CliFailure.ts"
import type { ExitName } from "../ExitCode.ts"
import { readPriceList } from "../PriceList.ts"
import { Screen } from "../Screen.ts"
import type { AccessFlags } from "../TimelineAccess.ts"
import { openTimeline } from "../TimelineAccess.ts"
import { tellTear } from "../TimelineFile.ts"
import { graver } from "../Verdict.ts"
import { addedFacts, summaryLines, summaryOf, timelineFacts, titleOf } from "../view/TimelineSummary.ts"
import type { TimelineFacts } from "../view/TimelineSummary.ts"
import { formatTurnTable, turnRows } from "../view/TurnTable.ts"
import type { TurnRow } from "../view/TurnTable.ts"

export interface SummaryFlags extends Omit<AccessFlags, "keys"> {
  readonly files: ReadonlyArray<string>
  readonly prices: string | undefined
  readonly json: boolean
}

/** The providers' part says what the calls came to. */
const withoutCalls = (row: TurnRow) => {
  const { invocations: _, ...rest } = row
  return rest
}

/** Turns of one recording that are listed; `--json` has all. */
const maxTurns = 24

/** `rspp timeline summary`: each recording in numbers, and all of them together when there are several. */
export const summarizeTimelines = Effect.fn("rspp.timeline.summary")(function*(flags: SummaryFlags) {
  const { access, as, files, json, prices } = flags
  const screen = yield* Screen
  const priceList = prices === undefined ? undefined : yield* readPriceList(prices)
  const all: Array<TimelineFacts> = []
  let worst: ExitName = "ok"
  yield* Effect.forEach(files, (file) =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(openTimeline(file, "summary", { access, as, keys: undefined }))
      if (Exit.isFailure(exit)) {
        const ending = endingOf(exit, false)
        if (ending.exit !== "bad_input" && ending.exit !== "violation") return yield* exit
        worst = graver(worst, ending.exit)
        if (json) screen.line(JSON.stringify({ file, error: ending.lines.join(" ") }))
        else screen.note(ending.lines.join("\n      "))
        return undefined
      }
      const { header, records } = exit.value
      const facts = timelineFacts(records)
      const summary = summaryOf(facts, priceList)
      const rows = turnRows(records)
      all.push(facts)
      if (json) {
        const { pipeline_version, recording_level, session_id } = header
        screen.line(
          JSON.stringify({
            file,
            session_id,
            pipeline_version,
            recording_level,
            ...summary,
            turns: rows.map(withoutCalls)
          })
        )
      } else {
        for (const line of summaryLines(titleOf(file, header, facts), summary, screen.style)) screen.line(line)
        if (rows.length > 0) {
          screen.line("each turn, in ms after the caller's last sample of speech")
          for (const line of formatTurnTable(rows.slice(0, maxTurns), screen.style)) screen.line(`  ${line}`)
        }
        if (rows.length > maxTurns) screen.line(`  … and ${rows.length - maxTurns} more (--json has all)`)
        screen.line("")
      }
      if (Exit.isFailure(yield* Effect.exit(tellTear(file, exit.value)))) worst = graver(worst, "bad_input")
      return undefined
    }), { discard: true })
  if (files.length > 1) {
    const summary = summaryOf(addedFacts(all), priceList)
    if (json) screen.line(JSON.stringify({ total: true, ...summary }))
    else {
      for (const line of summaryLines(`all ${all.length} recordings`, summary, screen.style)) screen.line(line)
    }
  }
  if (worst !== "ok") return yield* told(worst)
  return undefined
})
