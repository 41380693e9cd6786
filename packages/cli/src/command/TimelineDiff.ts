import { timelineDiff } from "@rspp/timeline/export/TimelineDiff"
import { clock } from "@rspp/timeline/export/TimelineText"
import { Effect, Exit } from "effect"
import { told } from "../CliFailure.ts"
import { Screen } from "../Screen.ts"
import type { AccessFlags } from "../TimelineAccess.ts"
import { openTimeline } from "../TimelineAccess.ts"
import { tellTear } from "../TimelineFile.ts"
import { diffLines } from "../view/DiffLines.ts"

export interface DiffFlags extends AccessFlags {
  readonly a: string
  readonly b: string
  readonly json: boolean
}

/** `rspp timeline diff`: where two recordings first differ, and the turns and signals that do; exit 1 when any does, 3 where a file is torn and only lacks the rest. */
export const diffTimelines = Effect.fn("rspp.timeline.diff")(function*(flags: DiffFlags) {
  const { a, b, json } = flags
  const screen = yield* Screen
  const [one, two] = [yield* openTimeline(a, "diff", flags), yield* openTimeline(b, "diff", flags)]
  const difference = timelineDiff(one, two)
  if (json) screen.line(JSON.stringify({ a, b, ...difference }))
  else for (const line of diffLines(a, b, difference, screen.style, clock)) screen.line(line)
  const whole = yield* Effect.exit(Effect.andThen(tellTear(a, one), tellTear(b, two)))
  const shared = Math.min(one.records.length, two.records.length)
  // What a torn file lacks is no difference: nobody knows what it would have had.
  const onlyLacks = Exit.isFailure(whole) && difference.header.length === 0 && (difference.first?.ordinal ?? 0) > shared
  if (!difference.identical && !onlyLacks) return yield* told("violation")
  if (Exit.isFailure(whole)) return yield* told("bad_input")
  return undefined
})
