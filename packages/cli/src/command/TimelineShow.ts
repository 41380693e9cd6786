import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import { signalNames } from "@rspp/contracts/Signal"
import { filtered, parseMoment } from "@rspp/timeline/export/RecordFilter"
import type { RecordFilter } from "@rspp/timeline/export/RecordFilter"
import { timelineText } from "@rspp/timeline/export/TimelineText"
import { TurnIndex } from "@rspp/timeline/export/TurnIndex"
import type { Timeline } from "@rspp/timeline/format/TimelineDecoder"
import { Effect } from "effect"
import { CliFailure } from "../CliFailure.ts"
import { Screen } from "../Screen.ts"
import type { AccessFlags } from "../TimelineAccess.ts"
import { openTimeline } from "../TimelineAccess.ts"
import { tellTear } from "../TimelineFile.ts"
import { turnIdOf } from "../TurnName.ts"

export interface ShowFlags extends AccessFlags {
  readonly file: string
  readonly turn: string | undefined
  readonly signal: string | undefined
  readonly lane: "control" | "data" | "telemetry" | undefined
  readonly from: string | undefined
  readonly to: string | undefined
  readonly json: boolean
}

const lanes = { control: "ControlLane", data: "DataLane", telemetry: "TelemetryLane" } as const

const momentOf = Effect.fnUntraced(function*(flag: string, text: string | undefined) {
  if (text === undefined) return undefined
  const ms = parseMoment(text)
  if (ms !== undefined) return ms
  return yield* new CliFailure({
    exit: "usage",
    message: `--${flag} ${text} is no moment of a session`,
    hint: "Give seconds (3.4), a clock (00:03.412) or milliseconds (3412ms) since the start of the session."
  })
})

/** What the words of the command line select; fails when one of them can select nothing. */
const filterOf = Effect.fnUntraced(function*(flags: ShowFlags) {
  const { signal } = flags
  if (signal !== undefined && !(signalNames as ReadonlyArray<string>).includes(signal)) {
    return yield* new CliFailure({
      exit: "usage",
      message: `there is no signal ${signal}`,
      hint: `There is ${signalNames.join(", ")}.`
    })
  }
  const fromMs = yield* momentOf("from", flags.from)
  const toMs = yield* momentOf("to", flags.to)
  if (fromMs !== undefined && toMs !== undefined && fromMs > toMs) {
    return yield* new CliFailure({
      exit: "usage",
      message: `--from ${flags.from} is later than --to ${flags.to}`,
      hint: "Exchange them."
    })
  }
  const turn = flags.turn === undefined ? undefined : turnIdOf(flags.turn)
  const filter: RecordFilter = {
    ...(turn === undefined ? {} : { turn }),
    ...(signal === undefined ? {} : { signal }),
    ...(flags.lane === undefined ? {} : { lane: lanes[flags.lane] }),
    ...(fromMs === undefined ? {} : { fromMs }),
    ...(toMs === undefined ? {} : { toMs })
  }
  return filter
})

const mustHaveTurn = Effect.fnUntraced(function*(file: string, { records }: Timeline, turn: string | undefined) {
  if (turn === undefined) return undefined
  const index = new TurnIndex(records)
  const turns = [...new Set(records.map((record) => index.turnOf(record)).filter((id) => id !== undefined))]
  if (turns.includes(turn)) return undefined
  return yield* new CliFailure({
    exit: "bad_input",
    message: `${file} has no turn ${turn}`,
    hint: turns.length === 0 ? "It has no turns at all." : `It has ${turns.join(", ")}.`
  })
})

/** `rspp timeline show`: one record a line, all of them or those of a turn, a signal, a lane or a stretch of time. */
export const showTimeline = Effect.fn("rspp.timeline.show")(function*(flags: ShowFlags) {
  const screen = yield* Screen
  const { file, json } = flags
  const filter = yield* filterOf(flags)
  const timeline = yield* openTimeline(file, "show", flags, filter.turn)
  const { header, records } = timeline
  yield* mustHaveTurn(file, timeline, filter.turn)
  const shown = [...filtered(timeline, filter)]
  if (Object.keys(filter).length > 0 && shown.length === 0) {
    screen.note(`${file}: nothing in it matches`)
  } else if (json) {
    for (const { record } of shown) screen.raw(`${canonicalJson(record)}\n`)
  } else {
    for (const line of timelineText({ header, records }, filter)) screen.line(line)
  }
  return yield* tellTear(file, timeline)
})
