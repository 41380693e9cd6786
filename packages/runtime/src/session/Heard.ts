import { frameSamples } from "../ports/AudioFrame.ts"
import type { Segment } from "../turn/Turn.ts"

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
 */
export const heardOf = (
  segment: Pick<Segment, "handle" | "heardSamples" | "samples" | "synthesised">
): HeardChars => {
  const { handle: { length }, heardSamples, samples, synthesised } = segment
  const all = { chars: length, min: length, max: length }
  if (heardSamples === 0 || samples === 0) return { chars: 0, min: 0, max: 0 }
  if (synthesised && heardSamples >= samples) return all
  const total = (perChar: number) => synthesised ? samples : Math.max(samples, Math.ceil(length * perChar))
  const least = clamped((heardSamples - frameSamples) / total(usualSamplesPerChar * speedFactor))
  const most = clamped((heardSamples + frameSamples) / total(usualSamplesPerChar / speedFactor))
  return {
    chars: Math.floor(length * clamped(heardSamples / total(usualSamplesPerChar))),
    min: Math.floor(length * Math.max(least / speedFactor, 1 - (1 - least) * speedFactor)),
    max: Math.ceil(length * Math.min(most * speedFactor, 1 - (1 - most) / speedFactor))
  }
}
