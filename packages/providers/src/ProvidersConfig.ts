import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { homedir } from "node:os"
import { join } from "node:path"
import { ProviderUnavailable } from "./ProviderUnavailable.ts"

/** The voices in the Flite file: slt (female), rms, awb (male), kal (male, 8 kHz), kal16 (male, 16 kHz). */
export const voices = ["slt", "rms", "awb", "kal16"] as const

/** One of {@link voices}. */
export type Voice = (typeof voices)[number]

/** All settings of this package; environment variables are read only here. */
export interface ProvidersSettings {
  /** Folder for files that are made once from installed packages (`RSPP_CACHE_DIR`; default `~/.cache/rspp`). */
  readonly cacheDir: string
  /** The rule agent's rules, a JSON file (`RSPP_RULES`; default: the rules that come with RSPP). */
  readonly rulesFile: string | undefined
  /** The default voice (`RSPP_VOICE`; default `slt`). */
  readonly voice: Voice
}

const text = (name: string) =>
  Config.option(Config.String(name)).pipe(
    Config.map((value) => Option.getOrUndefined(Option.filter(value, (some) => some.trim() !== "")))
  )

const settings = Effect.gen(function*() {
  const voice = (yield* text("RSPP_VOICE")) ?? "slt"
  if (!(voices as ReadonlyArray<string>).includes(voice)) {
    return yield* new ProviderUnavailable({
      provider_id: "embedded/flite",
      message: `RSPP_VOICE is "${voice}", which is not a voice`,
      remedy: `Set RSPP_VOICE to one of ${voices.join(", ")}, or leave it out`
    })
  }
  const complete: ProvidersSettings = {
    cacheDir: (yield* text("RSPP_CACHE_DIR")) ?? join(homedir(), ".cache", "rspp"),
    rulesFile: yield* text("RSPP_RULES"),
    voice: voice as Voice
  }
  return complete
})

const unreadable = (message: string) =>
  new ProviderUnavailable({
    provider_id: "config",
    message: `The environment could not be read: ${message}`,
    remedy: "Correct the named variable"
  })

/** The settings whose variables (`names`: setting to variable) are set and not empty. */
export const settingsFromEnvironment = (
  names: Readonly<Record<string, string>>
): Effect.Effect<Readonly<Record<string, string>>, ProviderUnavailable> =>
  Effect.gen(function*() {
    const found: Record<string, string> = {}
    for (const [setting, name] of Object.entries(names)) {
      const value = yield* text(name)
      if (value !== undefined) found[setting] = value
    }
    return found
  }).pipe(Effect.mapError(({ message }) => unreadable(message)))

/** The settings of all providers as a service. */
export class ProvidersConfig extends Context.Service<ProvidersConfig, ProvidersSettings>()("rspp/ProvidersConfig") {
  /** From the environment; fails with {@link ProviderUnavailable} when a variable has an impossible value. */
  static readonly layer = Layer.effect(
    ProvidersConfig,
    settings.pipe(
      Effect.catchTag("ConfigError", ({ message }) => Effect.fail(unreadable(message)))
    )
  )

  /** From the environment, with some settings replaced. */
  static readonly layerWith = (some: Partial<ProvidersSettings>) =>
    Layer.effect(ProvidersConfig, Effect.map(ProvidersConfig, (all) => ProvidersConfig.of({ ...all, ...some }))).pipe(
      Layer.provide(ProvidersConfig.layer)
    )
}
