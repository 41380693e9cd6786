import type { InvocationFacts } from "@rspp/contracts/Timeline"
import * as Context from "effect/Context"

/** Who is behind a provider, as the conventions for generative AI call it. */
export interface ModelName {
  /** `gen_ai.provider.name`: `openai`, `anthropic`, `gcp.gemini`, … */
  readonly provider?: string
  /** `gen_ai.request.model`, as it is asked for. */
  readonly model?: string
}

/** What is known of the models behind the ids of providers; nothing by default. */
export const ModelNames = Context.Reference<(providerId: string) => ModelName | undefined>("rspp/ModelNames", {
  defaultValue: () => () => undefined
})

/**
 * The attributes of a language model's call in OpenTelemetry's conventions for generative AI (status: development), as far
 * as the facts are there. No message, no instruction, no text of either side.
 */
export const genAiAttributes = (
  { first_result_ms, modality, outcome_class, provider_id, started_ms, usage }: InvocationFacts,
  name: ModelName | undefined
): Readonly<Record<string, string | number | boolean | undefined>> => {
  if (modality !== "llm") return {}
  return {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": name?.provider ?? provider_id,
    "gen_ai.request.model": name?.model,
    "gen_ai.request.stream": true,
    "gen_ai.output.type": "text",
    "gen_ai.usage.input_tokens": usage?.input_tokens,
    "gen_ai.usage.output_tokens": usage?.output_tokens,
    // In seconds, as the convention has it.
    "gen_ai.response.time_to_first_chunk": first_result_ms === undefined || outcome_class !== "success"
      ? undefined
      : (first_result_ms - started_ms) / 1000
  }
}
