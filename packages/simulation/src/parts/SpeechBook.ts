import { frameMs, frameSamples } from "@rspp/runtime/ports/AudioFrame"

/**
 * Simulated sound. Every sample of a frame has the same value, and the value says what it is: 0 is silence, 1 to 999 a
 * noise, 1000 and up the n-th word of the caller, negative the agent's own voice.
 */
export const soundOf = { silence: 0, noise: 400, word: 1000, echo: -1000 } as const

/** Words that a caller can say in one call; 16-bit samples have room for no more. */
const maxWords = 31_000

interface Word {
  readonly text: string
  readonly frames: number
}

const syllables = ["ba", "de", "fi", "go", "lu", "ma", "ne", "pi", "ro", "su"] as const

/** A word that says its number. */
export const wordText = (ordinal: number): string =>
  [...String(ordinal)].map((digit) => syllables[Number(digit)]).join("")

const silence = new Int16Array(frameSamples)

/**
 * The words of one caller: what sound each is and, for the recogniser, what each sound means. So what is recognised is
 * made from the audio that really arrived: a lost frame is a lost part of a word.
 */
export class SpeechBook {
  readonly #words: Array<Word> = []
  readonly #frames = new Map<number, Int16Array>([[0, silence]])

  /** A new word of so many ms; returns its sound. Without a text of its own it says its number. */
  add(ms: number, text = wordText(this.#words.length + 1)): number {
    const ordinal = this.#words.length % maxWords
    this.#words.push({ text, frames: Math.max(1, Math.round(ms / frameMs)) })
    return soundOf.word + ordinal
  }

  /** One frame of a sound. Frames of one sound share their samples, which nobody may change. */
  frame(sound: number): Int16Array {
    const known = this.#frames.get(sound)
    if (known !== undefined) return known
    const samples = new Int16Array(frameSamples).fill(sound)
    this.#frames.set(sound, samples)
    return samples
  }

  /** The text of what arrived: words of which at least half was heard, in the order in which they were spoken. */
  text(heard: ReadonlyMap<number, number>): string {
    const words: Array<string> = []
    for (const [sound, samples] of heard) {
      const word = this.#words[sound - soundOf.word]
      if (word !== undefined && samples * 2 >= word.frames * frameSamples) words.push(word.text)
    }
    return words.join(" ")
  }
}
