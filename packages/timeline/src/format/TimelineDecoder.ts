import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import { decodeJson } from "./JsonFrame.ts"
import { decodeBlock } from "./RecordBlock.ts"
import { RecordDecoder } from "./RecordDecoder.ts"
import { readPreamble } from "./TimelineFormat.ts"
import type { TearReason } from "./TimelineFrame.ts"
import { frameFollows, readFrame } from "./TimelineFrame.ts"

/** Where a timeline stops being readable. A timeline that was closed properly has none. */
export interface Tear {
  /** Byte offset of the first frame that could not be read; the file's length when only the end record is missing. */
  readonly offset: number
  /**
   * `truncated`: the bytes end here (cut off, or the recording was never closed). `checksum`: the bytes of this frame were
   * changed. `garbage`: what is here is no frame.
   */
  readonly reason: TearReason
  /** Records that were read before it, the header included. */
  readonly recordsBefore: number
}

/** A timeline as it was read: all that comes before the tear, if there is one. */
export interface Timeline {
  readonly header: TimelineHeader
  /** Every record after the header; groups are laid flat. */
  readonly records: ReadonlyArray<TimelineRecord>
  readonly tear?: Tear
}

/** Why bytes are not a timeline at all. */
export type Rejection =
  | { readonly is: "empty" }
  | { readonly is: "other" }
  | { readonly is: "version"; readonly version: string }
  | { readonly is: "no_header"; readonly tear: Tear }

/** Called for each record with the byte offset of its frame; an answer other than `undefined` ends the reading. */
export type Inspect<E> = (record: unknown, offset: number, ordinal: number) => E | undefined

/**
 * Reads a timeline from chunks of any size, holding no more than one frame and one chunk.
 *
 * It is the pure half of the reader: push chunks until one is refused, then ask for the result. The same bytes give the
 * same result however they are cut into chunks.
 */
export class TimelineDecoder<E = never> {
  readonly #inspect: Inspect<E> | undefined
  readonly #records: Array<TimelineRecord> = []
  #header: TimelineHeader | undefined
  #pending: Uint8Array = new Uint8Array(0)
  /** Offset in the file of the first pending byte. */
  #offset = 0
  /** Pending bytes without which nothing more can be read. */
  #needed = 1
  /** Of the format; undefined before the first line was read. */
  #version: number | undefined
  /** What version 2 knows from the blocks before. */
  #decoder: RecordDecoder | undefined
  #ended = false
  #rejection: Rejection | undefined
  #tear: Tear | undefined
  #failure: E | undefined

  constructor(inspect?: Inspect<E>) {
    this.#inspect = inspect
  }

  /** Takes the next bytes. False when more bytes cannot change the result. */
  push(chunk: Uint8Array): boolean {
    if (this.#stopped) return false
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
    if (this.#pending.length >= this.#needed) this.#advance()
    return !this.#stopped
  }

  /** The result, once all bytes were pushed. */
  finish():
    | { readonly is: "timeline"; readonly timeline: Timeline }
    | { readonly is: "rejected"; readonly rejection: Rejection }
    | { readonly is: "failed"; readonly failure: E }
  {
    if (this.#failure !== undefined) return { is: "failed", failure: this.#failure }
    if (this.#version === undefined) {
      const empty = this.#offset === 0 && this.#pending.length === 0
      return { is: "rejected", rejection: this.#rejection ?? (empty ? { is: "empty" } : { is: "other" }) }
    }
    if (this.#tear === undefined && !this.#ended) {
      this.#tearOff(this.#pending.length > 0 && frameFollows(this.#pending, 0) ? "checksum" : "truncated")
    }
    const header = this.#header
    const tear = this.#tear
    if (header === undefined) {
      return { is: "rejected", rejection: { is: "no_header", tear: tear ?? this.#tearAt("garbage") } }
    }
    const timeline = { header, records: this.#records }
    return { is: "timeline", timeline: tear === undefined ? timeline : { ...timeline, tear } }
  }

  get #stopped(): boolean {
    return this.#tear !== undefined || this.#rejection !== undefined || this.#failure !== undefined
  }

  #tearAt(reason: TearReason): Tear {
    return {
      offset: this.#offset,
      reason,
      recordsBefore: this.#records.length + (this.#header === undefined ? 0 : 1)
    }
  }

  #tearOff(reason: TearReason): void {
    this.#tear = this.#tearAt(reason)
  }

  #advance(): void {
    let at = 0
    if (this.#version === undefined) {
      const first = readPreamble(this.#pending)
      if (first.is === "short") {
        this.#needed = this.#pending.length + 1
        return
      }
      if (first.is !== "timeline") {
        this.#rejection = first
        return
      }
      this.#version = first.version
      at = first.next
      this.#offset = at
    }
    while (!this.#stopped && at < this.#pending.length) {
      if (this.#ended) {
        // The writer's reserved room may still be there; anything else has no place behind the end.
        if (this.#pending.subarray(at).some((byte) => byte !== 0)) this.#tearOff("garbage")
        else at = this.#pending.length
        break
      }
      const frame = readFrame(this.#pending, at)
      if (frame.is === "short") {
        this.#needed = frame.bytes
        break
      }
      if (frame.is === "torn") {
        this.#tearOff(frame.reason)
        break
      }
      const records = this.#recordsOf(frame.payload)
      if (records === undefined) {
        this.#tearOff("garbage")
        break
      }
      if (!this.#accept(records)) break
      this.#offset += frame.next - at
      at = frame.next
      this.#needed = 1
    }
    this.#pending = this.#pending.subarray(at)
  }

  /** What a whole frame holds; undefined when that is no records. */
  #recordsOf(payload: Uint8Array): ReadonlyArray<TimelineRecord> | undefined {
    try {
      const records = this.#version === 1 ? decodeJson(payload) : this.#blockOf(payload)
      return records.length > 0 && records.every(isRecord) ? records : undefined
    } catch {
      return undefined
    }
  }

  #blockOf(payload: Uint8Array): ReadonlyArray<unknown> {
    const { body: { control, data }, head } = decodeBlock(payload)
    if (head.afresh) this.#decoder = new RecordDecoder()
    return this.#decoder?.decode(head.records, control, data) ?? []
  }

  /** Takes the records of one frame, all or none. */
  #accept(records: ReadonlyArray<TimelineRecord>): boolean {
    let ordinal = this.#records.length + (this.#header === undefined ? 0 : 1)
    for (const record of records) {
      // The header is first and nowhere else; an end record counts those before it.
      const fits = (record.record === "header") === (ordinal === 0) &&
        (record.record !== "end" || record.records === ordinal)
      if (!fits) {
        this.#tearOff("garbage")
        return false
      }
      this.#failure = this.#inspect?.(record, this.#offset, ordinal)
      if (this.#failure !== undefined) return false
      ordinal++
    }
    for (const record of records) {
      if (record.record === "header") this.#header = record
      else this.#records.push(record)
      if (record.record === "end") this.#ended = true
    }
    return true
  }
}

/** By its looks: whether it keeps the contract, a validating read says. */
const isRecord = (value: unknown): value is TimelineRecord =>
  typeof value === "object" && value !== null && "record" in value && typeof value.record === "string"
