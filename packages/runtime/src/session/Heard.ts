import { frameSamples } from "../ports/AudioFrame.ts"
import type { Segment, SpeechMark } from "../turn/Turn.ts"

/**
 * Samples of speech for one character, where the voice has not finished and its own speed is not known: 62.5 ms, 16
 * characters a second, about 190 words a minute (English read aloud: 150 to 200).
 */
export const usualSamplesPerChar = 1000

/** No stretch of a sentence is spoken more than this many times as fast, or as slowly, as the whole of it on average. */
export const speedFactor = 2

/** How much of a sentence was heard, in characters: the estimate, and between what it lies. */
export interface HeardChars {
  readonly chars: number
  readonly min: number
  readonly max: number
}

const clamped = (share: number): number => Math.min(1, Math.max(0, share))

/** The voice says that so many characters of the sentence have been spoken by the samples that it has by now. */
export const markSpeech = (segment: Pick<Segment, "handle" | "marks" | "samples">, spokenChars: number): void => {
  const chars = Math.min(segment.handle.length, spokenChars)
  const last = segment.marks?.at(-1)
  // One that says nothing new is none: there are never more than characters.
  if (chars <= (last?.chars ?? 0)) return
  segment.marks ??= []
  if (last?.samples === segment.samples) segment.marks.pop()
  segment.marks.push({ samples: segment.samples, chars })
}

/**
 * How much of a sentence the caller heard, from what delivery reported.
 *
 * A sentence that was played to its end is certain. Of one that was cut it is an estimate in proportion to its samples,
 * and its bounds come from three things that are not known:
 *
 * - the cut itself, to one frame (20 ms): that is how finely a transport's queue counts what it has played. What a
 *   device holds behind that queue is not known here; it makes what was heard less, never more.
 * - the length of the whole sentence, when the voice had not finished it: at {@link usualSamplesPerChar}, from half to
 *   twice of that, and at least what there was.
 * - where in the sentence its characters are, as long as the voice gives no word times: within {@link speedFactor}.
 *
 * A voice that says how far it has spoken leaves marks: at a mark its characters are known; between two it is in
 * proportion, and the bounds are the marks around the cut. What comes after the last mark of a sentence that the voice
 * had not finished is counted at its usual speed from there.
 */
export const heardOf = (
  segment: Pick<Segment, "handle" | "heardSamples" | "marks" | "samples" | "synthesised">
): HeardChars => {
  const { handle: { length }, heardSamples, samples, synthesised } = segment
  const all = { chars: length, min: length, max: length }
  if (heardSamples === 0 || samples === 0) return { chars: 0, min: 0, max: 0 }
  if (synthesised && heardSamples >= samples) return all
  if (segment.marks !== undefined) return heardByMarks(segment, segment.marks)
  const total = (perChar: number) => synthesised ? samples : Math.max(samples, Math.ceil(length * perChar))
  const least = clamped((heardSamples - frameSamples) / total(usualSamplesPerChar * speedFactor))
  const most = clamped((heardSamples + frameSamples) / total(usualSamplesPerChar / speedFactor))
  return {
    chars: Math.floor(length * clamped(heardSamples / total(usualSamplesPerChar))),
    min: Math.floor(length * Math.max(least / speedFactor, 1 - (1 - least) * speedFactor)),
    max: Math.ceil(length * Math.min(most * speedFactor, 1 - (1 - most) / speedFactor))
  }
}

const heardByMarks = (
  { handle: { length }, heardSamples, samples, synthesised }: Parameters<typeof heardOf>[0],
  marks: ReadonlyArray<SpeechMark>
): HeardChars => {
  /** The mark at or before a place, and the one behind it; the end of a sentence that is finished is one too. */
  const around = (at: number): readonly [SpeechMark, SpeechMark | undefined] => {
    const before = marks.findLast((mark) => mark.samples <= at) ?? { samples: 0, chars: 0 }
    const after = marks.find((mark) => mark.samples > at) ??
      (synthesised && samples > before.samples ? { samples, chars: length } : undefined)
    return [before, after]
  }
  /** Beyond the last mark, when it takes so many samples for a character. */
  const beyond = (from: SpeechMark, at: number, perChar: number): number =>
    Math.min(length, from.chars + (at - from.samples) / perChar)
  const [before, after] = around(heardSamples)
  const share = after === undefined ? 0 : (heardSamples - before.samples) / (after.samples - before.samples)
  const chars = after === undefined
    ? beyond(before, heardSamples, usualSamplesPerChar)
    : before.chars + (after.chars - before.chars) * share
  const [surely] = around(Math.max(0, heardSamples - frameSamples))
  const latest = heardSamples + frameSamples
  const [last, atMost] = around(latest)
  return {
    chars: Math.floor(chars),
    min: surely.chars,
    max: last.samples === latest
      ? last.chars
      : atMost?.chars ?? Math.ceil(beyond(last, latest, usualSamplesPerChar / speedFactor))
  }
}
