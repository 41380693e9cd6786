import { frameSamples, samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import { type AudioOutput, TransportFailure } from "@rspp/runtime/ports/Transport"
import * as Effect from "effect/Effect"
import type { World } from "../World.ts"
import type { SimCall } from "./SimCall.ts"
import type { Truth } from "./Truth.ts"

/** Nanoseconds in one sample at 16 kHz. */
const sampleNs = 62_500

/** How often a capture that found a queue that does not move looks again, in ms. */
const lookAgainMs = 20

/**
 * The loudspeaker at the other end: a short queue that plays in the world's time, `ppm` too fast or too slow, or stands
 * still while it is frozen. Every frame that is captured is shown to the {@link Truth}.
 */
export class SimOutput implements AudioOutput {
  readonly capacityMs: number
  readonly #world: World
  readonly #truth: Truth
  readonly #speaking: Array<() => void>
  readonly #sampleNs: number
  readonly #zeroNs: number
  /** Runs of one sound that are queued, oldest first, in samples of the device. */
  #runs: Array<{ readonly sound: number; end: number }> = []
  #queueEnd = 0
  #cleared = 0
  #frozenAt: number | undefined
  #frozenSinceNs = 0
  #lostNs = 0
  #closed: string | undefined

  constructor({ truth, whenSpeaking, world }: SimCall, capacityMs: number, ppm: number) {
    this.#world = world
    this.#speaking = whenSpeaking
    this.#truth = truth
    this.capacityMs = capacityMs
    this.#sampleNs = sampleNs / (1 + ppm / 1e6)
    this.#zeroNs = world.nowNs
    truth.queued = () => {
      const position = this.#position()
      return new Set(this.#runs.filter(({ end }) => end > position).map(({ sound }) => sound))
    }
  }

  /** Whether the caller hears the agent now. */
  get isAudible(): boolean {
    return this.#frozenAt === undefined && this.queuedSamples() > 0
  }

  readonly queuedSamples = (): number => Math.max(0, this.#queueEnd - this.#position())

  readonly capture = (samples: Int16Array): Effect.Effect<void, TransportFailure> =>
    Effect.suspend(() => this.#enqueue(samples, this.#cleared))

  readonly clear = (): number => {
    this.#cleared++
    const position = this.#position()
    const dropped = Math.max(0, this.#queueEnd - position)
    this.#queueEnd = Math.min(this.#queueEnd, position)
    this.#runs = []
    return dropped
  }

  freeze(): void {
    if (this.#frozenAt !== undefined) return
    this.#frozenAt = this.#position()
    this.#frozenSinceNs = this.#world.nowNs
  }

  thaw(): void {
    if (this.#frozenAt === undefined) return
    this.#frozenAt = undefined
    this.#lostNs += this.#world.nowNs - this.#frozenSinceNs
  }

  /** The call is over: what is queued is gone and captures fail. */
  close(reason: string): void {
    if (this.#closed !== undefined) return
    this.clear()
    this.#closed = reason
  }

  #position(): number {
    return this.#frozenAt ??
      Math.floor((this.#world.nowNs - this.#zeroNs - this.#lostNs) / this.#sampleNs)
  }

  #enqueue(samples: Int16Array, cleared: number): Effect.Effect<void, TransportFailure> {
    if (this.#closed !== undefined) return this.#fail(this.#closed)
    if (samples.length > frameSamples) return this.#fail(`${samples.length} samples were captured at once`)
    // A clear while this capture waited for room dropped its samples with the rest.
    if (cleared !== this.#cleared) return Effect.void
    const excess = this.queuedSamples() + samples.length - this.capacityMs * samplesPerMs
    if (excess > 0) {
      const ms = this.#frozenAt === undefined ? (excess * this.#sampleNs) / 1e6 : lookAgainMs
      return Effect.flatMap(Effect.sleep(ms), () => this.#enqueue(samples, cleared))
    }
    const sound = samples[0] ?? 0
    this.#truth.captured(sound)
    for (const tell of this.#speaking.splice(0)) tell()
    const position = this.#position()
    this.#queueEnd = Math.max(position, this.#queueEnd) + samples.length
    const last = this.#runs.at(-1)
    if (last !== undefined && last.sound === sound) last.end = this.#queueEnd
    else {
      this.#runs = this.#runs.filter(({ end }) => end > position)
      this.#runs.push({ sound, end: this.#queueEnd })
    }
    return Effect.void
  }

  #fail(message: string): Effect.Effect<never, TransportFailure> {
    return Effect.fail(new TransportFailure({ transport_id: "sim", message }))
  }
}
