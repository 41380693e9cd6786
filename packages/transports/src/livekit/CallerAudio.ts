import { frameMs, frameSamples, samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import type { AudioFrame } from "@rspp/runtime/ports/AudioFrame"

/** Frames that wait for their delivery: 1 s; more come at once only after the thread stood still for longer. */
export const queueFrames = 50

/** How long live frames wait for audio from before the agent came, ms, and the frames that this makes. */
export const preConnectWaitMs = 3_000
const preConnectWaitFrames = preConnectWaitMs / frameMs

/** Of what was recorded before the agent came, the last 30 s are delivered. */
const maxEarlierFrames = 30_000 / frameMs

/** Frames that are delivered in one task: half of what a session's inbox holds. */
const framesPerTask = 25

/** How long after the last audio silence is filled in, ms: twice the longest endpointing (2.5 s). */
export const fillMs = 5_000

/** Frames in a row (1 s) that must lag behind the clock before a gap is believed: a burst that catches up lags less. */
const lagFrames = 50

/** A lag that is a gap, in samples: 200 ms, more than any jitter buffer adds. */
const gapSamples = 200 * samplesPerMs

/** Counts of {@link CallerAudio}, as they are reported. */
export interface CallerAudioCounts {
  frames: number
  refused_frames: number
  dropped_frames: number
  filled_frames: number
  gap_samples: number
  preconnect_frames: number
}

/**
 * The caller's audio on its way into the session: a bounded queue, and the position of each frame in the stream.
 *
 * - A1. Positions rise by one frame from frame to frame; where audio was lost, dropped or never sent they move on by as
 *   much, in whole frames, so that the position of a live frame follows the clock.
 * - A2. The queue holds at most 1 s (4 s while it waits for pre-connect audio, and then that audio, at most 30 s of it);
 *   when it is full its oldest frame is dropped, and counted.
 * - A3. After the audio stopped (a muted track, a caller cut off), up to {@link fillMs} of silence are delivered in its
 *   place, as time passes: voice activity can end what was being said.
 * - A4. After `stop` nothing is delivered.
 *
 * Times are given, in ms of one monotonic clock.
 */
export class CallerAudio {
  readonly counts: CallerAudioCounts = {
    frames: 0,
    refused_frames: 0,
    dropped_frames: 0,
    filled_frames: 0,
    gap_samples: 0,
    preconnect_frames: 0
  }
  readonly #deliver: (frame: AudioFrame) => boolean
  readonly #schedule: (task: () => void) => void
  #queue: Array<AudioFrame> = []
  #scheduled = false
  #stopped = false
  /** The position of the next frame. */
  #next = 0
  /** When position 0 was spoken; undefined before the first frame. */
  #zeroMs: number | undefined
  #lastLiveMs = 0
  #restarted = false
  #leastLag = Infinity
  #lagging = 0
  /** Frames that the queue may hold now. */
  #bound = queueFrames
  #ready: (() => Int16Array | undefined) | undefined
  #readyUntilMs = 0

  /** `schedule` runs a task soon, after events that are already there. */
  constructor(deliver: (frame: AudioFrame) => boolean, schedule: (task: () => void) => void) {
    this.#deliver = deliver
    this.#schedule = schedule
  }

  /** Live frames wait until `ready` gives the audio that comes before them, or until that time. */
  awaitEarlier(ready: () => Int16Array | undefined, untilMs: number): void {
    if (this.#zeroMs !== undefined) return
    this.#ready = ready
    this.#bound = queueFrames + preConnectWaitFrames
    this.#readyUntilMs = untilMs
  }

  /** Another stream begins: what lies between is a gap. */
  restarted(): void {
    this.#restarted = true
  }

  /** A frame of the caller's stream; the samples become the queue's own. */
  arrived(samples: Int16Array, nowMs: number): void {
    if (this.#stopped) return
    this.#zeroMs ??= nowMs - frameMs
    this.#lastLiveMs = nowMs
    this.#follow(nowMs)
    this.#push(samples)
    this.#lookForEarlier(nowMs)
  }

  /** Time has passed without a frame: silence stands in for what nobody sent. */
  fill(nowMs: number): void {
    if (this.#stopped || this.#zeroMs === undefined || nowMs - this.#lastLiveMs > fillMs) return
    for (const to = this.#clockPosition(nowMs); this.#next < to;) {
      this.counts.filled_frames += 1
      this.#push(new Int16Array(frameSamples))
    }
    this.#lookForEarlier(nowMs)
  }

  /** Delivers what is queued, at once, and then nothing any more. */
  stop(flush: boolean): void {
    if (flush) {
      this.#ready = undefined
      while (this.#queue.length > 0) this.#deliverFirst()
    }
    this.#stopped = true
    this.#queue = []
  }

  /** The position that a frame has which arrives now. */
  #clockPosition(nowMs: number): number {
    return (Math.round((nowMs - (this.#zeroMs ?? nowMs)) / frameMs) - 1) * frameSamples
  }

  /** Moves on where the clock shows that audio is missing. */
  #follow(nowMs: number): void {
    const lag = this.#clockPosition(nowMs) - this.#next
    if (this.#restarted) {
      this.#restarted = false
      this.#moveOn(lag)
      return
    }
    this.#leastLag = Math.min(this.#leastLag, lag)
    this.#lagging += 1
    if (this.#lagging < lagFrames) return
    if (this.#leastLag >= gapSamples) this.#moveOn(this.#leastLag)
    else this.#forgetLag()
  }

  #moveOn(samples: number): void {
    this.#forgetLag()
    if (samples <= 0) return
    this.#next += samples
    this.counts.gap_samples += samples
  }

  #forgetLag(): void {
    this.#leastLag = Infinity
    this.#lagging = 0
  }

  #push(samples: Int16Array): void {
    this.#queue.push({ sampleIndex: this.#next, samples })
    this.#next += frameSamples
    if (this.#queue.length > this.#bound) {
      this.#queue.shift()
      this.counts.dropped_frames += 1
    }
    this.#drainSoon()
  }

  /** Puts what was recorded before the agent came in front, once it is known. */
  #lookForEarlier(nowMs: number): void {
    if (this.#ready === undefined) return
    const earlier = this.#ready()
    if (earlier === undefined && nowMs < this.#readyUntilMs) return
    this.#ready = undefined
    if (earlier !== undefined) this.#putBefore(earlier)
    // What waits now may be delivered; from then on the bound is that of live audio again.
    this.#bound = Math.max(queueFrames, this.#queue.length)
    this.#drainSoon()
  }

  #putBefore(earlier: Int16Array): void {
    const count = Math.min(Math.floor(earlier.length / frameSamples), maxEarlierFrames)
    const skipped = earlier.length - count * frameSamples
    const shift = count * frameSamples
    const before = Array.from({ length: count }, (_, i): AudioFrame => ({
      sampleIndex: i * frameSamples,
      samples: earlier.slice(skipped + i * frameSamples, skipped + (i + 1) * frameSamples)
    }))
    const after = this.#queue.map((frame) => ({ ...frame, sampleIndex: frame.sampleIndex + shift }))
    this.#queue = [...before, ...after]
    this.#next += shift
    if (this.#zeroMs !== undefined) this.#zeroMs -= count * frameMs
    this.counts.preconnect_frames += count
  }

  #drainSoon(): void {
    if (this.#scheduled || this.#ready !== undefined || this.#queue.length === 0) return
    this.#scheduled = true
    this.#schedule(() => {
      this.#scheduled = false
      for (let i = 0; i < framesPerTask && this.#queue.length > 0; i++) this.#deliverFirst()
      this.#bound = Math.max(queueFrames, Math.min(this.#bound, this.#queue.length))
      this.#drainSoon()
    })
  }

  #deliverFirst(): void {
    const frame = this.#queue.shift()
    if (frame === undefined) return
    this.counts.frames += 1
    if (!this.#deliver(frame)) this.counts.refused_frames += 1
  }
}
