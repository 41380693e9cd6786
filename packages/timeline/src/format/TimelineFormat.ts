import { readableFormatVersions } from "@rspp/contracts/Timeline"

/**
 * The first line of a timeline file. docs/timeline-format.md has all of its bytes:
 *
 * ```
 * rspp-timeline 2\n
 * u32 length | u32 crc32 | payload      a frame, numbers big-endian: TimelineFrame.ts
 * ```
 *
 * Version 1: the payload is canonical JSON (JsonFrame.ts). Version 2: a block of records (RecordBlock.ts), each told by how
 * it differs from what those before it made the reader expect (RecordEncoder.ts, RecordDecoder.ts). In both a payload is
 * one or more records, of which a reader sees all or none; the first frame is the header, the last has the end record.
 * While a file is being written, zeros may follow its last frame: room that the writer has taken from the disk in advance.
 *
 * Invariants: I-FRAME-WHOLE a frame is read whole or not at all; I-FRAME-SAME decoding what was encoded gives equal
 * records, and equal records that are framed alike give equal bytes.
 */

/** First line of a timeline file, up to the version number. */
export const magic = "rspp-timeline "

/** Versions of the format that this program reads. */
export const readableVersions: ReadonlyArray<number> = readableFormatVersions

/** The first line of a file of a version. */
export const preambleOf = (version: number): Uint8Array => new TextEncoder().encode(`${magic}${version}\n`)

/** Longest first line that is looked at; a longer one is of no timeline. */
const maxPreambleBytes = magic.length + 10

/** What a look at the first bytes says. `short` asks for more bytes. */
export type Preamble =
  | { readonly is: "timeline"; readonly version: number; readonly next: number }
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
    ? { is: "timeline", version: Number(digits), next: magic.length + digits.length + 1 }
    : { is: "version", version: digits }
}
