import { frameSamples, samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import { type AudioOutput, TransportFailure } from "@rspp/runtime/ports/Transport"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Clock } from "effect"
import type { Track } from "../internal/Track.ts"

/** Nanoseconds in one sample: 1 s / 16 000, exactly. */
export const sampleNs = 62_500

/** Agent audio after a pause of at least this long is a new run, in ms. */
export const runGapMs = 700

/** Runs that are remembered; a call of 4 h with one each 700 ms has as many. */
const maxRuns = 20_571

/** A stretch of agent audio in the agent's track, `[start, end)` in samples of session time. */
export interface AgentRun {
  readonly start: number
  readonly end: number
  /** It was cut: `clear` dropped what would have followed. */
  readonly cut: boolean
}

/**
 * The agent's loudspeaker: a short queue that plays in the session's clock.
 *
 * What is captured is placed at the end of the queue, or now when it has run dry; it sounds when the clock gets there.
 * The track holds what sounded, aligned to session time zero. `clear` cuts it off at the sample that is playing.
 */
export class AgentDevice implements AudioOutput {
  readonly capacityMs: number
  /** Agent audio so far, oldest first; the last may still grow. */
  readonly runs: Array<{ start: number; end: number; cut: boolean }> = []
  private readonly track: Track
  private readonly clock: Clock.Clock
  private readonly zeroNs: bigint
  private readonly transportId: string
  private queueEnd = 0
  private cleared = 0
  private closed: string | undefined

  constructor(options: {
    readonly transport_id: string
    readonly capacityMs: number
    readonly track: Track
    readonly clock: Clock.Clock
    /** The clock's reading at session time zero. */
    readonly zeroNs: bigint
  }) {
    this.transportId = options.transport_id
    this.capacityMs = options.capacityMs
    this.track = options.track
    this.clock = options.clock
    this.zeroNs = options.zeroNs
  }

  /** Session time in samples: how many have been played out, sounding or silent. */
  nowSamples(): number {
    return Math.floor(Number(this.clock.monotonicTimeNanosUnsafe() - this.zeroNs) / sampleNs)
  }

  readonly queuedSamples = (): number => Math.max(0, this.queueEnd - this.nowSamples())

  readonly capture = (samples: Int16Array): Effect.Effect<void, TransportFailure> =>
    Effect.suspend(() => this.enqueue(samples, this.cleared))

  readonly clear = (): number => {
    this.cleared++
    const now = this.nowSamples()
    const dropped = Math.max(0, this.queueEnd - now)
    if (dropped === 0) return 0
    this.queueEnd = now
    this.track.truncate(now)
    const run = this.runs.at(-1)
    if (run !== undefined && run.start >= now) {
      this.runs.pop()
    } else if (run !== undefined) {
      run.end = now
      run.cut = true
    }
    return dropped
  }

  /** The call is over: the queue is emptied, and later captures fail with `reason`. */
  close(reason: string): void {
    if (this.closed !== undefined) return
    this.clear()
    this.closed = reason
  }

  private enqueue(samples: Int16Array, cleared: number): Effect.Effect<void, TransportFailure> {
    if (this.closed !== undefined) return this.fail(this.closed)
    if (samples.length > frameSamples) {
      return this.fail(`${samples.length} samples were captured at once; ${frameSamples} (20 ms) is the most.`)
    }
    // A clear while this capture waited for room dropped its samples with the rest.
    if (cleared !== this.cleared) return Effect.void
    const excess = this.queuedSamples() + samples.length - this.capacityMs * samplesPerMs
    if (excess > 0) {
      const room = Effect.sleep(Duration.nanos(BigInt(excess * sampleNs)))
      return Effect.flatMap(room, () => this.enqueue(samples, cleared))
    }
    this.place(samples)
    return Effect.void
  }

  private place(samples: Int16Array): void {
    const start = Math.max(this.nowSamples(), this.queueEnd)
    this.track.write(start, samples)
    this.queueEnd = start + samples.length
    const run = this.runs.at(-1)
    if (run !== undefined && !run.cut && start - run.end < runGapMs * samplesPerMs) {
      run.end = this.queueEnd
    } else {
      if (this.runs.length === maxRuns) this.runs.shift()
      this.runs.push({ start, end: this.queueEnd, cut: false })
    }
  }

  private fail(message: string): Effect.Effect<never, TransportFailure> {
    return Effect.fail(new TransportFailure({ transport_id: this.transportId, message }))
  }
}
