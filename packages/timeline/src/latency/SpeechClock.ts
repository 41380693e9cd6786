import { frameMs, frameSamples, samplesPerMs } from "@rspp/runtime/ports/AudioFrame"

/**
 * Caller frames that are remembered: 20 s. Voice activity tells the end of speech when it has been silent for
 * `voice_activity.min_silence_ms` (250 ms unless set), so what is asked for is among the newest.
 */
export const rememberedFrames = 1000

/**
 * When a sample of the caller's stream was spoken, in session time: a frame arrives when its last sample has been spoken.
 *
 * Use it live, frame by frame, or with the runs of a timeline: the answers are the same. It holds the arrivals of the last
 * {@link rememberedFrames} frames (16 KB) and allocates nothing for a frame. A position that no frame covers is told by the
 * nearest frame before it; one before everything that is remembered has no answer.
 */
export class SpeechClock {
  readonly #samples = new Float64Array(rememberedFrames)
  readonly #arrivedMs = new Float64Array(rememberedFrames)
  #next = 0
  #count = 0

  /** A frame of 20 ms, whose first sample this is, came in. */
  frame(firstSample: number, arrivedMs: number): void {
    this.#samples[this.#next] = firstSample
    this.#arrivedMs[this.#next] = arrivedMs
    this.#next = (this.#next + 1) % rememberedFrames
    if (this.#count < rememberedFrames) this.#count++
  }

  /** Frames as a timeline has them: `jitter` is absent where all came when they were due. */
  run(firstSample: number, count: number, firstMs: number, jitter: ReadonlyArray<number> | undefined): void {
    let arrivedMs = firstMs
    // What would be forgotten at once need not be put in.
    const from = Math.max(0, count - rememberedFrames)
    for (let frame = 0; frame < count; frame++) {
      if (frame > 0) arrivedMs += frameMs + (jitter?.[frame - 1] ?? 0)
      if (frame >= from) this.frame(firstSample + frame * frameSamples, arrivedMs)
    }
  }

  /** Session time in ms, with a fraction; undefined when nothing is known of the position. */
  at(sample: number): number | undefined {
    for (let back = 1; back <= this.#count; back++) {
      const slot = (this.#next - back + rememberedFrames) % rememberedFrames
      const first = this.#samples[slot] ?? 0
      if (first > sample) continue
      // Behind the frame the stream went on silently: time passed as the samples did.
      const frames = Math.floor((sample - first) / frameSamples)
      const endOfFrame = first + (frames + 1) * frameSamples
      return (this.#arrivedMs[slot] ?? 0) + frames * frameMs - (endOfFrame - sample) / samplesPerMs
    }
    return undefined
  }
}
