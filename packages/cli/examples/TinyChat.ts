import { adapterOf } from "@rspp/providers/Adapter"
import { failuresOf } from "@rspp/providers/hosted/Failures"
import type { Meaning } from "@rspp/providers/hosted/ServerEvents"
import { serverEvents } from "@rspp/providers/hosted/ServerEvents"
import { hostedSettings, text } from "@rspp/providers/hosted/Settings"
import { LanguageModel } from "@rspp/runtime/ports/LanguageModel"
import { reportUsage } from "@rspp/runtime/ports/ProviderUsage"
import { Effect, Option, Schema } from "effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"

/** As much of an event of this vendor's stream as is used. */
const Chunk = Schema.fromJsonString(Schema.Struct({
  choices: Schema.Array(Schema.Struct({
    delta: Schema.Struct({ content: Schema.optionalKey(Schema.NullOr(Schema.String)) }),
    finish_reason: Schema.NullOr(Schema.String)
  })),
  usage: Schema.optionalKey(Schema.NullOr(Schema.Struct({ completion_tokens: Schema.Int })))
}))
const decode = Schema.decodeUnknownOption(Chunk)

/** The smallest adapter: a language model that streams server-sent events over HTTP. */
export const adapter = adapterOf({
  adapter: "tiny/chat",
  modality: "llm",
  summary: "The example of docs/providers.md",
  documentation: ["https://platform.openai.com/docs/api-reference/chat-streaming"],
  capabilities: {
    streaming: true,
    partials: false,
    timestamps: false,
    cancel: "connection",
    sample_rates: [],
    languages: ["*"],
    cost: "per token"
  },
  settings: Schema.Struct({ ...hostedSettings({ base_url: "https://api.openai.com/v1" }), model: text }),
  environment: { api_key: "TINY_API_KEY", model: "TINY_MODEL" },
  required: ["api_key", "model"],
  make: (provider_id, { api_key, base_url, connect_ms, first_result_ms, model, stall_ms }) =>
    Effect.gen(function*() {
      const client = HttpClient.withScope(yield* HttpClient.HttpClient)
      const failures = failuresOf(provider_id, "the tiny vendor")
      return LanguageModel.of({
        descriptor: { provider_id, modality: "llm", firstResultCapMs: first_result_ms },
        reply: (messages) =>
          serverEvents({
            client,
            failures,
            connectMs: connect_ms,
            headMs: first_result_ms,
            stallMs: stall_ms,
            request: HttpClientRequest.post(`${base_url}/chat/completions`).pipe(
              HttpClientRequest.bearerToken(api_key),
              HttpClientRequest.bodyJsonUnsafe({
                model,
                stream: true,
                stream_options: { include_usage: true },
                messages: messages.map(({ role, text: content }) => ({ role, content }))
              })
            ),
            meaningOf: ({ data }): Effect.Effect<Meaning<string>, typeof failures.malformed> => {
              if (data === "[DONE]") return Effect.succeed({ last: true })
              const chunk = Option.getOrUndefined(decode(data))
              if (chunk === undefined) return Effect.fail(failures.malformed)
              const [choice] = chunk.choices
              const said = choice?.delta.content ?? ""
              const last = typeof choice?.finish_reason === "string"
              const used = reportUsage({ output_tokens: chunk.usage?.completion_tokens ?? 0 })
              return Effect.as(used, said === "" ? { last } : { value: said, last })
            }
          })
      })
    })
})
