import * as Context from "effect/Context"
import type { Stream } from "effect"
import type { ProviderDescriptor } from "./ProviderDescriptor.ts"
import type { ProviderFailure } from "./ProviderFailure.ts"

/**
 * What a recogniser is fed for one utterance.
 *
 * - `Audio`: the next samples (any length); in order, without gaps, from the start of the utterance's prefix.
 * - `Pause`: the caller has fallen silent. The recogniser starts to work out a final text of all audio so far
 *   (early decode) and answers with `Final { pauseId }`.
 * - `Resume`: the caller went on before the turn ended. Work for the last pause is dropped; its final is not emitted.
 * - `End`: the utterance is over. The final of the last `Pause` stands: it is emitted if it has not been yet, then the
 *   stream ends. An `End` without a `Pause` decodes everything and answers with `pauseId` 0.
 */
export type RecognitionInput =
  | { readonly _tag: "Audio"; readonly samples: Int16Array }
  | { readonly _tag: "Pause"; readonly pauseId: number }
  | { readonly _tag: "Resume" }
  | { readonly _tag: "End" }

/** Text heard so far. An empty `text` of a `Final` means: nothing was heard. `complete` is the turn cue: false when the words probably go on. */
export type RecognitionResult =
  | { readonly _tag: "Partial"; readonly text: string }
  | { readonly _tag: "Final"; readonly text: string; readonly pauseId: number; readonly complete: boolean }

/**
 * Speech to text (RK-10 port): one call of `recognise` is one utterance and one provider invocation.
 *
 * Interrupting the returned stream cancels the work. The stream emits any number of partials and, per `Pause` that is
 * not resumed, one final. It fails with {@link ProviderFailure}.
 */
export class SpeechToText extends Context.Service<SpeechToText, {
  readonly descriptor: ProviderDescriptor
  readonly recognise: (
    input: Stream.Stream<RecognitionInput>,
    options: { readonly partialIntervalMs: number }
  ) => Stream.Stream<RecognitionResult, ProviderFailure>
}>()("rspp/SpeechToText") {}
