import { Latch } from "effect"
import { FlushMarks } from "./FlushMarks.ts"
import type { ShipperLimits } from "./ShipperLimits.ts"
import type { RecordingKey } from "./TimelineSegment.ts"

/** `shipping`: some of it may still wait. `stored`: all of it is in the store. `failed`: given up, for `problem`. */
export type ShippingState = "shipping" | "stored" | "failed"

/** How far the shipping of one recording is. */
export interface ShippingReport extends RecordingKey {
  readonly path: string
  readonly state: ShippingState
  /** Segments in the store. */
  readonly segments: number
  /** Bytes in the store, and on disk. */
  readonly stored_bytes: number
  readonly recorded_bytes: number
  /** Tries that failed. */
  readonly failures: number
  /** The longest that bytes were on disk before they were in the store, ms. */
  readonly longest_lag_ms: number
  /** What went wrong last, if it is not over. */
  readonly problem?: string
}

/** What the shipper knows of one recording: its state, without any of its bytes. */
export class ShippedRecording {
  readonly path: string
  readonly key: RecordingKey
  /** Bytes on disk, and in the store; and the index of the next segment. */
  recorded = 0
  stored = 0
  next = 0
  /** No more bytes will come. */
  closed = false
  /** What the store has of it was asked. */
  located = false
  state: ShippingState = "shipping"
  problem: string | undefined
  failures = 0
  longestLagMs = 0
  warned = false
  readonly #marks = new FlushMarks()
  readonly #limits: ShipperLimits
  /** Open while there is something to do; … when it should not wait; … when nothing is left to do for now. */
  readonly work = Latch.makeUnsafe(false)
  readonly urgent = Latch.makeUnsafe(false)
  readonly settled = Latch.makeUnsafe(false)

  constructor(path: string, key: RecordingKey, limits: ShipperLimits) {
    this.path = path
    this.key = key
    this.#limits = limits
  }

  get pending(): number {
    return this.recorded - this.stored
  }

  /** The recorder has written up to `bytes`. */
  grew(bytes: number, closed: boolean, nowMs: number): void {
    if (this.state !== "shipping") return
    this.recorded = Math.max(this.recorded, bytes)
    this.closed ||= closed
    this.#marks.flushed(this.recorded, nowMs)
    this.#marks.stored(this.stored)
    this.#signal()
  }

  /** The store has everything up to `bytes`, in `segments`. */
  reached(bytes: number, segments: number, nowMs: number): void {
    const oldest = this.#marks.oldestMs
    this.stored = bytes
    this.next = segments
    this.#marks.stored(bytes)
    if (oldest !== undefined && oldest !== this.#marks.oldestMs) {
      this.longestLagMs = Math.max(this.longestLagMs, nowMs - oldest)
    }
    this.#signal()
  }

  end(state: "stored" | "failed", problem?: string): void {
    this.state = state
    this.problem = problem
    for (const latch of [this.work, this.urgent, this.settled]) latch.openUnsafe()
  }

  lagMs(nowMs: number): number {
    const oldest = this.#marks.oldestMs
    return oldest === undefined || this.state !== "shipping" ? 0 : Math.max(0, nowMs - oldest)
  }

  report(nowMs: number): ShippingReport {
    const { failures, key, next, path, problem, recorded, state, stored } = this
    return {
      ...key,
      path,
      state,
      segments: next,
      stored_bytes: stored,
      recorded_bytes: recorded,
      failures,
      longest_lag_ms: Math.max(this.longestLagMs, this.lagMs(nowMs)),
      ...(problem === undefined ? {} : { problem })
    }
  }

  #signal(): void {
    set(this.work, this.pending > 0 || this.closed || !this.located)
    set(this.urgent, this.pending >= this.#limits.segmentBytes || this.closed)
    set(this.settled, this.located && this.pending <= 0 && !this.closed)
  }
}

const set = (latch: Latch.Latch, open: boolean): void => {
  if (open) latch.openUnsafe()
  else latch.closeUnsafe()
}
