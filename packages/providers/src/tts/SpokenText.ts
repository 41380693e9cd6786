/** How far ahead a word or character is looked for, in UTF-16 units: a vendor may leave out what is not spoken. */
const lookAhead = 40

/** What belongs to one word with its neighbour, in scripts that write blanks between words. */
const inWord = /[\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\p{N}]/u

/** Where a piece is in a text; a word not in the middle of another one (`one` of `everyone`). -1: nowhere. */
const placeOf = (piece: string, text: string): number => {
  const isWord = piece.length > 1
  for (let at = text.indexOf(piece); at >= 0; at = text.indexOf(piece, at + 1)) {
    const joins = (left: string | undefined, right: string | undefined) =>
      left !== undefined && right !== undefined && inWord.test(left) && inWord.test(right)
    const end = at + piece.length
    if (!isWord || !(joins(text[at - 1], piece[0]) || joins(piece.at(-1), text[end]))) return at
  }
  return -1
}

/**
 * How much of a text has been spoken, by what the vendor says of its words or characters, in order.
 *
 * A vendor repeats the text, but not exactly: it may trim it, leave out what is not spoken, or write numbers as words.
 * What is not found ahead moves nothing; so it never says more than was spoken, and never goes back.
 */
export class SpokenText {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  /** A word or character was spoken: gives how many UTF-16 units of the text have been spoken since the start. */
  say(piece: string): number {
    if (piece === "") return this.#at
    if (this.#text.startsWith(piece, this.#at)) return this.#at += piece.length
    if (piece.trim() === "") return this.#at
    // With what is behind it, which may be the rest of a longer word.
    const found = placeOf(piece, this.#text.slice(this.#at, this.#at + lookAhead + piece.length + 1))
    return found < 0 ? this.#at : this.#at += found + piece.length
  }

  /** All of it was spoken. */
  finish(): number {
    return this.#at = this.#text.length
  }

  /** UTF-16 units of the text that have been spoken since the start. */
  get chars(): number {
    return this.#at
  }
}

/** Vendors round times: a word that ends so little after the sound has been spoken in it; 5 ms. */
const toleranceSamples = 80

/** The words, or characters, of a text with the samples at which each has been spoken; and what that means for sound as it comes. */
export class SpokenWords {
  readonly #text: SpokenText
  /** Places in the text and the samples from the start at which they have been reached; from `#next` on not yet. */
  readonly #places: Array<{ readonly chars: number; readonly samples: number }> = []
  #next = 0
  #samples = 0
  #chars: number | undefined

  constructor(text: string) {
    this.#text = new SpokenText(text)
  }

  /** The next word or character of the text has been spoken once there have been so many samples since the start. */
  place(piece: string, samples: number): void {
    this.#places.push({ chars: this.#text.say(piece), samples: samples - toleranceSamples })
  }

  /** Samples of all sound so far. */
  get samples(): number {
    return this.#samples
  }

  /** The next sound, with how much of the text has been spoken at its end. */
  with(samples: Int16Array): { readonly samples: Int16Array; readonly saidChars?: number } {
    this.#samples += samples.length
    for (let place = this.#places[this.#next]; place !== undefined; place = this.#places[this.#next]) {
      if (place.samples > this.#samples) break
      this.#chars = place.chars
      this.#next++
    }
    return this.#chars === undefined ? { samples } : { samples, saidChars: this.#chars }
  }
}
