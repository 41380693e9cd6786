import { makeSegment } from "../../../src/store/TimelineSegment.ts"
import type { RecordingKey, TimelineSegment } from "../../../src/store/TimelineSegment.ts"

export const key: RecordingKey = { tenant_id: "acme", session_id: "ses_1" }

/** Bytes that look like nothing, the same for the same seed. */
export const bytesOf = (length: number, seed: number): Uint8Array => {
  let state = seed * 2654435761 >>> 0 || 1
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state >>> 24
  })
}

/** A recording of `count` segments; lengths, sequence numbers and bytes differ from one to the next. */
export const segmentsOf = (count: number, of: RecordingKey = key, seed = 1): ReadonlyArray<TimelineSegment> => {
  let offset = 0
  return Array.from({ length: count }, (_, index) => {
    const bytes = bytesOf(40 + 17 * index, seed * 1000 + index)
    const segment = makeSegment(
      {
        ...of,
        index,
        offset,
        ...(index === 0 ? {} : { first_sequence: 10 * index, last_sequence: 10 * index + 9 }),
        closed: index === count - 1
      },
      bytes
    )
    offset += bytes.length
    return segment
  })
}
