// A second reader of timeline files, written from the format's documentation (packages/timeline/src/format/TimelineFormat.ts,
// its first comment) and from nothing else: it shares no code with the packages, so that an error in theirs shows.
import { crc32 } from "node:zlib"

/** What it found: every record up to the first thing that it could not read, and where that is. */
export interface IndependentReading {
  readonly records: ReadonlyArray<Readonly<Record<string, unknown>>>
  /** Byte offset of what could not be read; absent when the file ends with its end record. */
  readonly tornAt?: number
}

const firstLine = "rspp-timeline 1\n"
const largestPayload = 16 * 1024 * 1024

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value) && "record" in value

/** The records of the frame at `offset` and where the next one begins, or nothing when no whole frame is there. */
const frameAt = (file: Buffer, offset: number) => {
  if (file.length < offset + 8) return undefined
  const length = file.readUInt32BE(offset)
  if (length === 0 || length > largestPayload || file.length < offset + 8 + length) return undefined
  const payload = file.subarray(offset + 8, offset + 8 + length)
  if (crc32(payload) !== file.readUInt32BE(offset + 4)) return undefined
  const value: unknown = JSON.parse(payload.toString("utf8"))
  const records: ReadonlyArray<unknown> = Array.isArray(value) ? value : [value]
  return { records: records.filter(isRecord), next: offset + 8 + length }
}

/** Reads a file of version 1. Throws when it is none. */
export const readIndependently = (file: Buffer): IndependentReading => {
  if (file.subarray(0, firstLine.length).toString("latin1") !== firstLine) {
    throw new Error("not a timeline of version 1")
  }
  const records: Array<Readonly<Record<string, unknown>>> = []
  let offset = firstLine.length
  for (;;) {
    const frame = frameAt(file, offset)
    if (frame === undefined) return { records, tornAt: offset }
    records.push(...frame.records)
    offset = frame.next
    // Behind the end record there is at most room that the writer had taken.
    if (records.at(-1)?.["record"] === "end") {
      return file.subarray(offset).every((byte) => byte === 0) ? { records } : { records, tornAt: offset }
    }
  }
}
