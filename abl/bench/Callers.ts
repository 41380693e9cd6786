import { silentFrame, spokenFrame } from "./InstantPorts.ts"

/** What each caller does, over and over: speaks for a second, and listens for three. */
export const cycleFrames = 200
const speechFrames = 50

/** Something that is fed one frame every 20 ms. */
export interface Fed {
  readonly feed: (samples: Int16Array) => void
}

/** The frame that a caller says next, in a buffer of its own. */
export const frameAt = (index: number): Int16Array =>
  (index % cycleFrames < speechFrames ? spokenFrame : silentFrame).slice()

/**
 * Feeds any number of callers fifty frames a second in real time, each at its own moment of the 20 ms, and each in its
 * own place of the cycle, so that turns are spread over time as they are in a process that serves strangers.
 */
export class Callers {
  readonly #fed: ReadonlyArray<Fed>
  readonly #slices: number
  #slice = 0
  #timer: NodeJS.Timeout | undefined

  /** `slices`: into how many parts the 20 ms are cut. */
  constructor(fed: ReadonlyArray<Fed>, slices = 20) {
    this.#fed = fed
    this.#slices = slices
  }

  start(): void {
    const began = performance.now() - (this.#slice * 20) / this.#slices
    const tick = () => {
      const due = Math.floor(((performance.now() - began) * this.#slices) / 20)
      while (this.#slice < due) this.#feedSlice(this.#slice++)
      this.#timer = setTimeout(tick, 1)
    }
    tick()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  #feedSlice(slice: number): void {
    const { length } = this.#fed
    const part = slice % this.#slices
    const round = Math.floor(slice / this.#slices)
    const first = Math.floor((part * length) / this.#slices)
    const end = Math.floor(((part + 1) * length) / this.#slices)
    // The golden ratio spreads any number of callers evenly over the cycle.
    for (let i = first; i < end; i++) {
      this.#fed[i]?.feed(frameAt(round + Math.floor(((i * 0.618034) % 1) * cycleFrames)))
    }
  }
}
