import { parseSpecText } from "@rspp/control/SpecFile"
import * as Catalog from "@rspp/providers/Catalog"
import { ProvidersFile, referenceOf, resolveSettings } from "@rspp/providers/ProvidersFile"
import type { ProviderDeclaration, SecretSource } from "@rspp/providers/ProvidersFile"
import type { ProviderUnavailable } from "@rspp/providers/ProviderUnavailable"
import { Context, Effect, FileSystem, Path, Schema } from "effect"
import { CliFailure } from "./CliFailure.ts"
import { learnSecrets } from "./KnownSecrets.ts"

/** The providers that this program knows. */
export interface KnownProviders {
  readonly catalog: Catalog.Catalog
  /** Models that a providers file asks for, by the ids of its providers. */
  readonly models?: ReadonlyMap<string, string>
}

/** {@link KnownProviders} of this run: those that come with RSPP, and those of a providers file. */
export const ProviderCatalog = Context.Reference<KnownProviders>("rspp/cli/ProviderCatalog", {
  defaultValue: () => ({ catalog: Catalog.catalog })
})

/** The variable that names a providers file where no flag does. */
export const providersVariable = "RSPP_PROVIDERS"

const bad = (message: string, hint: string) => new CliFailure({ exit: "bad_input", message, hint })

const told = ({ message, remedy }: ProviderUnavailable) => bad(message, `${remedy}.`)

const fileOf = Effect.fnUntraced(function*(path: string) {
  const fs = yield* FileSystem.FileSystem
  const text = yield* fs.readFileString(path).pipe(
    Effect.mapError((error) =>
      bad(
        error.reason._tag === "NotFound"
          ? `${path}: there is no such providers file`
          : `${path}: the providers file cannot be read (${error.message})`,
        `Check the path that --providers (or ${providersVariable}) was given.`
      )
    )
  )
  const { value } = yield* Effect.mapError(
    parseSpecText(text, path),
    ({ message }) => bad(message, "A providers file is JSON or YAML; docs/providers.md shows one.")
  )
  return yield* Schema.decodeUnknownEffect(ProvidersFile)(value, { onExcessProperty: "error" }).pipe(
    Effect.mapError(({ message }) =>
      bad(
        `${path} is no providers file: ${message.replace(/\s*\n\s*/gu, " ")}`,
        "It has the form {\"providers\": {\"main/ears\": {\"adapter\": \"deepgram/streaming\", \"api_key\": \"env:DEEPGRAM_API_KEY\"}}}."
      )
    )
  )
})

/** The providers of a file and those that come with RSPP. Secrets are read when a provider is looked at, not before. */
const loaded = Effect.fnUntraced(function*(path: string) {
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const { providers } = yield* fileOf(path)
  // What is read is known to be secret from then on: a file may have another key when a provider starts.
  const learned = (secret: string | undefined) => {
    if (secret !== undefined) learnSecrets([secret])
    return secret
  }
  const source: SecretSource = {
    variable: (name) => learned(process.env[name]),
    firstLine: (name) =>
      fs.readFileString(paths.resolve(paths.dirname(path), name)).pipe(
        Effect.map((text) => learned(text.split(/\r?\n/u)[0]?.trim())),
        Effect.orElseSucceed(() => undefined)
      )
  }
  yield* Effect.forEach(
    Object.values(providers).flatMap((declaration) => Object.values(declaration)),
    (value) => {
      const reference = referenceOf(value)
      if (reference === undefined) return Effect.void
      return reference.from === "env"
        ? Effect.sync(() => source.variable(reference.name))
        : source.firstLine(reference.name)
    },
    { discard: true }
  )
  const settings = (id: string, declaration: ProviderDeclaration) => resolveSettings(id, declaration, source)
  // What is written wrongly is wrong now; a secret that is missing is missed by whoever uses the provider.
  const catalog = yield* Effect.mapError(Catalog.catalogWith(providers, settings), told)
  const models = new Map(
    Object.entries(providers).flatMap(([id, { model }]) =>
      typeof model === "string" && referenceOf(model) === undefined ? [[id, model] as const] : []
    )
  )
  return { catalog, models }
})

/** Runs a command with the providers of the file that `--providers` or the environment names; without one, with those that come with RSPP. */
export const withProviders = <A, E, R>(flag: string | undefined, command: Effect.Effect<A, E, R>) => {
  const path = flag ?? process.env[providersVariable]
  return path === undefined || path === ""
    ? command
    : Effect.flatMap(loaded(path), (known) => Effect.provideService(command, ProviderCatalog, known))
}
