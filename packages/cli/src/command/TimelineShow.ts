import { signalNames } from "@rspp/contracts/Signal"
import { jsonLines } from "@rspp/timeline/export/JsonLines"
import { timelineText } from "@rspp/timeline/export/TimelineText"
import { TurnIndex } from "@rspp/timeline/export/TurnIndex"
import { Effect } from "effect"
import { CliFailure } from "../CliFailure.ts"
import { Screen } from "../Screen.ts"
import type { AccessFlags } from "../TimelineAccess.ts"
import { openTimeline } from "../TimelineAccess.ts"
import { tellTear } from "../TimelineFile.ts"

export interface ShowFlags extends AccessFlags {
  readonly file: string
  readonly turn: string | undefined
  readonly signal: string | undefined
  readonly json: boolean
}

/** `rspp timeline show`: one record a line, all of them or those of a turn or a signal. */
export const showTimeline = Effect.fn("rspp.timeline.show")(function*(flags: ShowFlags) {
  const { file, json, signal, turn } = flags
  const screen = yield* Screen
  if (signal !== undefined && !(signalNames as ReadonlyArray<string>).includes(signal)) {
    return yield* new CliFailure({
      exit: "usage",
      message: `there is no signal ${signal}`,
      hint: `There is ${signalNames.join(", ")}.`
    })
  }
  const turnId = turn === undefined ? undefined : /^[0-9]+$/u.test(turn) ? `turn_${turn}` : turn
  const timeline = yield* openTimeline(file, "show", flags, turnId)
  const { header, records } = timeline
  const index = new TurnIndex(records)
  const turns = [...new Set(records.map((record) => index.turnOf(record)).filter((id) => id !== undefined))]
  if (turnId !== undefined && !turns.includes(turnId)) {
    return yield* new CliFailure({
      exit: "bad_input",
      message: `${file} has no turn ${turnId}`,
      hint: turns.length === 0 ? "It has no turns at all." : `It has ${turns.join(", ")}.`
    })
  }
  if (json) {
    const wanted = records.filter((record) =>
      (turnId === undefined || index.turnOf(record) === turnId) &&
      (signal === undefined || (record.record === "signal" && record.signal.signal === signal))
    )
    const all = turnId === undefined && signal === undefined
    for (const line of all ? jsonLines(timeline) : wanted.map((record) => `${JSON.stringify(record)}\n`)) {
      screen.raw(line)
    }
  } else {
    const filter = { ...(turnId === undefined ? {} : { turn: turnId }), ...(signal === undefined ? {} : { signal }) }
    for (const line of timelineText({ header, records }, filter)) screen.line(line)
  }
  return yield* tellTear(file, timeline)
})
