import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { LanguageModel } from "@rspp/runtime/ports/LanguageModel"
import type { SpeechToText } from "@rspp/runtime/ports/SpeechToText"
import type { TextToSpeech } from "@rspp/runtime/ports/TextToSpeech"
import type { VoiceActivity } from "@rspp/runtime/ports/VoiceActivity"
import type { ProviderUnavailable } from "./ProviderUnavailable.ts"

interface Entry<Modality, Port> {
  readonly provider_id: string
  readonly modality: Modality
  /** One line on what it is, for people. */
  readonly summary: string
  /** Builds the provider; its code is loaded only then. The same value each time, so one process shares one instance. */
  readonly layer: Layer.Layer<Port, ProviderUnavailable>
  /**
   * Whether it can run here, without starting it (≤ 1 s): succeeds, or fails with what is missing and how to get it.
   * Reads the environment; asks nothing of the network.
   */
  readonly check: Effect.Effect<void, ProviderUnavailable>
}

/** A provider that a pipeline can name. */
export type CatalogEntry =
  | Entry<"vad", VoiceActivity>
  | Entry<"stt", SpeechToText>
  | Entry<"llm", LanguageModel>
  | Entry<"tts", TextToSpeech>

/** The catalog entry of one modality. */
export type CatalogEntryOf<Modality extends CatalogEntry["modality"]> = Extract<CatalogEntry, { modality: Modality }>

const config = Effect.promise(() => import("./ProvidersConfig.ts"))

const silero = Effect.promise(() => import("./vad/SileroVoiceActivity.ts"))
const moonshine = Effect.promise(() => import("./stt/MoonshineSpeechToText.ts"))
const moonshineDecoder = Effect.promise(() => import("./stt/MoonshineDecoder.ts"))
const rules = Effect.promise(() => import("./llm/RuleAgent.ts"))
const openAi = Effect.promise(() => import("./llm/OpenAiCompatibleLanguageModel.ts"))
const flite = Effect.promise(() => import("./tts/FliteTextToSpeech.ts"))

const withConfig = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(config, ({ ProvidersConfig }) => Effect.provide(effect, ProvidersConfig.layer))

/** Every provider of this package: provider id, how to build it, and whether it can run here. */
export const catalog = [
  {
    provider_id: "embedded/silero",
    modality: "vad",
    summary: "Silero v5 voice activity detection, offline",
    layer: Layer.unwrap(Effect.map(silero, (module) => module.layer)),
    check: Effect.asVoid(Effect.flatMap(silero, (module) => module.check))
  },
  {
    provider_id: "embedded/moonshine",
    modality: "stt",
    summary: "Moonshine English speech recognition (base, partials by tiny), offline",
    layer: Layer.unwrap(Effect.map(moonshine, (module) => module.layer)),
    check: Effect.asVoid(Effect.flatMap(moonshineDecoder, (module) => withConfig(module.check())))
  },
  {
    provider_id: "embedded/rules",
    modality: "llm",
    summary: "Rule agent with an editable rules file (RSPP_RULES), offline",
    layer: Layer.unwrap(Effect.map(rules, (module) => module.layer)),
    check: Effect.asVoid(Effect.flatMap(rules, (module) => withConfig(module.check)))
  },
  {
    provider_id: "openai/compatible",
    modality: "llm",
    summary: "Any OpenAI-compatible server (RSPP_LLM_BASE_URL, RSPP_LLM_MODEL, RSPP_LLM_API_KEY)",
    layer: Layer.unwrap(Effect.map(openAi, (module) => module.layer)),
    check: Effect.asVoid(Effect.flatMap(openAi, (module) => withConfig(module.check)))
  },
  {
    provider_id: "embedded/flite",
    modality: "tts",
    summary: "Flite speech synthesis in WebAssembly, offline",
    layer: Layer.unwrap(Effect.map(flite, (module) => module.layer)),
    check: Effect.asVoid(Effect.flatMap(flite, (module) => module.check))
  }
] as const satisfies ReadonlyArray<CatalogEntry>

/** The entry of a provider id in a modality, or undefined when there is none. */
export const find = <Modality extends CatalogEntry["modality"]>(
  modality: Modality,
  provider_id: string
): CatalogEntryOf<Modality> | undefined =>
  (catalog as ReadonlyArray<CatalogEntry>).find((entry): entry is CatalogEntryOf<Modality> =>
    entry.modality === modality && entry.provider_id === provider_id
  )

/** The language model that is used when a pipeline names none: the server when one is set, else the rule agent. */
export const defaultLanguageModel: Effect.Effect<"openai/compatible" | "embedded/rules", ProviderUnavailable> =
  withConfig(
    Effect.flatMap(
      config,
      ({ ProvidersConfig }) =>
        Effect.map(
          ProvidersConfig,
          ({ llm }) => llm === undefined ? "embedded/rules" as const : "openai/compatible" as const
        )
    )
  )
