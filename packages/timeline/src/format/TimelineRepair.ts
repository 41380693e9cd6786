import type { EndRecord, TimelineRecord } from "@rspp/contracts/Timeline"
import { sequencesOf, timeOf } from "@rspp/contracts/TimelineStamp"
import type { Timeline } from "./TimelineDecoder.ts"
import { TimelineEncoder } from "./TimelineEncoder.ts"

/** The reason of an end record that no recorder wrote: the recording had been cut off. */
export const repairedReason = "repaired"

/** True for a recording that does not end where its session ended. */
export const wasCutOff = ({ records, tear }: Pick<Timeline, "records" | "tear">): boolean => {
  const last = records.at(-1)
  if (last?.record === "end") return last.reason === repairedReason
  return tear !== undefined
}

/** The turns that were open where a recording that was cut off stops: nothing more can be known of them. */
export const openAtTear = (timeline: Pick<Timeline, "records" | "tear">): ReadonlySet<string> => {
  const open = new Set<string>()
  if (!wasCutOff(timeline)) return open
  for (const record of timeline.records) {
    if (record.record !== "signal" || record.signal.turn_id === undefined) continue
    if (record.signal.signal === "turn_open") open.add(record.signal.turn_id)
    else if (record.signal.signal === "close") open.delete(record.signal.turn_id)
  }
  return open
}

/**
 * The end record of a recording that has none: with it, what can be read of the file is a whole timeline. It says what was
 * read and that it is no end of a session; it invents nothing.
 */
export const endOf = (records: ReadonlyArray<TimelineRecord>): EndRecord => {
  let last_sequence = 0
  let runtime_timestamp_ms = 0
  for (const record of records) {
    const taken = sequencesOf(record)
    if (taken !== undefined) last_sequence = Math.max(last_sequence, taken.first + taken.count - 1)
    runtime_timestamp_ms = Math.max(runtime_timestamp_ms, timeOf(record) ?? 0)
  }
  return { record: "end", last_sequence, runtime_timestamp_ms, reason: repairedReason, records: records.length + 1 }
}

/**
 * The bytes of a torn file, repaired: those before the tear, unchanged, and an end record behind them, unless they have one
 * and only something was put behind it.
 */
export const repaired = (bytes: Uint8Array, { header, records, tear }: Timeline): Uint8Array => {
  if (tear === undefined) return bytes
  const kept = bytes.subarray(0, tear.offset)
  if (records.at(-1)?.record === "end") return kept
  return Buffer.concat([kept, new TimelineEncoder(header.format_version).encode([[endOf(records)]])])
}
