import * as Context from "effect/Context"
import type { Stream } from "effect"
import type { ProviderDescriptor } from "./ProviderDescriptor.ts"
import type { ProviderFailure } from "./ProviderFailure.ts"

/**
 * Text to speech (RK-10 port): one call of `synthesise` speaks one segment (a sentence) and is one provider invocation.
 *
 * Streams 16 kHz mono PCM chunks of any length, in order, each owning its buffer. Interrupting the stream cancels the
 * work. It fails with {@link ProviderFailure}.
 */
export class TextToSpeech extends Context.Service<TextToSpeech, {
  readonly descriptor: ProviderDescriptor
  readonly synthesise: (text: string) => Stream.Stream<Int16Array, ProviderFailure>
}>()("rspp/TextToSpeech") {}
