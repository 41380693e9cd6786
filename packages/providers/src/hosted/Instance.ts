import { LanguageModel } from "@rspp/runtime/ports/LanguageModel"
import { SpeechToText } from "@rspp/runtime/ports/SpeechToText"
import { TextToSpeech } from "@rspp/runtime/ports/TextToSpeech"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { Adapter, HostedModality, HostedPorts, HostedSettings } from "../Adapter.ts"
import { ProviderUnavailable } from "../ProviderUnavailable.ts"
import * as HttpClient from "./HttpClient.ts"
import { proxyFor } from "./Proxy.ts"
import * as WebSockets from "./WebSockets.ts"

/** Settings as they are given: texts, numbers and switches, secrets already read. */
export type GivenSettings = Readonly<Record<string, string | number | boolean>>

interface PortsByModality {
  readonly stt: SpeechToText
  readonly llm: LanguageModel
  readonly tts: TextToSpeech
}

/** The port that providers of a modality stand behind. */
export type PortOf<M extends HostedModality> = PortsByModality[M]

const keys: { readonly [M in HostedModality]: Context.Key<PortOf<M>, HostedPorts[M]> } = {
  stt: SpeechToText,
  llm: LanguageModel,
  tts: TextToSpeech
}

/** `base_url: an address …`, of each thing that is wrong. */
const problems = (message: string, nameOf: (setting: string) => string): string =>
  message.split(/\n(?=\S)/u).map((one) => {
    const [, expected = one, place] = /^(.*)\n\s+at \["(.*)"\]/su.exec(one) ?? []
    return place === undefined ? expected : `${nameOf(place)}: ${expected}`
  }).join("; ")

/**
 * Settings of an adapter, checked. Fails with what is missing or wrong, and where it can be set; the values are never
 * repeated.
 */
export const settingsOf = <M extends HostedModality, S extends HostedSettings>(
  adapter: Adapter<M, S>,
  provider_id: string,
  given: GivenSettings
): Effect.Effect<S, ProviderUnavailable> =>
  Effect.suspend(() => {
    const missing = adapter.required.filter((name) => given[name] === undefined)
    /** Where a setting was set: the instance that has the adapter's name has them from the environment. */
    const nameOf = (setting: string) =>
      provider_id === adapter.adapter ? adapter.environment[setting] ?? setting : setting
    if (missing.length > 0) {
      const set = missing.map(nameOf)
      return Effect.fail(
        new ProviderUnavailable({
          provider_id,
          unset: missing.length === adapter.required.length,
          message: `${provider_id} is not configured: ${missing.join(" and ")} ${
            missing.length > 1 ? "are" : "is"
          } not set`,
          remedy: provider_id === adapter.adapter
            ? `Set ${set.join(" and ")} in the environment, or declare it in a providers file`
            : `Set ${set.join(" and ")} of ${provider_id} in the providers file`
        })
      )
    }
    return Schema.decodeUnknownEffect(adapter.settings)(given, { onExcessProperty: "error" }).pipe(
      Effect.mapError(({ message }) =>
        new ProviderUnavailable({
          provider_id,
          message: `The settings of ${provider_id} cannot be used: ${problems(message, nameOf)}`,
          remedy: `Correct it; docs/providers.md has the settings of ${adapter.adapter}`
        })
      )
    )
  })

/**
 * A provider of an adapter with these settings, over real connections that close with the scope; through the proxy that
 * the environment names, if it does ({@link proxyFor}).
 */
export const makeInstance = <M extends HostedModality, S extends HostedSettings>(
  adapter: Adapter<M, S>,
  provider_id: string,
  given: GivenSettings
) =>
  Effect.gen(function*() {
    const settings = yield* settingsOf(adapter, provider_id, given)
    const proxy = yield* proxyFor(provider_id, settings.base_url)
    // Built in the scope of the provider, which lives longer than its making.
    const connections = yield* Layer.build(
      Layer.merge(HttpClient.layer({ connectMs: settings.connect_ms, proxy }), WebSockets.layer({ proxy }))
    )
    return yield* Effect.provideContext(adapter.make(provider_id, settings), connections)
  })

/** {@link makeInstance} as the Layer of its port. */
export const layerOf = <M extends HostedModality, S extends HostedSettings>(
  adapter: Adapter<M, S>,
  provider_id: string,
  given: GivenSettings
): Layer.Layer<PortOf<M>, ProviderUnavailable> => {
  const key: Context.Key<PortOf<M>, HostedPorts[M]> = keys[adapter.modality]
  return Layer.effect(key, makeInstance(adapter, provider_id, given))
}

/** Secrets of given settings, for whoever scrubs texts. */
export const secretsOf = (settings: HostedSettings): ReadonlyArray<string> =>
  settings.api_key === undefined ? [] : [Redacted.value(settings.api_key)]
