import type { BlockHead } from "../format/RecordBlock.ts"
import { headOf, maxFlags } from "../format/RecordBlock.ts"
import { headOfJson } from "../format/JsonFrame.ts"
import { readPreamble } from "../format/TimelineFormat.ts"
import type { TearReason } from "../format/TimelineFrame.ts"
import { readFrame } from "../format/TimelineFrame.ts"

/** What to take from the front of the bytes. */
export type Cut =
  | {
    readonly is: "cut"
    readonly length: number
    readonly first_sequence?: number
    readonly last_sequence?: number
    /** The end record is in it. */
    readonly closed: boolean
  }
  /** Not even the first frame is whole; it is, when there are so many bytes. */
  | { readonly is: "short"; readonly bytes: number }
  /** What comes first is no frame; `closed` files are damaged here. */
  | { readonly is: "torn"; readonly reason: TearReason }

/**
 * Where to cut the next segment: after the last whole frame within `maxBytes`, but at least one frame. Pure: the same
 * bytes are cut at the same place. `atStart` says that they begin with the file's first line, which goes with the header.
 */
export const cutSegment = (bytes: Uint8Array, atStart: boolean, maxBytes: number): Cut => {
  let at = 0
  if (atStart) {
    const preamble = readPreamble(bytes)
    if (preamble.is === "short") return { is: "short", bytes: bytes.length + 1 }
    if (preamble.is !== "timeline") return { is: "torn", reason: "garbage" }
    at = preamble.next
  }
  const start = at
  let first: number | undefined
  let last: number | undefined
  let closed = false
  while (!closed && at < bytes.length) {
    const frame = readFrame(bytes, at)
    if (frame.is !== "frame" || (frame.next > maxBytes && at > start)) {
      if (at > start) break
      return frame.is === "torn" ? frame : { is: "short", bytes: frame.is === "short" ? at + frame.bytes : frame.next }
    }
    const head = headIn(frame.payload)
    if (head === undefined) {
      if (at > start) break
      return { is: "torn", reason: "garbage" }
    }
    if (head.sequences !== undefined) {
      first = Math.min(first ?? head.sequences.first, head.sequences.first)
      last = Math.max(last ?? 0, head.sequences.last)
    }
    closed = head.ends
    at = frame.next
  }
  if (at === start) return { is: "short", bytes: bytes.length + 1 }
  const sequences = first === undefined || last === undefined ? {} : { first_sequence: first, last_sequence: last }
  return { is: "cut", length: at, ...sequences, closed }
}

/** What a frame of any version says of its records; undefined when it holds none. */
const headIn = (payload: Uint8Array): Pick<BlockHead, "ends" | "sequences"> | undefined => {
  try {
    return (payload[0] ?? 0) <= maxFlags ? headOf(payload) : headOfJson(payload)
  } catch {
    return undefined
  }
}
