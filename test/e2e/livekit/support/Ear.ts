/** Sound that was heard without a longer pause in it. Times are of the listener's monotonic clock, ms. */
export interface Heard {
  /** When its first and its last audible block of 10 ms came: by the clock of the samples. */
  readonly beganMs: number
  readonly endedMs: number
  /** The same as they were received. Never earlier; later by what held this process up. */
  readonly receivedBeganMs: number
  readonly receivedEndedMs: number
  /** Loudest sample, 0 to 32768. */
  readonly peak: number
}

export interface EarOptions {
  readonly rate: number
  /** A block is audible when a sample of it reaches this. */
  readonly threshold: number
  /** Quiet that ends a run, ms. */
  readonly gapMs: number
  readonly onBegan: (heard: Heard) => void
  readonly onEnded: (heard: Heard) => void
}

const blockMs = 10

/** Frames whose delays are remembered: 2 s of 10 ms. */
const remembered = 200

/**
 * Tells when there is sound on a track, from frames as they are received.
 *
 * The native client delivers frames on a clock of its own. What delays them on the way into JavaScript only ever adds to
 * their times; so the least delay of the last 2 s, taken against the count of samples, tells when a block was played.
 */
export class Ear {
  private readonly options: EarOptions
  private readonly delays: Array<number> = []
  private position = 0
  private run: Heard | undefined

  constructor(options: EarOptions) {
    this.options = options
  }

  /** Takes a frame that was received at `nowMs`; says when, by the clock of the samples, its end was played. */
  push(samples: Int16Array, nowMs: number): number {
    const { gapMs, onBegan, onEnded, rate, threshold } = this.options
    this.position += samples.length
    const lengthMs = (this.position * 1000) / rate
    if (this.delays.length === remembered) this.delays.shift()
    this.delays.push(nowMs - lengthMs)
    const endMs = lengthMs + this.delays.reduce((least, delay) => Math.min(least, delay), Infinity)
    const block = (rate * blockMs) / 1000
    for (let from = 0; from < samples.length; from += block) {
      const to = Math.min(from + block, samples.length)
      let peak = 0
      for (let i = from; i < to; i++) peak = Math.max(peak, Math.abs(samples[i] ?? 0))
      const before = ((samples.length - to) * 1000) / rate
      const atMs = endMs - before
      if (peak >= threshold) {
        const began = this.run === undefined
        this.run = {
          beganMs: this.run?.beganMs ?? atMs,
          endedMs: atMs,
          receivedBeganMs: this.run?.receivedBeganMs ?? nowMs,
          receivedEndedMs: nowMs,
          peak: Math.max(peak, this.run?.peak ?? 0)
        }
        if (began) onBegan(this.run)
      } else if (this.run !== undefined && atMs - this.run.endedMs >= gapMs) {
        onEnded(this.run)
        this.run = undefined
      }
    }
    return endMs
  }

  /** No more frames come. */
  close(): void {
    if (this.run !== undefined) this.options.onEnded(this.run)
    this.run = undefined
  }
}
