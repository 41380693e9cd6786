import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/** What one provider call used, as far as the provider says it. All are counts from 0 up; what is not known is absent. */
export interface Usage {
  /** Tokens that a language model read, those that it had cached included. */
  readonly input_tokens?: number
  /** Tokens that a language model wrote, those that nobody sees included. */
  readonly output_tokens?: number
  /** Characters that a voice was given to speak, as its vendor counts them. */
  readonly characters?: number
  /** Sound that was recognised or made, ms. */
  readonly audio_ms?: number
  /** Requests that the adapter made for this call besides the first: hedged ones, and ones that it sent again. */
  readonly attempts?: number
}

/**
 * Tells how much a provider call used, for its facts on record and for its bill.
 *
 * An adapter reports to it as soon as it knows something, in as many parts as it likes: what is reported adds up. What is
 * reported after the call has ended is nobody's. Outside of a call it does nothing. A value that is no number from 0 up
 * is passed over; a fraction is rounded.
 *
 * From an effect or a stream of the call: `reportUsage({ characters: 12 })`. From a callback: `const usage = yield*
 * ProviderUsage` within the call, and then `usage.report({ … })`.
 */
export const ProviderUsage = Context.Reference<{ readonly report: (usage: Usage) => void }>("rspp/ProviderUsage", {
  defaultValue: () => ({ report: () => {} })
})

/** Reports to {@link ProviderUsage}. */
export const reportUsage = (usage: Usage): Effect.Effect<void> =>
  Effect.map(ProviderUsage, ({ report }) => report(usage))

const names = ["input_tokens", "output_tokens", "characters", "audio_ms", "attempts"] as const

/** The parts of one call's usage, added up. */
export class UsageSum {
  #sum: { -readonly [K in keyof Usage]: Usage[K] } | undefined
  #closed = false

  readonly report = (usage: Usage): void => {
    if (this.#closed) return
    for (const name of names) {
      const part = usage[name]
      if (part === undefined || !Number.isFinite(part) || part < 0) continue
      this.#sum ??= {}
      this.#sum[name] = Math.min(Number.MAX_SAFE_INTEGER, (this.#sum[name] ?? 0) + Math.round(part))
    }
  }

  /** Everything that was reported, undefined when nothing was. Nothing is taken any more. */
  close(): Usage | undefined {
    this.#closed = true
    return this.#sum
  }
}
