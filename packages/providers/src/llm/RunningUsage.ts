import { reportUsage } from "@rspp/runtime/ports/ProviderUsage"
import * as Effect from "effect/Effect"

/** Counts of a vendor that says again and again how many tokens a call has used so far. */
export interface TokensSoFar {
  readonly input?: number | null | undefined
  readonly output?: number | null | undefined
}

/**
 * Reports one call's tokens as they grow: vendors tell totals, and what is reported adds up. A total that is missing, or
 * lower than it was, reports nothing.
 */
export class RunningUsage {
  #input = 0
  #output = 0

  readonly report = ({ input, output }: TokensSoFar): Effect.Effect<void> => {
    const [newInput, newOutput] = [Math.max(this.#input, input ?? 0), Math.max(this.#output, output ?? 0)]
    const [input_tokens, output_tokens] = [newInput - this.#input, newOutput - this.#output]
    if (input_tokens === 0 && output_tokens === 0) return Effect.void
    this.#input = newInput
    this.#output = newOutput
    return reportUsage({
      ...(input_tokens === 0 ? {} : { input_tokens }),
      ...(output_tokens === 0 ? {} : { output_tokens })
    })
  }
}
