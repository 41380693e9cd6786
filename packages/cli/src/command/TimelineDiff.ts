import { timelineDiff } from "@rspp/timeline/export/TimelineDiff"
import { clock } from "@rspp/timeline/export/TimelineText"
import { read } from "@rspp/timeline/format/TimelineReader"
import { Effect, Exit } from "effect"
import { told } from "../CliFailure.ts"
import { Screen } from "../Screen.ts"
import { tellTear } from "../TimelineFile.ts"
import { diffLines } from "../view/DiffLines.ts"

export interface DiffFlags {
  readonly a: string
  readonly b: string
  readonly json: boolean
}

/** `rspp timeline diff`: where two recordings first differ, and the turns and signals that do; exit 1 when any does. */
export const diffTimelines = Effect.fn("rspp.timeline.diff")(function*({ a, b, json }: DiffFlags) {
  const screen = yield* Screen
  const [one, two] = [yield* read(a), yield* read(b)]
  const difference = timelineDiff(one, two)
  if (json) screen.line(JSON.stringify({ a, b, ...difference }))
  else for (const line of diffLines(a, b, difference, screen.style, clock)) screen.line(line)
  const whole = yield* Effect.exit(Effect.andThen(tellTear(a, one), tellTear(b, two)))
  if (!difference.identical) return yield* told("violation")
  // Two files that are torn at the same place say nothing of what would have come after it.
  if (Exit.isFailure(whole)) return yield* told("bad_input")
  return undefined
})
