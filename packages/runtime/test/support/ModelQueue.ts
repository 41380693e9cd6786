import { samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import type { AudioOutput } from "@rspp/runtime/ports/Transport"
import { Clock, Effect } from "effect"

/**
 * When a capture is done: `at once`; `later` (the frame is in the queue at once, but that is said later); `in flight`
 * (the frame gets into the queue only then, and no clear before that can reach it).
 */
export type Capturing = "at once" | "later" | "in flight"

/** A transport's output queue by the book: plays a sample each 62.5 µs of the clock, and knows what was heard. */
export class ModelQueue implements AudioOutput {
  readonly capacityMs: number
  readonly heard: Array<number> = []
  /** The most that it ever held, in samples. */
  most = 0
  readonly #capturing: Capturing
  readonly #delayMs: () => number
  readonly #clock: Clock.Clock
  #queue: Array<number> = []
  #played = 0

  private constructor(clock: Clock.Clock, capacityMs: number, capturing: Capturing, delayMs: () => number) {
    this.#clock = clock
    this.capacityMs = capacityMs
    this.#capturing = capturing
    this.#delayMs = delayMs
    this.#played = this.#now()
  }

  static readonly make = (options: {
    readonly capacityMs: number
    readonly capturing?: Capturing
    readonly delayMs?: () => number
  }): Effect.Effect<ModelQueue> =>
    Effect.map(
      Clock.Clock,
      (clock) => new ModelQueue(clock, options.capacityMs, options.capturing ?? "at once", options.delayMs ?? (() => 5))
    )

  readonly queuedSamples = (): number => {
    this.play()
    return this.#queue.length
  }

  readonly clear = (): number => {
    this.play()
    const dropped = this.#queue.length
    this.#queue = []
    return dropped
  }

  readonly capture = (samples: Int16Array): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (this.#capturing === "in flight") {
        return Effect.andThen(Effect.sleep(this.#delayMs()), Effect.sync(() => this.#place(samples)))
      }
      this.#place(samples)
      return this.#capturing === "later" ? Effect.sleep(this.#delayMs()) : Effect.void
    })

  /** What is due by now has been heard. */
  play(): void {
    const now = this.#now()
    for (const sample of this.#queue.splice(0, now - this.#played)) this.heard.push(sample)
    this.#played = now
  }

  #place(samples: Int16Array): void {
    this.play()
    for (const sample of samples) this.#queue.push(sample)
    this.most = Math.max(this.most, this.#queue.length)
  }

  #now(): number {
    return Math.floor(Number(this.#clock.monotonicTimeNanosUnsafe() * BigInt(samplesPerMs) / 1_000_000n))
  }
}
