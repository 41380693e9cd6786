import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { CompleteSessionConfig } from "@rspp/contracts/SessionConfig"

/**
 * Why a pause ends when it does.
 *
 * - `fixed`: `endpointing.min_ms`.
 * - `unfinished`: the text cue says that the words go on: `endpointing.unfinished_ms`.
 * - `learned`: the pauses of this caller (`endpointing.mode: dynamic`).
 * - `likely`, `unlikely`: the end-of-turn model is sure: `min_ms` or `max_ms`.
 * - `released`: the caller let go of the key; nothing is waited for.
 */
export type EndpointReason = "fixed" | "unfinished" | "learned" | "likely" | "unlikely" | "released"

/** How long the caller's silence lasts, from the last speech sample, until a turn is proposed. */
export interface EndpointDelay {
  readonly ms: number
  readonly reason: EndpointReason
}

/**
 * The endpoint rule of one session: how long to wait in a pause.
 *
 * Fixed endpointing waits `min_ms`, or `unfinished_ms` when the text cue says so. Dynamic endpointing waits for what this
 * caller's pauses were so far: their mean and twice their mean deviation, as TCP estimates round trips (RFC 6298: gains of
 * 1/8 and 1/4). The estimate is kept in eighths and quarters of a millisecond, in integers, so that it is the same on
 * every machine. Before the first pause it waits as fixed endpointing does.
 *
 * The end-of-turn model's answer decides within the same bounds when it is sure, and leaves the rest to the cue.
 *
 * Guarantees: I-ENDPOINT-BOUND the delay is at least `min(min_ms, max_ms)` and at most `max_ms`.
 */
export class Endpointing {
  readonly #config: CompleteSessionConfig
  /** Mean of the pauses, in 1/8 ms; undefined until there was one. */
  #mean8: number | undefined
  /** Mean deviation from it, in 1/4 ms. */
  #deviation4 = 0

  constructor(config: CompleteSessionConfig) {
    this.#config = config
  }

  /** The caller was silent for so long and then went on with what it was saying. */
  paused(ms: number): void {
    if (this.#config.endpointing.mode !== "dynamic" || ms > this.#config.endpointing.max_ms) return
    if (this.#mean8 === undefined) {
      this.#mean8 = ms << 3
      this.#deviation4 = ms << 1
      return
    }
    this.#deviation4 += Math.abs(ms - (this.#mean8 >> 3)) - (this.#deviation4 >> 2)
    this.#mean8 += ms - (this.#mean8 >> 3)
  }

  /** The delay for a pause of which this text (none yet: undefined) and this answer of the model are known. */
  delay(handle: PayloadHandle | undefined, percent: number | undefined): EndpointDelay {
    const { end_of_turn, endpointing, turn_detection } = this.#config
    const { max_ms, min_ms, unfinished_ms } = endpointing
    if (turn_detection === "push_to_talk") return { ms: 0, reason: "released" }
    const bounded = (ms: number, reason: EndpointReason): EndpointDelay => ({ ms: Math.min(ms, max_ms), reason })
    if (percent !== undefined && percent >= end_of_turn.likely_percent) return bounded(min_ms, "likely")
    if (percent !== undefined && percent <= end_of_turn.unlikely_percent) return bounded(max_ms, "unlikely")
    const unfinished = handle?.facts?.complete === false
    const cue = unfinished ? bounded(unfinished_ms, "unfinished") : bounded(min_ms, "fixed")
    if (this.#mean8 === undefined) return cue
    const learned = (this.#mean8 >> 3) + (this.#deviation4 >> 1)
    return learned > cue.ms || !unfinished ? bounded(Math.max(min_ms, learned), "learned") : cue
  }
}
