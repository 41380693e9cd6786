/** A capture that the native client has not confirmed after this long never will be, ms: 25 times the longest queue. */
export const stuckCaptureMs = 5_000

/**
 * Tells when the native client has stopped taking the agent's audio.
 *
 * Time in which this process stood still is not counted: the answer may be there, and wait to be heard. Pure: times are given.
 */
export class CaptureWatch {
  readonly #stepMs: number
  #lookedMs: number | undefined
  #waitedMs = 0
  #watchedMs = 0

  /** Of the time between two looks at most `stepMs` count: twice as long as it is meant to be. */
  constructor(stepMs: number) {
    this.#stepMs = stepMs
  }

  /** Whether the capture in flight, which has waited for so long (0: none is), is stuck: for {@link stuckCaptureMs}, all of it watched. */
  isStuck(waitedMs: number, nowMs: number): boolean {
    const passed = Math.min(nowMs - (this.#lookedMs ?? nowMs), this.#stepMs)
    // Where less was waited than before, it is another one.
    if (waitedMs === 0 || waitedMs < this.#waitedMs) this.#watchedMs = 0
    else this.#watchedMs += passed
    this.#lookedMs = nowMs
    this.#waitedMs = waitedMs
    return waitedMs >= stuckCaptureMs && this.#watchedMs >= stuckCaptureMs
  }
}
