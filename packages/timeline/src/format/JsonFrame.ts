import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { sequencesOf } from "@rspp/contracts/TimelineStamp"

const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { fatal: true })

/** The payload of a frame of version 1: UTF-8 canonical JSON of one record, or of a list of several. */
export const encodeJson = (records: ReadonlyArray<TimelineRecord>): Uint8Array =>
  encoder.encode(canonicalJson(records.length === 1 ? records[0] : records))

/** What such a payload holds. Throws where it is no JSON. */
export const decodeJson = (payload: Uint8Array): ReadonlyArray<unknown> => {
  const value: unknown = JSON.parse(decoder.decode(payload))
  return Array.isArray(value) ? value : [value]
}

/** What a payload of version 1 says of its records. Throws where it is no JSON. */
export const headOfJson = (payload: Uint8Array) => {
  let first: number | undefined
  let last = 0
  let ends = false
  for (const record of decodeJson(payload) as ReadonlyArray<TimelineRecord>) {
    const taken = sequencesOf(record)
    ends ||= record.record === "end"
    if (taken === undefined) continue
    first = Math.min(first ?? taken.first, taken.first)
    last = Math.max(last, taken.first + taken.count - 1)
  }
  return first === undefined ? { ends } : { ends, sequences: { first, last } }
}
