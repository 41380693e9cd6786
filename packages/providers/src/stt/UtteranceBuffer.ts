import { samplesPerMs } from "@rspp/runtime/ports/AudioFrame"

/** The audio of one utterance so far: grows by doubling up to its bound; what comes after that is not heard. */
export class UtteranceBuffer {
  readonly #maxSamples: number
  #samples = new Int16Array(2_000 * samplesPerMs)
  #count = 0

  constructor(maxMs: number) {
    this.#maxSamples = maxMs * samplesPerMs
  }

  append(next: Int16Array): void {
    const room = this.#maxSamples - this.#count
    const taken = next.length > room ? next.subarray(0, room) : next
    const needed = this.#count + taken.length
    if (needed > this.#samples.length) {
      const grown = new Int16Array(Math.max(needed, this.#samples.length * 2))
      grown.set(this.#samples.subarray(0, this.#count))
      this.#samples = grown
    }
    this.#samples.set(taken, this.#count)
    this.#count = needed
  }

  get length(): number {
    return this.#count
  }

  /** All samples so far, without a copy: as they are until the next {@link append}. */
  get view(): Int16Array {
    return this.#samples.subarray(0, this.#count)
  }

  /** A copy of all samples so far. */
  all(): Int16Array {
    return this.#samples.slice(0, this.#count)
  }
}
