import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import { sequencesOf } from "@rspp/contracts/TimelineStamp"
import { encodeJson } from "./JsonFrame.ts"
import { encodeBlock } from "./RecordBlock.ts"
import { RecordEncoder } from "./RecordEncoder.ts"
import { preambleOf } from "./TimelineFormat.ts"
import { frameOf } from "./TimelineFrame.ts"

/** Records that are only of use together: a reader has all of them or none. */
export type Group = ReadonlyArray<TimelineRecord>

/** A block that has so many bytes takes no further group. */
const blockBytes = 256 * 1024

/** Groups in one block of a file that is written at once. */
const groupsPerBlock = 256

/**
 * Writes the frames of one timeline, in order. In version 2 each builds on those before it, so what it returns must be
 * written, all of it and in this order; where that failed, {@link startAfresh}.
 */
export class TimelineEncoder {
  readonly #version: number
  #records: RecordEncoder | undefined

  /** Of a version that is read: that of the header. */
  constructor(version: number) {
    this.#version = version
  }

  /** What comes next does not build on anything before it. */
  startAfresh(): void {
    this.#records = undefined
  }

  /**
   * The frames of these groups: as few as may be in version 2, one for each in version 1. Throws a `RangeError` for more
   * than a frame may hold and a `TypeError` for what JSON cannot hold; then nothing of it may be written.
   */
  encode(groups: ReadonlyArray<Group>): Uint8Array {
    try {
      const frames = this.#version === 1 ? groups.map((group) => frameOf(encodeJson(group))) : this.#blocks(groups)
      const [only] = frames
      return frames.length === 1 && only !== undefined ? only : Buffer.concat(frames)
    } catch (error) {
      this.startAfresh()
      throw error
    }
  }

  #blocks(groups: ReadonlyArray<Group>): ReadonlyArray<Uint8Array> {
    const frames: Array<Uint8Array> = []
    for (let at = 0; at < groups.length;) {
      if (this.#records?.isFull === true) this.startAfresh()
      const afresh = this.#records === undefined
      const encoder = this.#records ??= new RecordEncoder()
      encoder.begin()
      const from = at
      while (at < groups.length && (at === from || encoder.size < blockBytes)) {
        for (const record of groups[at] ?? []) encoder.add(record)
        at++
      }
      const { control, data, textBytes } = encoder.finish()
      const head = { afresh, ...headOf(groups.slice(from, at)) }
      if (head.records > 0) frames.push(frameOf(encodeBlock(head, { control, data }, textBytes)))
    }
    return frames
  }
}

const headOf = (groups: ReadonlyArray<Group>) => {
  let records = 0
  let first = Number.POSITIVE_INFINITY
  let last = -1
  let ends = false
  for (const group of groups) {
    records += group.length
    for (const record of group) {
      ends ||= record.record === "end"
      const taken = sequencesOf(record)
      if (taken === undefined) continue
      first = Math.min(first, taken.first)
      last = Math.max(last, taken.first + taken.count - 1)
    }
  }
  // A record that breaks the contract may have no number: it can be written, and a validating read names it.
  const numbered = Number.isSafeInteger(first) && Number.isSafeInteger(last) && first >= 0 && last >= first
  return { records, ends, ...(numbered ? { sequences: { first, last } } : {}) }
}

/** A whole file: what the header's version makes of these groups, of which the last has the end record. */
export const encodeTimeline = (header: TimelineHeader, groups: ReadonlyArray<Group>): Uint8Array => {
  const encoder = new TimelineEncoder(header.format_version)
  const parts = [preambleOf(header.format_version), encoder.encode([[header]])]
  for (let at = 0; at < groups.length; at += groupsPerBlock) {
    parts.push(encoder.encode(groups.slice(at, at + groupsPerBlock)))
  }
  return Buffer.concat(parts)
}
