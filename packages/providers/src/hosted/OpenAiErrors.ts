import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Failures } from "./Failures.ts"

const nullable = <S extends Schema.Constraint>(schema: S) => Schema.optionalKey(Schema.NullOr(schema))

const OpenAiError = Schema.Struct({
  code: nullable(Schema.Union([Schema.String, Schema.Finite])),
  type: nullable(Schema.String)
})

/** What servers of OpenAI's protocols say of an error: numbers and words where they like. */
export type OpenAiError = typeof OpenAiError.Type

/** An `error` object, as far as it is one. */
export const openAiErrorOf = Schema.decodeUnknownOption(OpenAiError)

const decodeBody = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Struct({ error: OpenAiError })))

/** The `error` of a refusal's body; undefined where it has none. */
export const openAiErrorIn = (body: string): OpenAiError | undefined =>
  Option.getOrUndefined(Option.map(decodeBody(body), ({ error }) => error))

/** Codes of refusals that a wait does not mend, whatever their status (it is 429) promises. */
const noCredit: ReadonlyArray<unknown> = ["insufficient_quota", "billing_hard_limit_reached", "billing_not_active"]

/** `blocked`, when an error says that the account has no credit; undefined otherwise. */
export const creditFailure = (
  error: OpenAiError | undefined,
  failures: Failures
): ProviderFailure | undefined =>
  error !== undefined && [error.code, error.type].some((code) => noCredit.includes(code))
    ? failures.noCredit
    : undefined
