import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { read } from "@rspp/timeline/format/TimelineReader"
import { applyOverrides } from "@rspp/timeline/replay/ConfigOverride"
import type { ReplayDivergence } from "@rspp/timeline/replay/DivergenceClassifier"
import type { ReplayReport } from "@rspp/timeline/replay/Replayer"
import { Replayer } from "@rspp/timeline/replay/Replayer"
import { Effect } from "effect"
import type { ExitName } from "./ExitCode.ts"
import type { Style } from "./Screen.ts"

/** What came of replaying one file. */
export interface ReplayedFile extends ReplayReport {
  readonly file: string
  /** Session time replayed per real time, reading the file included. */
  readonly speed: number
}

/** Reads and replays one file, under another session config when `overrides` (`path=value`) say so. */
export const replayFile = Effect.fn("replayFile")(function*(file: string, overrides: ReadonlyArray<string>) {
  const replayer = yield* Replayer
  const startedMs = performance.now()
  const timeline = yield* read(file)
  const options = overrides.length === 0
    ? {}
    : { sessionConfig: (yield* applyOverrides(timeline.header.session_config, overrides)).config }
  const report = yield* replayer.replay(timeline, options)
  const replayed: ReplayedFile = {
    ...report,
    file,
    speed: Math.round(report.sessionMs / Math.max(1, performance.now() - startedMs))
  }
  return replayed
})

/** A file that ends early is replayed as far as it goes; that it ends early is bad input, and not a divergence. */
export const exitOfReplay = ({ complete, identical }: ReplayReport): ExitName =>
  !identical ? "violation" : complete ? "ok" : "bad_input"

const seconds = (ms: number) => `${(ms / 1000).toFixed(3)} s`

/** One record on one line, short enough to be read. */
const brief = (record: TimelineRecord | undefined): string => {
  if (record === undefined) return "nothing"
  const text = JSON.stringify(record)
  return text.length <= 400 ? text : `${text.slice(0, 399)}…`
}

const differenceLines = (
  { at, differences, divergence_class, message, recorded, replayed, scope }: ReplayDivergence
) => {
  const shown = differences.slice(0, 8).map(({ path, recorded, replayed }) =>
    `  ${path}: ${JSON.stringify(recorded) ?? "absent"} in the recording, ${
      JSON.stringify(replayed) ?? "absent"
    } in the replay`
  )
  const number = recorded === undefined && replayed === undefined ? "" : `, record number ${at.runtime_sequence}`
  return [
    `  ${divergence_class} (${scope}) at ${seconds(at.runtime_timestamp_ms)}${number}`,
    `  ${message}`,
    ...shown,
    ...(recorded === undefined && replayed === undefined
      ? []
      : [`  recorded  ${brief(recorded)}`, `  replayed  ${brief(replayed)}`])
  ]
}

const whatIfLines = (whatIf: ReplayReport["whatIf"]): ReadonlyArray<string> => {
  if (whatIf === undefined) return []
  const ms = (value: number | undefined, absent: string) => value === undefined ? absent : `at ${seconds(value)}`
  // What the recording has no answer to may still come later.
  const never = whatIf.unknown_beyond === undefined ? "never" : "not by then"
  return [
    ...whatIf.notRecomputed.map((path) =>
      `  ${path} acts on sound, which is not recorded: what it would have changed cannot be shown`
    ),
    ...(whatIf.changes.length === 0 && whatIf.notRecomputed.length === 0
      ? ["  as far as is known, no turn would have opened, ended or been cut at another time"]
      : []),
    ...whatIf.changes.slice(0, 12).map(({ recorded_ms, replayed_ms, turn_id, what }) =>
      `  ${what}${turn_id === undefined ? "" : ` of ${turn_id}`}: ${ms(recorded_ms, "never")} in the recording, ${
        ms(replayed_ms, never)
      } with this setting`
    ),
    ...(whatIf.unknown_beyond === undefined
      ? []
      : [`  unknown beyond ${seconds(whatIf.unknown_beyond.runtime_timestamp_ms)}: ${whatIf.unknown_beyond.reason}`])
  ]
}

/** The verdict on a file for people: one line when it is identical, else the first divergence with both sides. */
export const replayLines = (replayed: ReplayedFile, style: Style): ReadonlyArray<string> => {
  const { complete, divergence, file, missingTelemetry, records, sessionMs, speed, tear, turns } = replayed
  const count = `${records} records, ${turns} turns, ${speed} × real time`
  const dropped = missingTelemetry === 0
    ? ""
    : `, ${missingTelemetry} telemetry records were dropped when it was recorded`
  if (divergence !== undefined) {
    return [
      `${file}: ${style.red("diverges")} after ${records} identical records`,
      ...differenceLines(divergence),
      ...whatIfLines(replayed.whatIf)
    ]
  }
  const head = `${file}: ${style.green("identical")}, ${count}${dropped}`
  const end = complete ? [] : [
    tear === undefined
      ? `  ${style.yellow("it was never closed")}: everything up to ${seconds(sessionMs)} was replayed`
      : `  ${
        style.yellow("it is cut off")
      } at byte ${tear.offset}: the ${tear.recordsBefore} records before it, up to ${seconds(sessionMs)}, were replayed`
  ]
  return [head, ...end, ...whatIfLines(replayed.whatIf)]
}
