import { SentenceSegmenter } from "@rspp/runtime/ports/SentenceSegmenter"
import * as Layer from "effect/Layer"

/** Longest segment in characters, about 15 s of speech: an invocation of a voice stays short and can be cut. */
export const maxSegmentChars = 240

/** The first segment may end at a comma or colon when it has this many characters: the voice starts sooner. */
export const minFirstClauseChars = 24

/** Words that end in a dot which does not end a sentence. */
const abbreviations = new Set([
  "mr",
  "mrs",
  "ms",
  "dr",
  "st",
  "prof",
  "sr",
  "jr",
  "vs",
  "no",
  "nos",
  "vol",
  "fig",
  "approx",
  "dept",
  "est",
  "gen",
  "col",
  "sgt",
  "capt",
  "lt",
  "rev",
  "hon",
  "inc",
  "ltd",
  "co",
  "corp",
  "e.g",
  "i.e",
  "cf",
  "al"
])

/** Abbreviations that may also end a sentence: they do when a capital follows. */
const openAbbreviations = new Set(["a.m", "p.m", "etc", "u.s", "u.k"])

const ender = /[.!?\u2026]/u
const closer = /["'\u2019\u201D)\]]/u
const space = /\s/u

/**
 * Cuts the text of a reply into sentences while it streams in.
 *
 * Guarantees: the segments in order, joined by single spaces, are the text with its white space collapsed; each has
 * something in it and at most {@link maxSegmentChars} characters; the same text gives the same segments however it is
 * cut into deltas. A sentence is given out as soon as the character after its end is known (two for "10 a.m. B").
 * It is not cut at `10:30`, `3.5`, `Mr.`, `e.g.`, an initial, or a dot inside a word; a line break always cuts.
 *
 * Holds at most one unfinished segment. One instance per reply.
 */
export class Segmenter {
  private rest = ""
  private first = true

  /** The next piece of the text; returns the segments that are complete now. */
  push(delta: string): Array<string> {
    this.rest += delta
    const segments: Array<string> = []
    for (let end = this.nextEnd(); end !== undefined; end = this.nextEnd()) {
      const segment = this.rest.slice(0, end).replace(/\s+/gu, " ").trim()
      this.rest = this.rest.slice(end).trimStart()
      if (segment === "") continue
      segments.push(segment)
      this.first = false
    }
    return segments
  }

  /** The text has ended: what is left, if anything. The segmenter is as new afterwards. */
  flush(): string | undefined {
    const segment = this.rest.replace(/\s+/gu, " ").trim()
    this.rest = ""
    this.first = true
    return segment === "" ? undefined : segment
  }

  /** Where the first segment of `rest` ends, or undefined while that cannot be known. */
  private nextEnd(): number | undefined {
    const text = this.rest
    for (let at = 0; at < text.length; at++) {
      if (at >= maxSegmentChars) return this.forcedEnd()
      const character = text[at]!
      if (character === "\n" && text.slice(0, at).trim() !== "") return at + 1
      if (ender.test(character)) {
        const end = this.sentenceEnd(at)
        if (end === "unknown") return undefined
        if (end !== undefined) return Math.min(end, maxSegmentChars)
      } else if (this.first && at + 1 >= minFirstClauseChars && /[,;:]/u.test(character)) {
        if (at + 1 >= text.length) return undefined
        if (space.test(text[at + 1]!)) return at + 1
      }
    }
    return undefined
  }

  /** Whether the ender at `at` ends a sentence, and where. */
  private sentenceEnd(at: number): number | "unknown" | undefined {
    const text = this.rest
    let end = at + 1
    while (end < text.length && (ender.test(text[end]!) || closer.test(text[end]!))) end++
    if (end >= text.length) return "unknown"
    if (!space.test(text[end]!)) return undefined
    if (text[at] !== "." || end > at + 1) return end
    const word = /([\p{L}.]+)$/u.exec(text.slice(0, at))?.[1]?.toLowerCase() ?? ""
    if (abbreviations.has(word)) return undefined
    // An initial ("J. Smith"); the pronoun I ends a sentence.
    if (/^\p{L}$/u.test(word) && word !== "i" && /^\p{Lu}$/u.test(text[at - 1]!)) return undefined
    if (openAbbreviations.has(word)) {
      const following = text.slice(end).trimStart()[0]
      if (following === undefined) return "unknown"
      return /\p{Lu}/u.test(following) ? end : undefined
    }
    return end
  }

  /** The best place to cut a sentence that is too long: after a clause, else between words, else anywhere. */
  private forcedEnd(): number {
    const head = this.rest.slice(0, maxSegmentChars)
    const clause = Math.max(...[", ", "; ", ": "].map((mark) => head.lastIndexOf(mark)))
    if (clause > maxSegmentChars / 3) return clause + 1
    const word = head.lastIndexOf(" ")
    return word > 0 ? word : maxSegmentChars
  }
}

/** The port: a {@link Segmenter} for each reply. */
export const layer = Layer.succeed(SentenceSegmenter, {
  start: () => {
    const segmenter = new Segmenter()
    return { push: (delta) => segmenter.push(delta), flush: () => segmenter.flush() }
  }
})
