import { Modality } from "@rspp/contracts/Invocation"
import { Effect, FileSystem, Schema } from "effect"
import { CliFailure } from "./CliFailure.ts"
import type { ProviderUse } from "./view/ProviderUse.ts"

const Amount = Schema.Finite.pipe(Schema.check(Schema.isGreaterThanOrEqualTo(0)))
const amount = (description: string) => Schema.optionalKey(Amount.annotate({ description }))

/**
 * What a provider takes, in the currency of the list. What is absent costs nothing.
 *
 * Recordings count characters, not tokens: a price by tokens needs `chars_per_token`, which is the author's to say.
 */
export const Price = Schema.Struct({
  modality: Modality.annotate({ description: "What the provider does." }),
  provider_id: Schema.NonEmptyString.annotate({ description: "The provider." }),
  per_call: amount("For a call."),
  per_audio_minute: amount("For a minute of audio: what a recogniser is given, what a voice gives."),
  per_million_input_chars: amount("For a million characters that it is given."),
  per_million_output_chars: amount("For a million characters that it gives."),
  per_million_input_tokens: amount("For a million tokens that it is given; needs `chars_per_token`."),
  per_million_output_tokens: amount("For a million tokens that it gives; needs `chars_per_token`."),
  chars_per_token: Schema.optionalKey(
    Schema.Finite.pipe(Schema.check(Schema.isGreaterThan(0))).annotate({
      description: "What a token has of characters: recordings count characters."
    })
  )
}).pipe(Schema.check(
  Schema.makeFilter((price) =>
    price.chars_per_token !== undefined ||
      (price.per_million_input_tokens === undefined && price.per_million_output_tokens === undefined)
      ? undefined
      : "a price by tokens needs chars_per_token: recordings count characters"
  )
))
export type Price = typeof Price.Type

/** A file of prices: `{ "currency": "USD", "prices": [ { "modality": "llm", "provider_id": …, "per_call": 0.001 } ] }`. */
export const PriceList = Schema.Struct({
  currency: Schema.NonEmptyString.annotate({ description: "In what the prices are, such as `USD`." }),
  prices: Schema.Array(Price)
})
export type PriceList = typeof PriceList.Type

/** What calls cost by a list of prices; `unpriced` names the providers that the list does not have. */
export interface CostEstimate {
  readonly currency: string
  readonly total: number
  readonly providers: ReadonlyArray<
    { readonly modality: Modality; readonly provider_id: string; readonly cost: number }
  >
  readonly unpriced: ReadonlyArray<string>
}

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(PriceList))

/** Reads a file of prices; fails as bad input with what is wrong in it. */
export const readPriceList = Effect.fnUntraced(function*(path: string) {
  const fs = yield* FileSystem.FileSystem
  const text = yield* fs.readFileString(path).pipe(
    Effect.mapError((error) =>
      new CliFailure({
        exit: "bad_input",
        message: error.reason._tag === "NotFound"
          ? `${path}: there is no such file of prices`
          : `${path}: the prices cannot be read (${error.message})`,
        hint: "Check the path that --prices was given."
      })
    )
  )
  return yield* decode(text, { onExcessProperty: "error" }).pipe(
    Effect.mapError((error) =>
      new CliFailure({
        exit: "bad_input",
        message: `${path}: these are no prices: ${error.message}`,
        hint:
          `For example { "currency": "USD", "prices": [{ "modality": "stt", "provider_id": "a/b", "per_audio_minute": 0.006 }] }`
      })
    )
  )
})

const millionth = 1e-6

const costOf = (price: Price, use: ProviderUse): number => {
  const minutes = (use.modality === "stt" ? use.input_audio_ms : use.output_audio_ms) / 60_000
  const perToken = millionth / (price.chars_per_token ?? 1)
  return use.calls * (price.per_call ?? 0) +
    minutes * (price.per_audio_minute ?? 0) +
    use.input_chars * millionth * (price.per_million_input_chars ?? 0) +
    use.output_chars * millionth * (price.per_million_output_chars ?? 0) +
    use.input_chars * perToken * (price.per_million_input_tokens ?? 0) +
    use.output_chars * perToken * (price.per_million_output_tokens ?? 0)
}

/** To a millionth of the currency. */
const rounded = (amount: number): number => Math.round(amount / millionth) * millionth

export const estimate = ({ currency, prices }: PriceList, uses: ReadonlyArray<ProviderUse>): CostEstimate => {
  const providers: Array<CostEstimate["providers"][number]> = []
  const unpriced: Array<string> = []
  let total = 0
  for (const use of uses) {
    const { modality, provider_id } = use
    const price = prices.find((one) => one.modality === modality && one.provider_id === provider_id)
    if (price === undefined) {
      unpriced.push(`${modality} ${provider_id}`)
      continue
    }
    const cost = costOf(price, use)
    total += cost
    providers.push({ modality, provider_id, cost: Number(rounded(cost).toFixed(6)) })
  }
  return { currency, total: Number(rounded(total).toFixed(6)), providers, unpriced }
}
