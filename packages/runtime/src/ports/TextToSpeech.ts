import * as Context from "effect/Context"
import type { Stream } from "effect"
import type { ProviderDescriptor } from "./ProviderDescriptor.ts"
import type { ProviderFailure } from "./ProviderFailure.ts"

/** A chunk of speech of a voice that knows how far it has spoken, because its vendor gives the times of words. */
export interface SpokenSamples {
  readonly samples: Int16Array
  /** Characters of the text (UTF-16 units, as `String.length` counts) that have been spoken by the end of the chunk. */
  readonly spokenChars: number
}

/** A chunk of speech: its samples alone, or with how far they come in the text. */
export type Speech = Int16Array | SpokenSamples

/** The samples of a chunk. */
export const samplesOf = (speech: Speech): Int16Array => speech instanceof Int16Array ? speech : speech.samples

/**
 * Text to speech (RK-10 port): one call of `synthesise` speaks one segment (a sentence) and is one provider invocation.
 *
 * Streams 16 kHz mono PCM chunks of any length, in order, each owning its buffer. Interrupting the stream cancels the
 * work. It fails with {@link ProviderFailure}.
 *
 * A voice whose vendor gives the times of words or characters says with a chunk how many characters of the text have been
 * spoken by its end; when a reply is cut, what was heard of it is then known to the word, and not by the voice's usual
 * speed. It never falls; what is beyond the text's length counts as its length.
 */
export class TextToSpeech extends Context.Service<TextToSpeech, {
  readonly descriptor: ProviderDescriptor
  readonly synthesise: (text: string) => Stream.Stream<Speech, ProviderFailure>
}>()("rspp/TextToSpeech") {}
