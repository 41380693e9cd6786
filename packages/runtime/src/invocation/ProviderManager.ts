import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { isNodeBinding } from "../nodes/NodeBinding.ts"
import { LanguageModel } from "../ports/LanguageModel.ts"
import type { ProviderDescriptor } from "../ports/ProviderDescriptor.ts"
import { SpeechToText } from "../ports/SpeechToText.ts"
import { TextToSpeech } from "../ports/TextToSpeech.ts"

/** The pipeline binds a provider that this runtime does not have. */
export class ProviderMissing extends Schema.TaggedError<ProviderMissing>()("ProviderMissing", {
  modality: Schema.String,
  provider_id: Schema.String,
  available: Schema.Array(Schema.String),
  message: Schema.String
}) {}

/** The providers that a manager is made from. */
export interface ProviderSet {
  readonly stt: ReadonlyArray<SpeechToText["Service"]>
  readonly llm: ReadonlyArray<LanguageModel["Service"]>
  readonly tts: ReadonlyArray<TextToSpeech["Service"]>
}

/**
 * Provider manager (RK-10): finds the provider that a plan binds, among those that were composed into the runtime.
 *
 * Fails at the start of a session with {@link ProviderMissing}, never in the middle of a turn.
 */
export class ProviderManager extends Context.Service<ProviderManager, {
  readonly stt: (id: string) => SpeechToText["Service"] | undefined
  readonly llm: (id: string) => LanguageModel["Service"] | undefined
  readonly tts: (id: string) => TextToSpeech["Service"] | undefined
  readonly descriptors: ReadonlyArray<ProviderDescriptor>
  /** Checks that every bound provider is here. Bindings are keyed by modality, or `<modality>.fallback`. */
  readonly check: (bindings: Readonly<Record<string, string>>) => Effect.Effect<void, ProviderMissing>
}>()("rspp/ProviderManager") {
  /** Of the one recogniser, model and voice that are in the context. */
  static readonly layerNoDeps = Layer.effect(
    ProviderManager,
    Effect.gen(function*() {
      const stt = yield* SpeechToText
      const llm = yield* LanguageModel
      const tts = yield* TextToSpeech
      return makeManager({ stt: [stt], llm: [llm], tts: [tts] })
    })
  )

  /** Of any number of each. */
  static readonly layerOf = (providers: ProviderSet) => Layer.succeed(ProviderManager, makeManager(providers))
}

const makeManager = (providers: ProviderSet): ProviderManager["Service"] => {
  const find = <P extends { readonly descriptor: ProviderDescriptor }>(list: ReadonlyArray<P>) => (id: string) =>
    list.find((candidate) => candidate.descriptor.provider_id === id)
  const descriptors = [...providers.stt, ...providers.llm, ...providers.tts].map(({ descriptor }) => descriptor)
  return ProviderManager.of({
    stt: find(providers.stt),
    llm: find(providers.llm),
    tts: find(providers.tts),
    descriptors,
    check: (bindings) =>
      Effect.suspend(() => {
        for (const [key, provider_id] of Object.entries(bindings)) {
          // The node host checks those of its nodes.
          if (isNodeBinding(key)) continue
          const modality = key.split(".")[0] ?? key
          const available = descriptors.filter((one) => one.modality === modality).map((one) => one.provider_id)
          if (!available.includes(provider_id)) {
            return Effect.fail(
              new ProviderMissing({
                modality,
                provider_id,
                available,
                message: `the pipeline binds ${modality} to ${provider_id}, which this runtime does not have; it has ${
                  available.join(", ") || "none"
                }`
              })
            )
          }
        }
        return Effect.void
      })
  })
}
