import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { timelineFormatVersion } from "@rspp/contracts/Timeline"
import { crc32 } from "node:zlib"

/**
 * The bytes of a timeline file.
 *
 * ```
 * rspp-timeline 1\n
 * u32 length | u32 crc32 | payload      one frame, numbers big-endian
 * u32 length | u32 crc32 | payload
 * ```
 *
 * The payload is UTF-8 canonical JSON: one record, or a list of records that belong together (a *group*: evidence,
 * terminal and close of a turn), of which a reader sees all or none. The checksum covers the payload. The first frame is
 * the header, the last the end record. While a file is being written, zeros may follow its last frame: room that the
 * writer has taken from the disk in advance.
 *
 * Everything here is a pure function over bytes. Invariants: I-FRAME-WHOLE a frame is read whole or not at all;
 * I-FRAME-SAME decoding what was encoded gives equal records, and equal records give equal bytes.
 */

/** First line of a timeline file, up to the version number. */
export const magic = "rspp-timeline "

/** Versions of the format that this program reads. */
export const readableVersions: ReadonlyArray<number> = [timelineFormatVersion]

/** Length and checksum before each payload. */
export const frameHeaderBytes = 8

/** The largest payload of one frame: bounds what a reader holds in memory for a frame. */
export const maxFrameBytes = 16 * 1024 * 1024

/** The smallest payload that can be a record: `{}`. */
const minFrameBytes = 2

const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { fatal: true })

/** The first bytes of every timeline file. */
export const preamble: Uint8Array = encoder.encode(`${magic}${timelineFormatVersion}\n`)

/** Longest first line that is looked at; a longer one is of no timeline. */
const maxPreambleBytes = magic.length + 10

/** One frame: a record, or several that are only of use together. Throws a `RangeError` past {@link maxFrameBytes}. */
export const encodeFrame = (records: ReadonlyArray<TimelineRecord>): Uint8Array => {
  const payload = encoder.encode(canonicalJson(records.length === 1 ? records[0] : records))
  if (payload.length > maxFrameBytes) throw new RangeError(`a frame holds at most ${maxFrameBytes} bytes`)
  const frame = new Uint8Array(frameHeaderBytes + payload.length)
  const view = new DataView(frame.buffer)
  view.setUint32(0, payload.length)
  view.setUint32(4, crc32(payload))
  frame.set(payload, frameHeaderBytes)
  return frame
}

/** What a look at the first bytes says. `short` asks for more bytes. */
export type Preamble =
  | { readonly is: "timeline"; readonly next: number }
  | { readonly is: "version"; readonly version: string }
  | { readonly is: "other" }
  | { readonly is: "short" }

export const readPreamble = (bytes: Uint8Array): Preamble => {
  const line = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, maxPreambleBytes)).toString("latin1")
  if (!line.startsWith(magic)) return magic.startsWith(line) ? { is: "short" } : { is: "other" }
  const version = /^([0-9]{1,9})(\n?)/u.exec(line.slice(magic.length))
  if (version === null) return line.length === magic.length ? { is: "short" } : { is: "other" }
  const [, digits = "", newline] = version
  if (newline === "") return line.length === magic.length + digits.length ? { is: "short" } : { is: "other" }
  return readableVersions.includes(Number(digits)) && !digits.startsWith("0")
    ? { is: "timeline", next: magic.length + digits.length + 1 }
    : { is: "version", version: digits }
}

/** Why a timeline cannot be read on. */
export type TearReason = "truncated" | "checksum" | "garbage"

/** One step of reading. `short` asks for `bytes` from the offset on. */
export type Frame =
  | { readonly is: "frame"; readonly records: ReadonlyArray<unknown>; readonly next: number }
  | { readonly is: "short"; readonly bytes: number }
  | { readonly is: "torn"; readonly reason: TearReason }

const torn = (reason: TearReason): Frame => ({ is: "torn", reason })

/** Reads the frame at `offset`. It says `short` when `bytes` does not hold all of it. */
export const readFrame = (bytes: Uint8Array, offset: number): Frame => {
  if (bytes.length - offset < frameHeaderBytes) return { is: "short", bytes: frameHeaderBytes }
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const length = view.getUint32(offset)
  // The writer's reserved room: the recording stopped here.
  if (length === 0 && view.getUint32(offset + 4) === 0) return torn("truncated")
  if (length < minFrameBytes || length > maxFrameBytes) return torn("garbage")
  const start = offset + frameHeaderBytes
  if (bytes.length - start < length) return { is: "short", bytes: frameHeaderBytes + length }
  const payload = bytes.subarray(start, start + length)
  if (crc32(payload) !== view.getUint32(offset + 4)) return torn("checksum")
  let value: unknown
  try {
    value = JSON.parse(decoder.decode(payload))
  } catch {
    return torn("garbage")
  }
  const records: ReadonlyArray<unknown> = Array.isArray(value) ? value : [value]
  return records.length > 0 && records.every(isRecord)
    ? { is: "frame", records, next: start + length }
    : torn("garbage")
}

const isRecord = (value: unknown): boolean =>
  typeof value === "object" && value !== null && typeof (value as { readonly record?: unknown }).record === "string"

/**
 * True when a whole frame lies somewhere behind `offset`: then the frame there is damaged, not cut short, even though
 * its length points past the end of the file.
 */
export const frameFollows = (bytes: Uint8Array, offset: number): boolean => {
  const braces = [0x7b, 0x5b]
  for (let at = offset + 1; at + frameHeaderBytes + minFrameBytes <= bytes.length; at++) {
    if (braces.includes(bytes[at + frameHeaderBytes] ?? 0) && readFrame(bytes, at).is === "frame") return true
  }
  return false
}
