import { sampleRateHz } from "@rspp/runtime/ports/AudioFrame"
import { concat } from "../support/Wav.ts"

/**
 * What a server's text comes from: a recogniser, or a script with one text per call, the last one for all further calls.
 *
 * A script is spoken at one word per {@link wordMs} of audio that is not silent; what is left of it when the client asks
 * for a final is heard then.
 */
export type Engine = ((pcm16k: Int16Array) => Promise<string>) | ReadonlyArray<string>

/** The script of a server that is given none. */
export const defaultScript: ReadonlyArray<string> = ["Go forward ten meters."]

/** How long a word of a script takes, in milliseconds. */
export const wordMs = 200

/** Samples below this level (of 32 768) are silence. */
const silenceLevel = 32

/** Whether some audio holds anything but silence. */
export const isVoiced = (samples: Int16Array): boolean => {
  for (let index = 0; index < samples.length; index++) {
    if (Math.abs(samples[index]!) > silenceLevel) return true
  }
  return false
}

/** What a server hears in one call: the audio since the last final, and the text of it. */
export class Hearing {
  /** Whole audio of the call, in samples. */
  samples = 0
  /** Where the audio begins that has no final text yet, in samples. */
  from = 0
  /** How much silence there is at the end, in samples. */
  silent = 0
  private chunks: Array<Int16Array> = []
  private voiced = 0
  private spoken = 0
  private readonly engine: ((pcm16k: Int16Array) => Promise<string>) | undefined
  private readonly words: ReadonlyArray<string>

  constructor(engine: Engine, call: number) {
    this.engine = typeof engine === "function" ? engine : undefined
    const script = typeof engine === "function" ? "" : engine[Math.min(call, engine.length - 1)] ?? ""
    this.words = script.split(" ").filter((word) => word !== "")
  }

  /** Longest audio that is left without a final: a recogniser does better with more of it. */
  get longestMs(): number {
    return this.engine === undefined ? 4_000 : 15_000
  }

  append(samples: Int16Array): void {
    this.samples += samples.length
    this.chunks.push(samples)
    if (isVoiced(samples)) {
      this.voiced += samples.length
      this.silent = 0
    } else this.silent += samples.length
  }

  /** The text since the last final, so far. */
  async partial(): Promise<string> {
    if (this.voiced === 0) return ""
    if (this.engine !== undefined) return this.engine(concat(...this.chunks))
    return this.words.slice(this.spoken, this.reached()).join(" ")
  }

  /** The text since the last final; with `all` it is the client who asks, and a script is heard to its end. */
  async final(all: boolean): Promise<string> {
    const heard = this.voiced > 0
    const text = !heard
      ? ""
      : this.engine !== undefined
      ? await this.engine(concat(...this.chunks))
      : this.words.slice(this.spoken, all ? undefined : this.reached()).join(" ")
    if (heard) this.spoken = all ? this.words.length : this.reached()
    this.chunks = []
    this.voiced = 0
    this.from = this.samples
    return text
  }

  private reached(): number {
    return Math.min(this.words.length, this.spoken + Math.floor(this.voiced / (wordMs * sampleRateHz / 1_000)))
  }
}

/** The words of a text, spread over a stretch of audio; times in seconds. */
export const timedWords = (text: string, fromSamples: number, toSamples: number) => {
  const words = text.split(" ").filter((word) => word !== "")
  const step = (toSamples - fromSamples) / sampleRateHz / Math.max(1, words.length)
  return words.map((word, index) => ({
    word,
    start: fromSamples / sampleRateHz + index * step,
    end: fromSamples / sampleRateHz + (index + 1) * step
  }))
}
