import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { Redacted } from "effect"
import { homedir } from "node:os"
import { join } from "node:path"
import { ProviderUnavailable } from "./ProviderUnavailable.ts"

/** The voices in the Flite file: slt (female), rms, awb (male), kal (male, 8 kHz), kal16 (male, 16 kHz). */
export const voices = ["slt", "rms", "awb", "kal16"] as const

/** One of {@link voices}. */
export type Voice = (typeof voices)[number]

/** Where an OpenAI-compatible server answers: `baseUrl` ends before `/chat/completions` (usually in `/v1`). */
export interface LanguageModelEndpoint {
  readonly baseUrl: string
  readonly apiKey: Redacted.Redacted | undefined
  readonly model: string
}

/** All settings of this package; environment variables are read only here. */
export interface ProvidersSettings {
  /** Folder for files that are made once from installed packages (`RSPP_CACHE_DIR`; default `~/.cache/rspp`). */
  readonly cacheDir: string
  /** The rule agent's rules, a JSON file (`RSPP_RULES`; default: the rules that come with RSPP). */
  readonly rulesFile: string | undefined
  /** The default voice (`RSPP_VOICE`; default `slt`). */
  readonly voice: Voice
  /** The language model server (`RSPP_LLM_BASE_URL`, `RSPP_LLM_MODEL`, `RSPP_LLM_API_KEY`); undefined when not set. */
  readonly llm: LanguageModelEndpoint | undefined
}

const text = (name: string) =>
  Config.option(Config.String(name)).pipe(
    Config.map((value) => Option.getOrUndefined(Option.filter(value, (some) => some.trim() !== "")))
  )

const settings = Effect.gen(function*() {
  const baseUrl = yield* text("RSPP_LLM_BASE_URL")
  const model = yield* text("RSPP_LLM_MODEL")
  const apiKey = yield* Config.option(Config.Redacted("RSPP_LLM_API_KEY"))
  const voice = (yield* text("RSPP_VOICE")) ?? "slt"
  if (!(voices as ReadonlyArray<string>).includes(voice)) {
    return yield* new ProviderUnavailable({
      provider_id: "embedded/flite",
      message: `RSPP_VOICE is "${voice}", which is not a voice`,
      remedy: `Set RSPP_VOICE to one of ${voices.join(", ")}, or leave it out`
    })
  }
  if (baseUrl !== undefined && model === undefined) {
    return yield* new ProviderUnavailable({
      provider_id: "openai/compatible",
      message: "RSPP_LLM_BASE_URL is set but RSPP_LLM_MODEL is not",
      remedy: "Set RSPP_LLM_MODEL to a model of that server, or leave RSPP_LLM_BASE_URL out"
    })
  }
  if (baseUrl !== undefined && !/^https?:$/u.test(URL.parse(baseUrl)?.protocol ?? "")) {
    return yield* new ProviderUnavailable({
      provider_id: "openai/compatible",
      message: "RSPP_LLM_BASE_URL is not an http or https address",
      remedy: "Set it to the server's address up to /v1, for example http://127.0.0.1:11434/v1"
    })
  }
  const complete: ProvidersSettings = {
    cacheDir: (yield* text("RSPP_CACHE_DIR")) ?? join(homedir(), ".cache", "rspp"),
    rulesFile: yield* text("RSPP_RULES"),
    voice: voice as Voice,
    llm: baseUrl === undefined || model === undefined
      ? undefined
      : { baseUrl: baseUrl.replace(/\/+$/u, ""), apiKey: Option.getOrUndefined(apiKey), model }
  }
  return complete
})

/** The settings of all providers as a service. */
export class ProvidersConfig extends Context.Service<ProvidersConfig, ProvidersSettings>()("rspp/ProvidersConfig") {
  /** From the environment; fails with {@link ProviderUnavailable} when a variable has an impossible value. */
  static readonly layer = Layer.effect(
    ProvidersConfig,
    settings.pipe(
      Effect.catchTag("ConfigError", (error) =>
        Effect.fail(
          new ProviderUnavailable({
            provider_id: "config",
            message: `The environment could not be read: ${error.message}`,
            remedy: "Correct the named variable"
          })
        ))
    )
  )

  /** From the environment, with some settings replaced. */
  static readonly layerWith = (some: Partial<ProvidersSettings>) =>
    Layer.effect(ProvidersConfig, Effect.map(ProvidersConfig, (all) => ProvidersConfig.of({ ...all, ...some }))).pipe(
      Layer.provide(ProvidersConfig.layer)
    )
}
