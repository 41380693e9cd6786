/** A line without any audio for this long is `silence`, ms: five times the longest pause of Opus (DTX, 400 ms). */
export const defaultSilenceMs = 2_000

/**
 * A line without any audio for this long is a `stall`, which ends the turn, ms: four times {@link defaultSilenceMs}, and
 * about half of what the server takes until it gives a participant up.
 */
export const defaultStallMs = 8_000

/** Between two ticks at most, ms; a longer time means that this process stood still, and proves nothing about the line. */
const tickBoundMs = 1_000

/** How a line is. */
export type LineState = "live" | "silence" | "stall"

/**
 * Tells a caller who says nothing from a line on which nothing comes.
 *
 * The native client plays silence where no packets come, so frames prove nothing: sound does, and packets do. A line of
 * which nothing is expected (no track, muted, cut off) is never silent. Pure: times are given, in ms.
 */
export class LineWatch {
  readonly #silenceMs: number
  readonly #stallMs: number
  #aliveMs = 0
  #tickMs = 0
  #expected = false
  #state: LineState = "live"

  constructor(options?: { readonly silenceMs?: number | undefined; readonly stallMs?: number | undefined }) {
    this.#silenceMs = options?.silenceMs ?? defaultSilenceMs
    this.#stallMs = Math.max(options?.stallMs ?? defaultStallMs, this.#silenceMs)
  }

  /** Since when nothing has come, in ms; 0 when nothing is expected. */
  quietMs(nowMs: number): number {
    return this.#expected ? nowMs - this.#aliveMs : 0
  }

  /** Whether audio is to come. Returns the new state, when that changed. */
  expect(expected: boolean, nowMs: number): LineState | undefined {
    if (expected === this.#expected) return undefined
    this.#expected = expected
    this.#aliveMs = nowMs
    return this.#change("live")
  }

  /** Sound, or packets, came. */
  alive(nowMs: number): LineState | undefined {
    this.#aliveMs = nowMs
    return this.#change("live")
  }

  tick(nowMs: number): LineState | undefined {
    const stoodStillMs = nowMs - Math.max(this.#tickMs, this.#aliveMs) - tickBoundMs
    if (this.#tickMs > 0 && stoodStillMs > 0) this.#aliveMs += stoodStillMs
    this.#tickMs = nowMs
    const quietMs = this.quietMs(nowMs)
    return this.#change(quietMs >= this.#stallMs ? "stall" : quietMs >= this.#silenceMs ? "silence" : "live")
  }

  #change(state: LineState): LineState | undefined {
    if (state === this.#state) return undefined
    this.#state = state
    return state
  }
}
