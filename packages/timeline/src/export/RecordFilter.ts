import type { Lane } from "@rspp/contracts/Event"
import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import { timeOf } from "@rspp/contracts/TimelineStamp"
import { frameMs } from "@rspp/runtime/ports/AudioFrame"
import type { Timeline } from "../format/TimelineDecoder.ts"
import { TurnIndex } from "./TurnIndex.ts"

/** What to show; what is absent selects everything. A record is shown when it meets all. */
export interface RecordFilter {
  readonly turn?: string
  /** Name of a control signal. */
  readonly signal?: string
  readonly kind?: TimelineRecord["record"]
  readonly lane?: Lane
  /** Session time in ms, both included. A record without a time of its own has that of the record before it. */
  readonly fromMs?: number
  readonly toMs?: number
}

/** A record that is to be shown, when it was and which turn it belongs to. */
export interface FilteredRecord {
  readonly record: TimelineHeader | TimelineRecord
  readonly atMs: number
  readonly turn: string | undefined
}

/** The records that a filter selects, in order, the header among them. */
export function* filtered(
  { header, records }: Pick<Timeline, "header" | "records">,
  filter: RecordFilter = {}
): Generator<FilteredRecord> {
  const turns = new TurnIndex(records)
  let atMs = 0
  for (const record of [header, ...records]) {
    atMs = timeOf(record) ?? atMs
    const turn = turns.turnOf(record)
    if (isWanted(record, atMs, turn, filter)) yield { record, atMs, turn }
  }
}

/** Records of sound and words, in the clear or not. */
const content: ReadonlySet<string> = new Set(["audio", "payload", "caller_audio", "sealed", "removed"])

/** The lane of a record; what the kernel decides and does belongs to the control lane, sound and words to the data lane. */
export const laneOf = (record: TimelineRecord): Lane =>
  record.record === "input"
    ? record.lane
    : record.record === "event"
    ? record.event.lane
    : content.has(record.record)
    ? "DataLane"
    : "ControlLane"

/** The last moment of a record: a run of audio goes on for as long as its frames. */
const endOf = (record: TimelineRecord, atMs: number): number =>
  record.record === "audio" ? atMs + (record.count - 1) * frameMs : atMs

const isWanted = (record: TimelineRecord, atMs: number, turn: string | undefined, filter: RecordFilter): boolean =>
  (filter.turn === undefined || turn === filter.turn) &&
  (filter.kind === undefined || record.record === filter.kind) &&
  (filter.signal === undefined || (record.record === "signal" && record.signal.signal === filter.signal)) &&
  (filter.lane === undefined || laneOf(record) === filter.lane) &&
  (filter.fromMs === undefined || endOf(record, atMs) >= filter.fromMs) &&
  (filter.toMs === undefined || atMs <= filter.toMs)

/**
 * A moment of a session as a person writes it, in ms: seconds (`12`, `3.4`), a clock (`1:02`, `00:03.412`, `1:00:00`) or
 * milliseconds (`3412ms`). Undefined when it is none.
 */
export const parseMoment = (text: string): number | undefined => {
  const ms = /^([0-9]{1,12})ms$/u.exec(text)
  if (ms !== null) return Number(ms[1])
  const clock = /^(?:(?:([0-9]{1,6}):)?([0-9]{1,6}):)?([0-9]{1,9}(?:\.[0-9]{1,3})?)s?$/u.exec(text)
  if (clock === null) return undefined
  const [, hours = "0", minutes = "0", seconds = "0"] = clock
  return Math.round((Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1000)
}
