import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ProviderUnavailable } from "./ProviderUnavailable.ts"

/** A setting in a providers file. */
const Setting = Schema.Union([Schema.String, Schema.Finite, Schema.Boolean])

/** One provider: an adapter, and its settings. */
export const ProviderDeclaration = Schema.StructWithRest(
  Schema.Struct({ adapter: Schema.NonEmptyString }),
  [Schema.Record(Schema.String, Setting)]
)
export type ProviderDeclaration = typeof ProviderDeclaration.Type

/** Ids are of the form `maker/name`. */
export const ProviderId = Schema.String.check(
  Schema.isPattern(/^[a-z0-9-]+\/[a-z0-9-]+$/u, { message: "a provider id has the form maker/name, in a-z, 0-9 and -" })
)

/**
 * A providers file: providers by their id, each an adapter with settings. Pipelines bind the ids; which vendor is behind
 * one is a line of this file.
 */
export const ProvidersFile = Schema.Struct({ providers: Schema.Record(ProviderId, ProviderDeclaration) })
export type ProvidersFile = typeof ProvidersFile.Type

/** How a secret is named: `env:NAME`, a variable of the environment, or `file:PATH`, the first line of a file. */
export type SecretReference = { readonly from: "env" | "file"; readonly name: string }

/** Settings that hold secrets: they may only be given as references. */
export const isSecret = (setting: string): boolean => /(?:^|_)(?:api_key|token|secret|password)$/u.test(setting)

/** The reference that a setting is; undefined when it is a plain value. */
export const referenceOf = (value: unknown): SecretReference | undefined => {
  if (typeof value !== "string") return undefined
  const [, from, name] = /^(env|file):(.+)$/su.exec(value) ?? []
  return (from === "env" || from === "file") && name !== undefined ? { from, name } : undefined
}

/** Where the values behind references come from. */
export interface SecretSource {
  readonly variable: (name: string) => string | undefined
  readonly firstLine: (path: string) => Effect.Effect<string | undefined>
}

/**
 * The settings of a declared provider, references read. Fails when a secret is written into the file, or when what a
 * reference names is not there.
 */
export const resolveSettings = (
  provider_id: string,
  declaration: ProviderDeclaration,
  source: SecretSource
): Effect.Effect<Readonly<Record<string, string | number | boolean>>, ProviderUnavailable> =>
  Effect.gen(function*() {
    const resolved: Record<string, string | number | boolean> = {}
    for (const [name, value] of Object.entries(declaration)) {
      if (name === "adapter") continue
      const reference = referenceOf(value)
      if (reference === undefined) {
        if (isSecret(name)) {
          return yield* new ProviderUnavailable({
            provider_id,
            message: `${name} of ${provider_id} is written into the providers file`,
            remedy: "Name it there as env:NAME (a variable) or file:PATH (a file), and take the secret out of the file"
          })
        }
        resolved[name] = value
        continue
      }
      const found = reference.from === "env"
        ? source.variable(reference.name)
        : yield* source.firstLine(reference.name)
      if (found === undefined || found === "") {
        return yield* new ProviderUnavailable({
          provider_id,
          message: reference.from === "env"
            ? `${name} of ${provider_id} is in the variable ${reference.name}, which is not set`
            : `${name} of ${provider_id} is in the file ${reference.name}, which cannot be read or is empty`,
          remedy: reference.from === "env" ? `Set ${reference.name}` : `Write the secret into ${reference.name}`
        })
      }
      resolved[name] = found
    }
    return resolved
  })
