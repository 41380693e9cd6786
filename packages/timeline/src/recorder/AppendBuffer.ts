import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { evidenceBaseBytes, evidenceInvocationBytes } from "./EvidenceLedger.ts"
import type { Emission } from "./RecordAssembler.ts"

/** Bounds of stage A, the memory between the session and the disk. */
export interface AppendLimits {
  /** Emissions that may wait. */
  readonly items: number
  /** Bytes that may wait, by the estimate of {@link approximateBytes}. */
  readonly bytes: number
}

/** 4 MiB is half an hour of a call at L0, or two minutes at L2, with a disk that takes nothing at all. */
export const appendLimits: AppendLimits = { items: 65_536, bytes: 4 * 1024 * 1024 }

/**
 * Part of the bound past which detail is dropped. Above the fills at which the recording level goes down (CONTRACT section
 * 7), so that detail is let go in good order and told, and dropped only where that is not enough.
 */
export const detailFill = 0.95

/** What the writer takes at once, at most: the rest can still make way. The first emission is taken whatever its size. */
export const takenItems = 128
export const takenBytes = 256 * 1024

/** Always free for the terminals and closes of two turns (T9): two signals and two transitions each. */
export const markerBytes = 8 * 1024
export const markerItems = 64

/** Room for the records between the answer to `append_evidence` and the end of the turn. */
export const endingBytes = 8 * 1024

/** What the buffer did with an emission; `stripped` kept terminal and close but not the evidence. */
export type Kept = "kept" | "stripped" | "dropped"

/**
 * Stage A of the recorder: a bounded buffer in memory that never waits.
 *
 * Each tier may fill less of it than the next: detail 95 % less the room that open turns need for their evidence, records
 * all but that room and the room for markers, the baseline everything. So detail goes first and can never starve evidence
 * (I-ROOM-EVIDENCE), and for terminal and close there is room always (I-ROOM-MARKERS). Detail that waits makes way for a
 * record that has no room, newest first (I-ROOM-RECORDS). What was taken but is not yet on disk still counts.
 */
export class AppendBuffer {
  readonly #limits: AppendLimits
  #waiting: Array<Emission> = []
  #waitingBytes = 0
  /** Of what waits, what is detail. */
  #detailItems = 0
  #detailBytes = 0
  #takenItems = 0
  #takenBytes = 0
  /** Detail records that had to go. */
  droppedDetail = 0
  /** Other records that had to go. */
  droppedRecords = 0

  constructor(limits: AppendLimits = appendLimits) {
    this.#limits = limits
  }

  /** Bytes that wait to be taken. */
  get waitingBytes(): number {
    return this.#waitingBytes
  }

  /** Part of the bound that is used, of items or of bytes, whichever is more; what was taken and is not on disk counts. */
  get fill(): number {
    return Math.max(this.#items / this.#limits.items, this.#bytes / this.#limits.bytes)
  }

  /** Keeps the emission if its tier may. `reservedBytes` is what open turns need for their evidence. */
  offer(emission: Emission, reservedBytes: number): Kept {
    const bytes = sum(emission.records)
    if (this.#fits(emission, bytes, reservedBytes) || this.#makesWay(emission, bytes, reservedBytes)) {
      this.#push(emission, bytes)
      return "kept"
    }
    const markers = emission.records.filter((record) => record.record !== "evidence")
    if (emission.tier === "baseline" && markers.length < emission.records.length) {
      const stripped = { tier: emission.tier, records: markers }
      const size = sum(markers)
      if (this.#fits(stripped, size, 0) || this.#makesWay(stripped, size, 0)) {
        this.#push(stripped, size)
        this.droppedRecords++
        return "stripped"
      }
    }
    if (emission.tier === "detail") this.droppedDetail += emission.records.length
    else this.droppedRecords += emission.records.length
    return "dropped"
  }

  /** True when the open turns can still be ended with all their records and evidence. */
  hasRoom(reservedBytes: number): boolean {
    return this.#items - this.#detailItems < this.#limits.items - 2 * markerItems &&
      this.#bytes - this.#detailBytes + endingBytes + reservedBytes + markerBytes <= this.#limits.bytes
  }

  /** Takes the first of what waits, as much as is written at once. It counts until {@link written} says that it is gone. */
  take(): ReadonlyArray<Emission> {
    let items = 0
    let bytes = 0
    for (const emission of this.#waiting) {
      const size = sum(emission.records)
      if (items > 0 && (items >= takenItems || bytes + size > takenBytes)) break
      items++
      bytes += size
      if (emission.tier === "detail") {
        this.#detailItems--
        this.#detailBytes -= size
      }
    }
    const taken = this.#waiting.splice(0, items)
    this.#takenItems += items
    this.#takenBytes += bytes
    this.#waitingBytes -= bytes
    return taken
  }

  /** What was taken has left the memory. */
  written(): void {
    this.#takenItems = 0
    this.#takenBytes = 0
  }

  get #items(): number {
    return this.#waiting.length + this.#takenItems
  }

  get #bytes(): number {
    return this.#waitingBytes + this.#takenBytes
  }

  /** Lets detail that waits go for something else, if that helps. */
  #makesWay(emission: Emission, bytes: number, reservedBytes: number): boolean {
    if (emission.tier === "detail" || this.#detailItems === 0) return false
    if (!this.#fits(emission, bytes - this.#detailBytes, reservedBytes, this.#detailItems)) return false
    for (let at = this.#waiting.length - 1; at >= 0 && !this.#fits(emission, bytes, reservedBytes); at--) {
      const waiting = this.#waiting[at]
      if (waiting?.tier !== "detail") continue
      const size = sum(waiting.records)
      this.#waiting.splice(at, 1)
      this.#waitingBytes -= size
      this.#detailItems--
      this.#detailBytes -= size
      this.droppedDetail += waiting.records.length
    }
    return true
  }

  /** Whether it has room; `without`: when so many of the items that wait have gone. */
  #fits(emission: Emission, bytes: number, reservedBytes: number, without = 0): boolean {
    const { items: most, bytes: limit } = this.#limits
    const items = most + without
    const used = this.#bytes + bytes
    switch (emission.tier) {
      case "detail":
        // Never so much that an open turn could not be ended, however small the bounds are.
        return this.#items < Math.min(items * detailFill, items - 2 * markerItems - 1) &&
          used <= Math.min(limit * detailFill, limit - endingBytes - markerBytes) - reservedBytes
      case "record":
        return this.#items < items - markerItems && used <= limit - reservedBytes - markerBytes
      case "baseline":
        return this.#items < items && used <= limit
    }
  }

  #push(emission: Emission, bytes: number): void {
    this.#waiting.push(emission)
    this.#waitingBytes += bytes
    if (emission.tier !== "detail") return
    this.#detailItems++
    this.#detailBytes += bytes
  }
}

const sum = (records: ReadonlyArray<TimelineRecord>): number => {
  let bytes = 0
  for (const record of records) bytes += approximateBytes(record)
  return bytes
}

/**
 * About how many bytes a record takes, without encoding it: encoding is the writer's work. An upper bound for what is
 * usual, exact for what is large.
 */
export const approximateBytes = (record: TimelineRecord): number => {
  switch (record.record) {
    case "header":
    case "plan":
      return 16_384
    case "audio":
      return 128 + 4 * (record.jitter?.length ?? 0)
    case "input":
      return record.input.type === "snapshot" ? 4096 : 512
    case "signal":
    case "event":
      return 1024
    case "transition":
      return 256
    case "decision":
      return 640
    case "invocation":
      return 1024
    case "command":
      return record.command.type !== "start_invocation" ? 256 : 1024 +
        (record.command.conversation ?? []).reduce((bytes, line) => bytes + 48 + 48 * line.parts.length, 0)
    case "evidence":
      return evidenceBaseBytes / 2 + evidenceInvocationBytes * record.evidence.invocations.length
    case "supplement":
      return 1024 + evidenceInvocationBytes * record.supplement.invocations.length
    case "payload":
      return 256 + 3 * (record.text?.length ?? 0) + (record.pcm_base64?.length ?? 0)
    case "caller_audio":
      return 128 + record.pcm_base64.length
    case "sealed":
      return 512 + record.data_base64.length
    case "removed":
      return 256
    case "end":
      return 256 + 64 * (record.not_captured === undefined
            ? 0
            : 2 + record.not_captured.payloads.length + 2 * (record.not_captured.lowered_turns?.length ?? 0))
  }
}
