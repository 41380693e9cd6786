import { AudioFrame, type AudioSource } from "@livekit/rtc-node"
import { frameSamples, sampleRateHz, samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import type { AudioOutput, TransportFailure } from "@rspp/runtime/ports/Transport"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { roomFailure } from "./RoomFailure.ts"

/** Nanoseconds in one sample: 1 s / 16 000, exactly. */
const sampleNs = 62_500n

/** What the output needs of rtc-node's `AudioSource`. */
export type FrameSink = Pick<AudioSource, "captureFrame" | "clearQueue">

/**
 * The agent's voice, into the native client's queue.
 *
 * - R1. At most one `captureFrame` is in flight, whoever was interrupted: a second one may be rejected by a full queue.
 * - R2. Each frame is captured from a buffer of its own size: the native client ignores the offset of a view.
 * - R3. After `clear` nothing captured before it is played, a capture in flight included; up to two frames (40 ms) that
 *   have left the queue may still be heard.
 * - R4. `queuedSamples` counts by the session's clock what was captured and is not played yet, without a frame whose
 *   capture is in flight. The native client's own count also holds frames that it has rejected.
 *
 * While held (nobody listens yet, or the connection is being made again) it accepts nothing: captures wait, and nothing is
 * lost.
 */
export class RoomAudioOutput implements AudioOutput {
  readonly capacityMs: number
  readonly #sink: FrameSink
  readonly #clock: Clock.Clock
  readonly #holds = new Set<string>()
  readonly #waiters = new Set<() => void>()
  /** Where the queue runs dry, by the session's clock. */
  #queueEndNs = 0n
  /** Where the samples in flight begin in the queue; undefined: none are. */
  #inFlightFromNs: bigint | undefined
  #inFlightSinceNs = 0n
  #clears = 0
  #capturedSamples = 0
  #clearedSamples = 0
  #closed: TransportFailure | undefined

  constructor(sink: FrameSink, options: { readonly capacityMs: number; readonly clock: Clock.Clock }) {
    this.#sink = sink
    this.#clock = options.clock
    this.capacityMs = options.capacityMs
  }

  /** Samples that were captured, and those of them that `clear` dropped. */
  get capturedSamples(): number {
    return this.#capturedSamples
  }

  get clearedSamples(): number {
    return this.#clearedSamples
  }

  readonly accepts = (): boolean => this.#holds.size === 0 || this.#closed !== undefined

  readonly queuedSamples = (): number => this.#samplesTo(this.#inFlightFromNs ?? this.#queueEndNs)

  readonly capture = (samples: Int16Array): Effect.Effect<void, TransportFailure> =>
    Effect.suspend(() => this.#write(samples, this.#clears))

  readonly clear = (): number => {
    if (this.#closed !== undefined) return 0
    const dropped = this.#drop()
    this.#wake()
    return dropped
  }

  /** Captures wait from now on, until every reason to hold is taken back. */
  hold(reason: string): void {
    this.#holds.add(reason)
  }

  release(reason: string): void {
    if (this.#holds.delete(reason) && this.#holds.size === 0) this.#wake()
  }

  /** No capture is let in any more, and none that waits: they fail with `reason`. What is queued is dropped. */
  close(reason: TransportFailure): void {
    if (this.#closed !== undefined) return
    this.#drop()
    this.#closed = reason
    this.#wake()
  }

  /** How long the capture in flight has waited for its confirmation, ms. */
  waitedMs(): number {
    return this.#inFlightFromNs === undefined ? 0 : Number((this.#now() - this.#inFlightSinceNs) / 1_000_000n)
  }

  #drop(): number {
    this.#clears += 1
    const dropped = this.#samplesTo(this.#queueEndNs)
    this.#queueEndNs = this.#now()
    if (this.#inFlightFromNs !== undefined) this.#inFlightFromNs = this.#queueEndNs
    this.#sink.clearQueue()
    this.#clearedSamples += dropped
    return dropped
  }

  #write(samples: Int16Array, clears: number): Effect.Effect<void, TransportFailure> {
    if (this.#closed !== undefined) return Effect.fail(this.#closed)
    if (samples.length > frameSamples) {
      return Effect.fail(
        roomFailure(`${samples.length} samples were captured at once; ${frameSamples} (20 ms) is the most.`)
      )
    }
    // A clear while this capture waited dropped its samples with the rest.
    if (clears !== this.#clears) return Effect.void
    const over = () => this.#closed !== undefined || clears !== this.#clears
    if (this.#holds.size > 0 || this.#inFlightFromNs !== undefined) {
      const free = this.#until(() => over() || (this.#holds.size === 0 && this.#inFlightFromNs === undefined))
      return Effect.flatMap(free, () => this.#write(samples, clears))
    }
    const excess = this.queuedSamples() + samples.length - this.capacityMs * samplesPerMs
    if (excess > 0) {
      const played = Effect.sleep(Math.ceil(excess / samplesPerMs))
      return Effect.flatMap(Effect.raceFirst(played, this.#until(over)), () => this.#write(samples, clears))
    }
    return this.#send(samples, over)
  }

  #send(samples: Int16Array, over: () => boolean): Effect.Effect<void, TransportFailure> {
    const now = this.#now()
    const from = now > this.#queueEndNs ? now : this.#queueEndNs
    this.#inFlightFromNs = from
    this.#inFlightSinceNs = now
    this.#queueEndNs = from + BigInt(samples.length) * sampleNs
    this.#capturedSamples += samples.length
    let settled = false
    let failure: TransportFailure | undefined
    const settle = () => {
      settled = true
      this.#inFlightFromNs = undefined
      // It may have entered the queue after that was cleared.
      if (over() && this.#closed === undefined) this.#sink.clearQueue()
      this.#wake()
    }
    this.#sink.captureFrame(new AudioFrame(samples.slice(), sampleRateHz, 1, samples.length)).then(
      settle,
      (cause: unknown) => {
        if (!over()) {
          this.#queueEndNs = from
          failure = roomFailure("The native client refused the agent's audio.", cause)
        }
        settle()
      }
    )
    return Effect.flatMap(
      this.#until(() => settled || over()),
      () => failure === undefined ? Effect.void : Effect.fail(failure)
    )
  }

  /** Done when `ready` holds, which is asked now and whenever something has changed. */
  #until(ready: () => boolean): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (ready()) return resume(Effect.void)
      const waiter = () => {
        if (!ready()) return
        this.#waiters.delete(waiter)
        resume(Effect.void)
      }
      this.#waiters.add(waiter)
      return Effect.sync(() => this.#waiters.delete(waiter))
    })
  }

  #wake(): void {
    for (const waiter of [...this.#waiters]) waiter()
  }

  #now(): bigint {
    return this.#clock.monotonicTimeNanosUnsafe()
  }

  #samplesTo(positionNs: bigint): number {
    const left = positionNs - this.#now()
    return left > 0n ? Number(left / sampleNs) : 0
  }
}
