import type { LanguageModel } from "@rspp/runtime/ports/LanguageModel"
import type { SpeechToText } from "@rspp/runtime/ports/SpeechToText"
import type { TextToSpeech } from "@rspp/runtime/ports/TextToSpeech"
import type { Effect, Redacted, Schema, Scope } from "effect"
import type { HttpClient } from "effect/http/HttpClient"
import type { WebSocketConstructor } from "effect/socket/Socket"
import type { ProviderUnavailable } from "./ProviderUnavailable.ts"

/** The ports that hosted providers stand behind, by modality. */
export interface HostedPorts {
  readonly stt: SpeechToText["Service"]
  readonly llm: LanguageModel["Service"]
  readonly tts: TextToSpeech["Service"]
}

/** A modality that hosted providers are of. */
export type HostedModality = keyof HostedPorts

/** What a provider can do, for people who choose one. Nothing decides by it. */
export interface Capabilities {
  /** Results come while the work is still going on. */
  readonly streaming: boolean
  /** A recogniser that tells what it has heard so far. */
  readonly partials: boolean
  /** It says when each word was spoken: what a caller heard of a cut sentence is then known to the word. */
  readonly timestamps: boolean
  /** How a cancel reaches the vendor: by a message, or by closing the connection. */
  readonly cancel: "message" | "connection"
  /** Sample rates that it takes or gives by itself, Hz; others are resampled here. Empty for language models. */
  readonly sample_rates: ReadonlyArray<number>
  /** Languages, as BCP 47 tags; `*` for many. */
  readonly languages: ReadonlyArray<string>
  /** What the vendor counts. */
  readonly cost: "free" | "per audio second" | "per character" | "per token"
}

/** Settings that every hosted provider has; see {@link hostedSettings}. */
export interface HostedSettings {
  readonly api_key?: Redacted.Redacted | undefined
  readonly base_url: string
  readonly connect_ms: number
  readonly first_result_ms: number
  readonly stall_ms: number
}

/** What making a provider may use: connections over HTTP and WebSockets, as long as the scope lasts. */
export type HostedServices = Scope.Scope | HttpClient | WebSocketConstructor

/**
 * Code for one vendor's protocol. With settings, under a provider id, it becomes a provider that pipelines bind.
 *
 * `make` opens nothing that costs money and does not fail because the vendor is away: that is for each call to find out.
 * It fails with {@link ProviderUnavailable} only for settings that cannot work. What it opens closes with the scope.
 */
export interface Adapter<M extends HostedModality = HostedModality, S extends HostedSettings = HostedSettings> {
  /** Its name, `vendor/protocol`; also the id of the instance that the environment configures. */
  readonly adapter: string
  readonly modality: M
  /** One line on what it is, for people. */
  readonly summary: string
  /** The vendor's pages that its protocol was written from. */
  readonly documentation: ReadonlyArray<string>
  readonly capabilities: Capabilities
  /** Closed; what may be left out has a default. Numbers may be given as text, as the environment gives them. */
  readonly settings: Schema.Decoder<S>
  /** Which environment variable each setting comes from, for the instance that has the adapter's name. */
  readonly environment: Readonly<Record<string, string>>
  /** Settings without which it cannot run; the others have defaults. */
  readonly required: ReadonlyArray<string>
  readonly make: (
    provider_id: string,
    settings: S
  ) => Effect.Effect<HostedPorts[M], ProviderUnavailable, HostedServices>
}

/** The same adapter, its kinds inferred. */
export const adapterOf = <M extends HostedModality, S extends HostedSettings>(adapter: Adapter<M, S>): Adapter<M, S> =>
  adapter
