/** A text as words that can be compared: lower case, without punctuation; a hyphen parts words. */
const wordsOf = (text: string): ReadonlyArray<string> =>
  text.toLowerCase().replaceAll(/['’]/gu, "").split(/[^\p{L}\p{N}]+/u).filter((word) => word !== "")

/** Whether a text is nothing but signs of attention. */
export type Backchannel = (text: string) => boolean

/**
 * Signs of attention that do not ask for the floor, from the session's `barge_in.backchannel`: words ("mhm") and phrases
 * ("i see"), whatever their case and punctuation. `undefined` where the session has none. A text without words is none.
 *
 * It looks at words and so lives outside of the kernel, which is told the answer as a fact of the text's handle.
 */
export const makeBackchannel = (list: ReadonlyArray<string>): Backchannel | undefined => {
  const phrases = list.map(wordsOf).filter((phrase) => phrase.length > 0)
  if (phrases.length === 0) return undefined
  return (text) => {
    const words = wordsOf(text)
    if (words.length === 0) return false
    /** Whether the words before each place can be read as phrases of the list. */
    const reached = [true, ...words.map(() => false)]
    for (let at = 0; at < words.length; at++) {
      if (reached[at] !== true) continue
      for (const phrase of phrases) {
        if (phrase.every((word, i) => words[at + i] === word)) reached[at + phrase.length] = true
      }
    }
    return reached[words.length] === true
  }
}
