import type { AudioFrame } from "../ports/AudioFrame.ts"
import { sampleRateHz } from "../ports/AudioFrame.ts"

/**
 * Seconds of caller audio that are kept for a recogniser that starts late: the prefix (0.5 s), what voice activity needs
 * to notice speech (0.3 s), and a recogniser's start (bounded; CONTRACT S12).
 */
export const historySeconds = 4

/** The last seconds of caller audio, by sample index (bounded by {@link historySeconds}). */
export class AudioHistory {
  readonly #ring = new Int16Array(historySeconds * sampleRateHz)
  #end = 0
  #start = 0

  push(frame: AudioFrame): void {
    const { sampleIndex, samples } = frame
    if (sampleIndex !== this.#end) {
      // A gap in the stream: what was lost is silence, so that positions stay true.
      const gap = Math.min(Math.max(0, sampleIndex - this.#end), this.#ring.length)
      for (let i = 0; i < gap; i++) this.#ring[(sampleIndex - gap + i) % this.#ring.length] = 0
      if (this.#end === this.#start) this.#start = sampleIndex
      this.#end = sampleIndex
    }
    const at = this.#end % this.#ring.length
    const before = Math.min(samples.length, this.#ring.length - at)
    if (before === samples.length) this.#ring.set(samples, at)
    else {
      this.#ring.set(samples.subarray(0, before), at)
      this.#ring.set(samples.subarray(before), 0)
    }
    this.#end += samples.length
    this.#start = Math.max(this.#start, this.#end - this.#ring.length)
  }

  /** A copy of everything from `sampleIndex` on that is still here. */
  from(sampleIndex: number): Int16Array {
    const start = Math.min(Math.max(sampleIndex, this.#start), this.#end)
    const copy = new Int16Array(this.#end - start)
    const at = start % this.#ring.length
    const before = Math.min(copy.length, this.#ring.length - at)
    copy.set(this.#ring.subarray(at, at + before), 0)
    copy.set(this.#ring.subarray(0, copy.length - before), before)
    return copy
  }
}
