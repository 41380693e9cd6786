import type { VoiceActivitySettings, VoiceEdge } from "@rspp/runtime/ports/VoiceActivity"

/** The settings that a model of fixed windows can follow. */
export type EdgeFinderSettings = Pick<
  VoiceActivitySettings,
  "on_threshold" | "off_threshold" | "min_speech_ms" | "min_silence_ms"
>

/** Samples in one window of Silero at 16 kHz: 32 ms. */
export const windowSamples = 512

/** sherpa calls a window quiet this far below the threshold that it was given. */
const sherpaHysteresis = 0.15

/** A lost stretch up to this long is heard as silence; a longer one ends an open speech. */
const maxBridgedSamples = 16_000

/** Loudness is measured in thirds of a window, 10.7 ms. */
const blockSamples = Math.ceil(windowSamples / 3)

/** The model notices an onset 60–130 ms late; the loudness is followed back at most this far. */
const maxBackBlocks = 15

/** Blocks that are kept (0.7 s): the windows that a detection takes, {@link maxBackBlocks}, and the noise before. */
const keptBlocks = 66

/**
 * An onset lies above the noise before it (this quantile of the blocks kept) by 6 dB in power, less than 22 dB below the
 * loudest block of the speech that it begins, and above −60 dBFS.
 */
const floorQuantile = 0.4
const onsetFactor = 4
const onsetBelowPeak = 10 ** -2.2
const minOnsetPower = 1e-6

const msOf = (windows: number): number => windows * windowSamples / 16

/**
 * Turns the window decisions of Silero into edges of speech with exact positions. Pure but for the model that it is
 * given: the same samples give the same edges, however they are cut into pushes.
 *
 * Invariants:
 * 1. Edges alternate, beginning with `speech_started`, and their positions never go back.
 * 2. `speech_started` is reported by the window in which the speech has lasted `min_speech_ms` (at least two windows:
 *    the model wants a second one), with the sample where the loudness began to rise, at most 160 ms earlier.
 * 3. `speech_ended` is reported by the window in which the silence has lasted `min_silence_ms`, with the last sample of
 *    the last window of speech.
 */
export class EdgeFinder {
  private readonly settings: EdgeFinderSettings
  private readonly window: (samples: Float32Array) => ReadonlyArray<boolean>
  private readonly reset: () => void
  private readonly partial = new Float32Array(windowSamples)
  private filled = 0
  /** The stream's position of the next sample; undefined before the first. */
  private position: number | undefined
  private blocks: Array<number> = []
  private models: ReadonlyArray<boolean> = []
  private secondSeen = false
  private speaking = false
  private run = 0
  private quiet = 0
  private started = false
  private startIndex = 0
  private lastSpeech = 0
  private reportedUpTo = 0

  /** `window` gives one decision per threshold of {@link EdgeFinder.modelThresholds}; `reset` makes the model forget. */
  constructor(
    settings: EdgeFinderSettings,
    window: (samples: Float32Array) => ReadonlyArray<boolean>,
    reset: () => void
  ) {
    this.settings = settings
    this.window = window
    this.reset = reset
  }

  /**
   * The thresholds that sherpa must run with: its off threshold is fixed at 0.15 below, so another distance takes a
   * second model. Off thresholds nearer to the on threshold hold once the voice was clearly on.
   */
  static modelThresholds(settings: EdgeFinderSettings): ReadonlyArray<number> {
    const second = Math.min(0.99, settings.off_threshold + sherpaHysteresis)
    return Math.abs(second - settings.on_threshold) < 0.005
      ? [settings.on_threshold]
      : [settings.on_threshold, second]
  }

  /** The next samples of the stream, beginning at `sampleIndex`. Returns the edges that they complete. */
  push(sampleIndex: number, samples: Int16Array): Array<VoiceEdge> {
    const edges: Array<VoiceEdge> = []
    this.position ??= sampleIndex
    const gap = sampleIndex - this.position
    if (gap > maxBridgedSamples || gap < 0) {
      edges.push(...this.end())
      this.position = sampleIndex
    } else if (gap > 0) {
      this.feed(new Int16Array(gap), edges)
    }
    this.feed(samples, edges)
    return edges
  }

  /** The stream has ended or was torn: an open speech ends at its last sample of speech, and everything is forgotten. */
  end(): Array<VoiceEdge> {
    const edges: Array<VoiceEdge> = []
    // The rest that does not fill a window counts as what came before it.
    const last = this.quiet === 0 && this.position !== undefined ? this.position - 1 : this.lastSpeech
    if (this.started) this.ended(last, edges)
    this.reset()
    this.filled = 0
    this.position = undefined
    this.blocks = []
    this.models = []
    this.speaking = false
    this.secondSeen = false
    this.run = 0
    this.quiet = 0
    return edges
  }

  private feed(samples: Int16Array, edges: Array<VoiceEdge>): void {
    for (let at = 0; at < samples.length;) {
      const count = Math.min(windowSamples - this.filled, samples.length - at)
      for (let index = 0; index < count; index++) this.partial[this.filled + index] = samples[at + index]! / 32_768
      this.filled += count
      at += count
      this.position! += count
      if (this.filled === windowSamples) {
        this.filled = 0
        this.decide(edges)
      }
    }
  }

  private decide(edges: Array<VoiceEdge>): void {
    const windowEnd = this.position!
    this.measure()
    const wasSpeaking = this.speaking
    this.speaking = this.hysteresis(this.window(this.partial))
    if (this.speaking) {
      // The model needs two windows to say yes: the one before was speech already.
      if (!wasSpeaking) this.run = 1
      this.run++
      this.quiet = 0
      this.lastSpeech = windowEnd - 1
      if (!this.started && msOf(this.run) >= this.settings.min_speech_ms) {
        this.started = true
        this.startIndex = Math.max(this.reportedUpTo, this.onset(windowEnd - this.run * windowSamples))
        edges.push({ edge: "speech_started", sampleIndex: this.startIndex })
      }
    } else {
      this.run = 0
      this.quiet++
      if (this.started && msOf(this.quiet) >= this.settings.min_silence_ms) this.ended(this.lastSpeech, edges)
    }
  }

  private ended(sampleIndex: number, edges: Array<VoiceEdge>): void {
    this.started = false
    this.reportedUpTo = sampleIndex + 1
    edges.push({ edge: "speech_ended", sampleIndex })
  }

  private hysteresis(now: ReadonlyArray<boolean>): boolean {
    const before = this.models
    this.models = now
    const [on, second] = now
    if (second === undefined) return on!
    if (!this.speaking) {
      const rises = (on! && before[0] !== true) || (on! && second && before[1] !== true)
      this.secondSeen = second
      return rises
    }
    this.secondSeen ||= second
    const offIsLower = this.settings.off_threshold < this.settings.on_threshold - sherpaHysteresis
    return offIsLower ? second : on! && (second || !this.secondSeen)
  }

  /** Keeps the power of the window's three blocks, newest last. */
  private measure(): void {
    for (let from = 0; from < windowSamples; from += blockSamples) {
      const to = Math.min(from + blockSamples, windowSamples)
      let sum = 0
      for (let index = from; index < to; index++) sum += this.partial[index]! * this.partial[index]!
      this.blocks.push(sum / (to - from))
    }
    if (this.blocks.length > keptBlocks) this.blocks.splice(0, this.blocks.length - keptBlocks)
  }

  /** Follows the loudness back from `detected`, the start of the first window that the model called speech. */
  private onset(detected: number): number {
    const first = this.blocks.length - this.run * 3
    if (first <= 0) return Math.max(0, detected)
    const before = this.blocks.slice(0, first)
    const floor = before.toSorted((a, b) => a - b)[Math.floor(first * floorQuantile)]!
    const peak = Math.max(...this.blocks.slice(first))
    const limit = Math.max(minOnsetPower, floor * onsetFactor, peak * onsetBelowPeak)
    let back = 0
    while (back < maxBackBlocks && back < first && before[first - 1 - back]! > limit) back++
    return Math.max(0, detected - Math.round(back * windowSamples / 3))
  }
}
