import type { SessionInput } from "@rspp/contracts/SessionInput"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import { PreventSchedulerYield } from "effect/Scheduler"
import { frameSamples, samplesPerMs } from "../ports/AudioFrame.ts"
import type { AudioOutput, TransportFailure } from "../ports/Transport.ts"

/** How often a transport that accepts nothing is asked again, ms: one frame. */
const askAgainMs = 20

/** Fences that a writer remembers; each is of one turn. */
const rememberedFences = 64

const turnOf = (item: Item): string => item.kind === "chunk" ? item.chunk.turnId : item.turnId

interface Chunk {
  readonly turnId: string
  readonly segmentId: string
  readonly epoch: number
  readonly samples: Int16Array
  /** Samples of it that were passed on. */
  at: number
  /** Taken back by a pause: its room on the voice edge was given up when it was first passed on. */
  readonly again?: boolean
}

type Item = { readonly kind: "chunk"; readonly chunk: Chunk } | {
  readonly kind: "end"
  readonly turnId: string
  readonly segmentId: string
}

/** A segment on its way to the caller's ear; positions count samples passed on. */
interface Playout {
  readonly turnId: string
  readonly segmentId: string
  readonly start: number
  end: number | undefined
  started: boolean
}

/** What the writer asks before each frame: may this epoch still write? */
export interface WriteAuthority {
  readonly epoch: () => number
  /** False once the lease has run out by its own deadline, whoever has been told. */
  readonly leaseHolds: () => boolean
}

/**
 * Egress of one session (the port's side of RK-22): one writer that paces speech to the transport and reports playout.
 *
 * Guarantees: I-OUT-FENCE after `fence(turn)` returns no frame of the turn is passed on, and what the transport's queue
 * held of it is cleared, a frame that was still on its way into the queue included; I-OUT-EPOCH each frame is checked, synchronously and immediately before it is passed on,
 * against fence, epoch and the lease's own deadline; I-OUT-QUEUE the transport's queue holds ≤ 200 ms.
 *
 * Speech that waits here is bounded by the voice edge of the plan; the kernel keeps its books.
 */
export class EgressWriter {
  readonly #output: AudioOutput
  readonly #report: (input: SessionInput) => void
  readonly #authority: WriteAuthority
  readonly #bell: Queue.Queue<void>
  readonly #fenced = new Set<string>()
  #items: Array<Item> = []
  #playouts: Array<Playout> = []
  /** Frames that the transport's queue may still hold, to play them again after a pause. */
  #recent: Array<Chunk> = []
  #recentSamples = 0
  #paused: string | undefined
  /** Samples passed on since the session began; a pause takes back what was not played. */
  #written = 0
  /** Samples of the capture that is not done: they may be in the transport's queue, or not yet. */
  #inFlight = 0
  /** Times that the transport's queue was cleared. */
  #clears = 0

  private constructor(
    output: AudioOutput,
    report: (input: SessionInput) => void,
    authority: WriteAuthority,
    bell: Queue.Queue<void>
  ) {
    this.#output = output
    this.#report = report
    this.#authority = authority
    this.#bell = bell
  }

  static readonly make = (
    output: AudioOutput,
    report: (input: SessionInput) => void,
    authority: WriteAuthority
  ): Effect.Effect<EgressWriter> =>
    Effect.map(Queue.sliding<void>(1), (bell) => new EgressWriter(output, report, authority, bell))

  enqueue(turnId: string, segmentId: string, epoch: number, samples: Int16Array): void {
    if (this.#fenced.has(turnId)) return
    this.#items.push({ kind: "chunk", chunk: { turnId, segmentId, epoch, samples, at: 0 } })
    this.#ring()
  }

  endSegment(turnId: string, segmentId: string): void {
    if (this.#fenced.has(turnId)) return
    this.#items.push({ kind: "end", turnId, segmentId })
    this.#ring()
  }

  /** Stops at once; what the transport had not played is taken back and comes first when output goes on. */
  pause(turnId: string): void {
    if (this.#fenced.has(turnId)) return
    this.#paused = turnId
    this.#reportPlayout()
    const cleared = this.#clear()
    this.#takeBack(cleared)
    this.#report({ type: "egress_paused", turn_id: turnId, samples: cleared })
  }

  resume(turnId: string): void {
    if (this.#paused !== turnId) return
    this.#paused = undefined
    this.#ring()
  }

  /** The output fence (tier 1 of a cancel). Synchronous: when it returns, nothing of the turn leaves any more. */
  fence(turnId: string): void {
    this.#fenced.add(turnId)
    if (this.#fenced.size > rememberedFences) {
      for (const oldest of this.#fenced) {
        this.#fenced.delete(oldest)
        break
      }
    }
    if (this.#paused === turnId) this.#paused = undefined
    let dropped = 0
    const played = this.#played()
    // A sentence that was heard to its end is not a cut one, also when nobody has been told yet.
    this.#reportPlayout()
    const speaks = this.#playouts.some((playout) => playout.turnId === turnId)
    if (speaks) {
      const cleared = this.#clear()
      this.#written -= cleared
      dropped += cleared
    }
    this.#recent = this.#recent.filter((chunk) => chunk.turnId !== turnId)
    this.#recentSamples = this.#recent.reduce((sum, chunk) => sum + chunk.samples.length, 0)
    this.#items = this.#items.filter((item) => {
      const own = turnOf(item) === turnId
      if (own && item.kind === "chunk") dropped += item.chunk.samples.length - item.chunk.at
      return !own
    })
    // What was heard comes before the fence: a turn that opens on it is to know.
    for (const playout of this.#playouts.filter((candidate) => candidate.turnId === turnId)) {
      this.#report({
        type: "playback_cancelled",
        turn_id: turnId,
        segment_id: playout.segmentId,
        samples: Math.max(0, Math.min(played, playout.end ?? played) - playout.start)
      })
    }
    this.#report({ type: "egress_fenced", turn_id: turnId, dropped_samples: dropped })
    this.#playouts = this.#playouts.filter((playout) => playout.turnId !== turnId)
    this.#ring()
  }

  /** Writes until it is interrupted. */
  readonly run: Effect.Effect<never, TransportFailure> = Effect.forever(Effect.suspend(() => this.#next()), {
    // Each step waits for the queue, the bell or the clock.
    disableYield: true
  }).pipe(
    // From the checks of a frame to its capture the scheduler may not let a fence come between (I-OUT-EPOCH).
    Effect.provideService(PreventSchedulerYield, true)
  )

  /** What is to be done now: wait, or pass on one frame. */
  #next(): Effect.Effect<void, TransportFailure> {
    this.#reportPlayout()
    const item = this.#items[0]
    // A pause is of one turn: when that has nothing left to play, it must not silence the next.
    if (item === undefined || this.#paused === turnOf(item)) {
      const wait = this.#msToNextPlayout()
      const rung = Queue.take(this.#bell)
      return wait === undefined ? rung : Effect.raceFirst(rung, Effect.sleep(wait))
    }
    if (item.kind === "end") {
      if (!this.#authority.leaseHolds()) {
        this.#reject(item.turnId, item.segmentId, this.#authority.epoch(), "lease_expired")
      } else {
        this.#items.shift()
        this.#endOf(item.turnId, item.segmentId)
      }
      return Effect.void
    }
    if (this.#output.accepts?.() === false) return Effect.sleep(askAgainMs)
    const { chunk } = item
    const count = Math.min(frameSamples, chunk.samples.length - chunk.at)
    const room = this.#output.capacityMs * samplesPerMs - this.#output.queuedSamples()
    if (room < count) return Effect.sleep(Math.max(1, Math.ceil((count - room) / samplesPerMs)))
    // From here to the capture nothing can come between: the checks hold for this very frame.
    if (!this.#mayLeave(chunk)) return Effect.void
    const frame = chunk.samples.slice(chunk.at, chunk.at + count)
    this.#passedOn(chunk, count, frame)
    const clears = this.#clears
    this.#inFlight = count
    return Effect.andThen(this.#output.capture(frame), Effect.sync(() => this.#captured(chunk.turnId, clears)))
  }

  /** A frame is in the transport's queue. If that was cleared while the frame was on its way, so is the frame now. */
  #captured(turnId: string, clears: number): void {
    this.#inFlight = 0
    if (clears === this.#clears) return
    const cleared = this.#output.clear()
    if (this.#fenced.has(turnId)) this.#written -= cleared
    else this.#takeBack(cleared)
  }

  #clear(): number {
    this.#clears += 1
    return this.#output.clear()
  }

  #mayLeave(chunk: Chunk): boolean {
    if (this.#fenced.has(chunk.turnId)) {
      this.#items.shift()
      return false
    }
    const stale = chunk.epoch !== this.#authority.epoch()
    if (!stale && this.#authority.leaseHolds()) return true
    const { at, epoch, samples, segmentId, turnId } = chunk
    this.#reject(turnId, segmentId, epoch, stale ? "stale_epoch" : "lease_expired", samples.length - at)
    return false
  }

  /** Nothing of the turn leaves any more. */
  #reject(
    turn_id: string,
    segment_id: string,
    authority_epoch: number,
    reason: "stale_epoch" | "lease_expired",
    samples = 0
  ): void {
    this.#items = this.#items.filter((item) => turnOf(item) !== turn_id)
    this.#report({ type: "output_rejected", turn_id, segment_id, authority_epoch, reason, samples })
  }

  #passedOn(chunk: Chunk, count: number, frame: Int16Array): void {
    const last = this.#playouts.at(-1)
    if (last === undefined || last.segmentId !== chunk.segmentId) {
      const known = this.#playouts.some((playout) => playout.segmentId === chunk.segmentId)
      if (!known) {
        this.#playouts.push({
          turnId: chunk.turnId,
          segmentId: chunk.segmentId,
          start: this.#written,
          end: undefined,
          started: false
        })
      }
    }
    this.#written += count
    chunk.at += count
    this.#remember(chunk, frame)
    if (chunk.at < chunk.samples.length) return
    this.#items.shift()
    if (chunk.again === true) return
    this.#report({ type: "egress_dequeued", turn_id: chunk.turnId, items: 1, samples: chunk.samples.length })
  }

  #endOf(turnId: string, segmentId: string): void {
    const playout = this.#playouts.find((candidate) => candidate.segmentId === segmentId)
    const samples = playout === undefined ? 0 : this.#written - playout.start
    if (playout !== undefined) playout.end = this.#written
    this.#report({ type: "output_accepted", turn_id: turnId, segment_id: segmentId, samples })
  }

  /** The position that has been played for sure. */
  #played(): number {
    return this.#written - this.#output.queuedSamples() - this.#inFlight
  }

  #reportPlayout(): void {
    const played = this.#played()
    while (this.#playouts.length > 0) {
      const [playout] = this.#playouts as [Playout]
      if (!playout.started) {
        if (played <= playout.start) return
        playout.started = true
        this.#report({ type: "playback_started", turn_id: playout.turnId, segment_id: playout.segmentId })
      }
      if (playout.end === undefined || played < playout.end) return
      this.#playouts.shift()
      this.#report({
        type: "playback_completed",
        turn_id: playout.turnId,
        segment_id: playout.segmentId,
        samples: playout.end - playout.start
      })
    }
  }

  #msToNextPlayout(): number | undefined {
    const [playout] = this.#playouts
    if (playout === undefined || this.#paused === playout.turnId) return undefined
    const played = this.#played()
    const position = playout.started ? playout.end : playout.start + 1
    return position === undefined ? undefined : Math.max(1, Math.ceil((position - played) / samplesPerMs))
  }

  #remember(chunk: Chunk, frame: Int16Array): void {
    this.#recent.push({ ...chunk, samples: frame, at: 0 })
    this.#recentSamples += frame.length
    const bound = this.#output.capacityMs * samplesPerMs
    for (let [oldest] = this.#recent; oldest !== undefined; [oldest] = this.#recent) {
      if (this.#recentSamples - oldest.samples.length < bound) return
      this.#recentSamples -= oldest.samples.length
      this.#recent.shift()
    }
  }

  /** The last `count` samples were not played: they are the next to be passed on again. */
  #takeBack(count: number): void {
    let left = count
    const again: Array<Item> = []
    while (left > 0) {
      const chunk = this.#recent.pop()
      if (chunk === undefined) break
      this.#recentSamples -= chunk.samples.length
      const kept = Math.min(left, chunk.samples.length)
      const played = chunk.samples.length - kept
      // Kept for the frame that is on its way, and will be taken back when it arrives.
      if (played > 0) {
        this.#recent.push({ ...chunk, samples: chunk.samples.slice(0, played) })
        this.#recentSamples += played
      }
      const samples = chunk.samples.slice(played)
      again.unshift({ kind: "chunk", chunk: { ...chunk, samples, again: true } })
      left -= kept
    }
    this.#written -= count - left
    this.#items = [...again, ...this.#items]
  }

  #ring(): void {
    Queue.offerUnsafe(this.#bell, undefined)
  }
}
