import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { sequencesOf } from "@rspp/contracts/TimelineStamp"

/** Sequence numbers that no record has, both ends included: what a recorder lost. */
export interface SequenceGap {
  readonly start: number
  readonly end: number
}

/** The gaps in the sequence of a timeline's records, which begins at 0 and is dense. None when nothing was lost. */
export const sequenceGaps = (records: ReadonlyArray<TimelineRecord>): ReadonlyArray<SequenceGap> => {
  const gaps: Array<SequenceGap> = []
  let next = 0
  for (const record of records) {
    const taken = sequencesOf(record)
    if (taken !== undefined) {
      if (taken.first > next) gaps.push({ start: next, end: taken.first - 1 })
      next = Math.max(next, taken.first + taken.count)
    } else if (record.record === "end" && record.last_sequence >= next && next > 0) {
      gaps.push({ start: next, end: record.last_sequence })
    }
  }
  return gaps
}
