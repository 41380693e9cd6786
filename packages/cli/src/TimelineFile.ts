import type { Timeline } from "@rspp/timeline/format/TimelineReader"
import { Effect } from "effect"
import { told } from "./CliFailure.ts"
import { Screen } from "./Screen.ts"

/**
 * Ends a command that has shown all that can be read of a timeline: silently when it is whole, else with where it stops
 * being readable, as bad input.
 */
export const tellTear = Effect.fnUntraced(function*(file: string, { tear }: Timeline) {
  if (tear === undefined) return undefined
  const { note, style } = yield* Screen
  const what = {
    truncated: "is cut off",
    checksum: "was changed (its checksum does not fit)",
    garbage: "holds something that is no record"
  }[tear.reason]
  note(
    `${
      style.yellow("notice:")
    } ${file} ${what} at byte ${tear.offset}: the ${tear.recordsBefore} records before it were read.`
  )
  return yield* told("bad_input")
})
