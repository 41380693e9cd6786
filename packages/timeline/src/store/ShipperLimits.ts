import { lagToL1Ms } from "./ExportLag.ts"

/** Bounds of stage B. */
export interface ShipperLimits {
  /** A segment is cut when so many bytes have come together; one frame may be larger. */
  readonly segmentBytes: number
  /** A smaller one is cut when its first bytes have waited so long, ms: what a lost machine loses. */
  readonly holdMs: number
  /** Segments in memory, and calls to the store, at once: of all recordings. */
  readonly concurrentPuts: number
  /** A store that has not answered after this long is taken for unavailable, ms. */
  readonly answerMs: number
  /** Tries of one call before the recording rests, with growing pauses between them, … */
  readonly attempts: number
  readonly firstPauseMs: number
  readonly longestPauseMs: number
  /** … for so long, ms; then it begins again. */
  readonly restMs: number
  /** Recordings that are shipped or wait for it. One more, and the oldest that is closed is given up (its file stays). */
  readonly recordings: number
  /** When the program ends, so long is waited for what is not stored yet, ms. */
  readonly drainMs: number
}

/**
 * 32 KiB is two minutes of a call at L0 (15 KB a minute, the bound of the recorder), a second at L2, and takes the thread
 * of the sessions about half a millisecond to read, cut and hash. So a call that goes on is stored in segments of a
 * second, and what waited for a store in segments of 32 KiB. A round of tries takes 3.1 s of pauses: longer than a
 * database needs to start again.
 */
export const shipperLimits: ShipperLimits = {
  segmentBytes: 32 * 1024,
  holdMs: 1000,
  concurrentPuts: 4,
  answerMs: 5000,
  attempts: 6,
  firstPauseMs: 100,
  longestPauseMs: 5000,
  restMs: 10_000,
  recordings: 8192,
  drainMs: 10_000
}

if (shipperLimits.holdMs >= lagToL1Ms) throw new Error("holding back a segment must not look like a slow store")
