import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { LanguageModel } from "@rspp/runtime/ports/LanguageModel"
import type { ProviderDescriptor } from "@rspp/runtime/ports/ProviderDescriptor"
import { SpeechToText } from "@rspp/runtime/ports/SpeechToText"
import { TextToSpeech } from "@rspp/runtime/ports/TextToSpeech"
import type { VoiceActivity } from "@rspp/runtime/ports/VoiceActivity"
import type { Adapter, Capabilities, HostedModality, HostedSettings } from "./Adapter.ts"
import type { GivenSettings } from "./hosted/Instance.ts"
import type { ProviderDeclaration } from "./ProvidersFile.ts"
import { ProviderUnavailable } from "./ProviderUnavailable.ts"

/** What a provider is, for people who choose one. */
export interface About {
  /** One line on what it is. */
  readonly summary: string
  readonly capabilities: Capabilities
  /** The vendor's pages that it was written from; none for the embedded ones. */
  readonly documentation: ReadonlyArray<string>
}

interface Entry<Modality, Port> {
  readonly provider_id: string
  readonly modality: Modality
  /** The name of the code behind it: the provider's own, unless a providers file says otherwise. */
  readonly adapter: string
  /** A providers file declares it: somebody wants it, whatever it lacks. */
  readonly declared?: boolean
  readonly about: Effect.Effect<About>
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

/** The providers that pipelines can bind, by their ids: each id is there once in a modality. */
export type Catalog = ReadonlyArray<CatalogEntry>

const config = Effect.promise(() => import("./ProvidersConfig.ts"))
const instance = Effect.promise(() => import("./hosted/Instance.ts"))

const silero = Effect.promise(() => import("./vad/SileroVoiceActivity.ts"))
const moonshine = Effect.promise(() => import("./stt/MoonshineSpeechToText.ts"))
const moonshineDecoder = Effect.promise(() => import("./stt/MoonshineDecoder.ts"))
const rules = Effect.promise(() => import("./llm/RuleAgent.ts"))
const flite = Effect.promise(() => import("./tts/FliteTextToSpeech.ts"))

const withConfig = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(config, ({ ProvidersConfig }) => Effect.provide(effect, ProvidersConfig.layer))

const embedded = (summary: string, capabilities: Partial<Capabilities>): Effect.Effect<About> =>
  Effect.succeed({
    summary,
    capabilities: {
      streaming: true,
      partials: false,
      timestamps: false,
      cancel: "message",
      sample_rates: [16_000],
      languages: ["en"],
      cost: "free",
      ...capabilities
    },
    documentation: []
  })

const sileroEntry: CatalogEntryOf<"vad"> = {
  provider_id: "embedded/silero",
  modality: "vad",
  adapter: "embedded/silero",
  about: embedded("Silero v5 voice activity detection, offline", { languages: ["*"] }),
  layer: Layer.unwrap(Effect.map(silero, (module) => module.layer)),
  check: Effect.asVoid(Effect.flatMap(silero, (module) => module.check))
}

const moonshineEntry: CatalogEntryOf<"stt"> = {
  provider_id: "embedded/moonshine",
  modality: "stt",
  adapter: "embedded/moonshine",
  about: embedded("Moonshine English speech recognition (base, partials by tiny), offline", { partials: true }),
  layer: Layer.unwrap(Effect.map(moonshine, (module) => module.layer)),
  check: Effect.asVoid(Effect.flatMap(moonshineDecoder, (module) => withConfig(module.check())))
}

const rulesEntry: CatalogEntryOf<"llm"> = {
  provider_id: "embedded/rules",
  modality: "llm",
  adapter: "embedded/rules",
  about: embedded("Rule agent with an editable rules file (RSPP_RULES), offline", { sample_rates: [] }),
  layer: Layer.unwrap(Effect.map(rules, (module) => module.layer)),
  check: Effect.asVoid(Effect.flatMap(rules, (module) => withConfig(module.check)))
}

const fliteEntry: CatalogEntryOf<"tts"> = {
  provider_id: "embedded/flite",
  modality: "tts",
  adapter: "embedded/flite",
  about: embedded("Flite speech synthesis in WebAssembly, offline", {}),
  layer: Layer.unwrap(Effect.map(flite, (module) => module.layer)),
  check: Effect.asVoid(Effect.flatMap(flite, (module) => module.check))
}

/** An adapter that the catalog knows; its code is loaded when it is asked for. */
interface Known<M extends HostedModality> {
  readonly adapter: string
  readonly modality: M
  readonly load: Effect.Effect<Adapter<M>>
}

const known = <M extends HostedModality, S extends HostedSettings>(
  modality: M,
  adapter: string,
  load: () => Promise<{ readonly adapter: Adapter<M, S> }>
): Known<M> => ({
  adapter,
  modality,
  // Its settings come only from its own schema, whatever their type.
  load: Effect.map(Effect.promise(load), (module) => module.adapter as unknown as Adapter<M>)
})

/** Every adapter for a hosted service: a new one is a line here. */
export const adapters = [
  known("stt", "deepgram/streaming", () => import("./stt/DeepgramSpeechToText.ts")),
  known("stt", "assemblyai/streaming", () => import("./stt/AssemblyAiSpeechToText.ts")),
  known("stt", "openai/transcriptions", () => import("./stt/OpenAiTranscriptions.ts")),
  known("llm", "openai/compatible", () => import("./llm/OpenAiCompatibleLanguageModel.ts")),
  known("llm", "anthropic/messages", () => import("./llm/AnthropicLanguageModel.ts")),
  known("llm", "google/gemini", () => import("./llm/GeminiLanguageModel.ts")),
  known("tts", "elevenlabs/websocket", () => import("./tts/ElevenLabsWebSocket.ts")),
  known("tts", "elevenlabs/http", () => import("./tts/ElevenLabsHttp.ts")),
  known("tts", "cartesia/websocket", () => import("./tts/CartesiaTextToSpeech.ts")),
  known("tts", "openai/speech", () => import("./tts/OpenAiSpeech.ts"))
] as const

type KnownAdapter = Known<"stt"> | Known<"llm"> | Known<"tts">

const entryOf = (
  hosted: KnownAdapter,
  provider_id: string,
  given: Effect.Effect<GivenSettings, ProviderUnavailable>
): CatalogEntry => {
  const made = <M extends HostedModality>({ load, modality }: Known<M>) => ({
    provider_id,
    modality,
    adapter: hosted.adapter,
    about: Effect.map(load, ({ capabilities, documentation, summary }) => ({ summary, capabilities, documentation })),
    layer: Layer.unwrap(
      Effect.gen(function*() {
        const { layerOf } = yield* instance
        return layerOf(yield* load, provider_id, yield* given)
      })
    ),
    check: Effect.gen(function*() {
      const { settingsOf } = yield* instance
      yield* settingsOf(yield* load, provider_id, yield* given)
    })
  })
  switch (hosted.modality) {
    case "stt":
      return made(hosted)
    case "llm":
      return made(hosted)
    case "tts":
      return made(hosted)
  }
}

const embeddedModels = [moonshineEntry, rulesEntry, fliteEntry]

/** The names that a providers file can give as `adapter`. */
export const adapterNames: ReadonlyArray<string> = [...embeddedModels, ...adapters].map(({ adapter }) => adapter)

/** An embedded provider under another id. */
const renamed = (entry: Exclude<CatalogEntry, { modality: "vad" }>, provider_id: string): CatalogEntry => {
  const as = <P extends { readonly descriptor: ProviderDescriptor }>(port: P): P => ({
    ...port,
    descriptor: { ...port.descriptor, provider_id }
  })
  switch (entry.modality) {
    case "stt":
      return {
        ...entry,
        provider_id,
        layer: Layer.provide(Layer.effect(SpeechToText, Effect.map(SpeechToText, as)), entry.layer)
      }
    case "llm":
      return {
        ...entry,
        provider_id,
        layer: Layer.provide(Layer.effect(LanguageModel, Effect.map(LanguageModel, as)), entry.layer)
      }
    case "tts":
      return {
        ...entry,
        provider_id,
        layer: Layer.provide(Layer.effect(TextToSpeech, Effect.map(TextToSpeech, as)), entry.layer)
      }
  }
}

/** Settings of the instance that has the adapter's own name: from the environment. */
const fromEnvironment = (hosted: KnownAdapter): Effect.Effect<GivenSettings, ProviderUnavailable> =>
  Effect.gen(function*() {
    const { settingsFromEnvironment } = yield* config
    const { environment } = yield* hosted.load
    return yield* settingsFromEnvironment(environment)
  })

/** Every provider of this package: the embedded ones, and each adapter as the environment configures it. */
export const catalog: Catalog = [
  sileroEntry,
  ...embeddedModels,
  ...adapters.map((hosted) => entryOf(hosted, hosted.adapter, fromEnvironment(hosted)))
]

/**
 * {@link catalog} with the providers of a providers file; one that has the id of another stands in its place. `settings`
 * gives a declared provider's settings, its references read. Fails when an adapter is unknown, or an
 * embedded one is given settings: it takes none.
 */
export const catalogWith = (
  declared: Readonly<Record<string, ProviderDeclaration>>,
  settings: (provider_id: string, declaration: ProviderDeclaration) => Effect.Effect<GivenSettings, ProviderUnavailable>
): Effect.Effect<Catalog, ProviderUnavailable> =>
  Effect.gen(function*() {
    const added: Array<CatalogEntry> = []
    for (const [provider_id, declaration] of Object.entries(declared)) {
      const hosted = adapters.find(({ adapter }) => adapter === declaration.adapter)
      const same = embeddedModels.find(({ adapter }) => adapter === declaration.adapter)
      if (hosted !== undefined) {
        added.push({ ...entryOf(hosted, provider_id, settings(provider_id, declaration)), declared: true })
      } else if (same !== undefined) {
        const settings = Object.keys(declaration).filter((name) => name !== "adapter")
        if (settings.length > 0) {
          return yield* new ProviderUnavailable({
            provider_id,
            message: `${declaration.adapter} takes no settings, and ${provider_id} has ${settings.join(", ")}`,
            remedy: "Take them out of the providers file; the embedded providers have variables, in docs/providers.md"
          })
        }
        added.push({ ...renamed(same, provider_id), declared: true })
      } else {
        return yield* new ProviderUnavailable({
          provider_id,
          message: `The adapter ${declaration.adapter} of ${provider_id} is not known`,
          remedy: `Name one of ${adapterNames.join(", ")}`
        })
      }
    }
    return [...catalog.filter((entry) => find(entry.modality, entry.provider_id, added) === undefined), ...added]
  })

/** The entry of a provider id in a modality, or undefined when there is none. */
export const find = <Modality extends CatalogEntry["modality"]>(
  modality: Modality,
  provider_id: string,
  among: Catalog = catalog
): CatalogEntryOf<Modality> | undefined =>
  among.find((entry): entry is CatalogEntryOf<Modality> =>
    entry.modality === modality && entry.provider_id === provider_id
  )

/** The language model that is used when a pipeline names none: the server when one is set, else the rule agent. */
export const defaultLanguageModel: Effect.Effect<"openai/compatible" | "embedded/rules", ProviderUnavailable> = Effect
  .gen(function*() {
    const { settingsFromEnvironment } = yield* config
    const { base_url } = yield* settingsFromEnvironment({ base_url: "RSPP_LLM_BASE_URL" })
    return base_url === undefined ? "embedded/rules" : "openai/compatible"
  })
