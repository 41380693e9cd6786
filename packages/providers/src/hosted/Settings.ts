import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"

/** Text that is not empty. */
export const text = Schema.NonEmptyString

const fromText = { true: true, false: false } as const

/** `true` or `false`, or the text of it, as the environment gives it. */
export const flag = Schema.Union([
  Schema.Boolean,
  Schema.Literals(["true", "false"]).pipe(
    Schema.decodeTo(
      Schema.Boolean,
      SchemaTransformation.transform({
        decode: (given: "true" | "false") => fromText[given],
        encode: (value: boolean) => value ? "true" as const : "false" as const
      })
    )
  )
])

/** A number of at least `min`, or the text of one. */
export const number = (min: number, max = Number.MAX_SAFE_INTEGER) =>
  Schema.Union([Schema.Finite, Schema.FiniteFromString]).check(
    Schema.isGreaterThanOrEqualTo(min),
    Schema.isLessThanOrEqualTo(max)
  )

/** What a setting is when it is left out. */
export const byDefault = <S extends Schema.Constraint>(
  schema: S,
  value: S["Type"]
): Schema.withDecodingDefaultTypeKey<S> => Schema.withDecodingDefaultTypeKey<S>(Effect.succeed(value))(schema)

/** A key as a header can hold it. */
const key = text.check(
  Schema.isPattern(/^[\x20-\x7e]+$/u, { message: "a key without line breaks and signs that no header can hold" })
)

const httpAddress = Schema.String.check(
  Schema.makeFilter((value: string) =>
    /^(?:https?|wss?):$/u.test(URL.parse(value)?.protocol ?? "") || "an address that begins with http, https, ws or wss"
  )
)

/** How long a vendor may take to accept a connection, ms. */
export const defaultConnectMs = 2000

/** Longest silence of a vendor in the middle of an answer, ms; the first result is bounded by the session as well. */
export const defaultStallMs = 15_000

/** How long a hosted provider may take until its first result, ms: longer than the profile's second. */
export const defaultFirstResultMs = 4000

/**
 * The settings that every hosted adapter has.
 *
 * - `api_key`: the vendor's key; no line of the program shows it.
 * - `base_url`: where the vendor answers; give another one for a proxy, a region or a test.
 * - `connect_ms`: how long a connection may take, ms.
 * - `first_result_ms`: how long a call may take until its first result, ms.
 * - `stall_ms`: the longest silence in the middle of an answer, ms.
 *
 * Adapters that choose among a vendor's models and voices call them alike:
 *
 * - `model`: the vendor's name of the model.
 * - `voice`: the vendor's name or id of the voice.
 * - `language`: the language, as the vendor writes it.
 */
export const hostedSettings = (options: { readonly base_url: string }) => ({
  api_key: Schema.RedactedFromValue(key),
  base_url: byDefault(httpAddress, options.base_url),
  connect_ms: byDefault(number(1, 60_000), defaultConnectMs),
  first_result_ms: byDefault(number(1, 600_000), defaultFirstResultMs),
  stall_ms: byDefault(number(1, 600_000), defaultStallMs)
})

/** An address for HTTP, without the slashes at its end: `ws` becomes `http`. */
export const withoutSlash = (address: string): string => address.replace(/\/+$/u, "").replace(/^ws/iu, "http")

/** The same address for a WebSocket: `http` becomes `ws`. */
export const asWebSocket = (address: string): string => withoutSlash(address).replace(/^http/iu, "ws")
