import { LanguageModel } from "@rspp/runtime/ports/LanguageModel"
import type { Message } from "@rspp/runtime/ports/LanguageModel"
import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { adapterOf } from "../Adapter.ts"
import type { Failures } from "../hosted/Failures.ts"
import { failuresOf } from "../hosted/Failures.ts"
import type { Meaning } from "../hosted/ServerEvents.ts"
import { serverEvents } from "../hosted/ServerEvents.ts"
import { hostedSettings, text, withoutSlash } from "../hosted/Settings.ts"

const shared = hostedSettings({ base_url: "https://api.openai.com/v1" })

/** `base_url` ends before `/chat/completions` (usually in `/v1`). Local servers often want no key. */
const Settings = Schema.Struct({ ...shared, api_key: Schema.optionalKey(shared.api_key), model: text })

/** One event of a streamed chat completion: as much of it as is used. */
const Chunk = Schema.Struct({
  choices: Schema.optionalKey(Schema.Array(Schema.Struct({
    delta: Schema.optionalKey(Schema.Struct({ content: Schema.optionalKey(Schema.NullOr(Schema.String)) })),
    finish_reason: Schema.optionalKey(Schema.NullOr(Schema.String))
  }))),
  error: Schema.optionalKey(Schema.Unknown)
})

const decodeChunk = Schema.decodeUnknownOption(Schema.fromJsonString(Chunk))

const meaningOf = (data: string, failures: Failures): Effect.Effect<Meaning<string>, ProviderFailure> => {
  if (data === "[DONE]") return Effect.succeed({ last: true })
  const chunk = Option.getOrUndefined(decodeChunk(data))
  if (chunk === undefined) return Effect.fail(failures.malformed)
  if (chunk.error !== undefined) {
    return Effect.fail(
      failures.of("infrastructure_failure", true, "the language model server broke its reply off with an error")
    )
  }
  const choice = chunk.choices?.[0]
  if (choice?.finish_reason === "content_filter") {
    return Effect.fail(failures.of("blocked", false, "the language model server's content filter blocked the reply"))
  }
  const said = choice?.delta?.content ?? ""
  const last = choice?.finish_reason !== undefined && choice.finish_reason !== null
  return Effect.succeed(said === "" ? { last } : { value: said, last })
}

/**
 * A model behind any server that speaks OpenAI's `POST /chat/completions` with `stream: true`, as {@link LanguageModel}:
 * OpenAI, Ollama, vLLM, llama.cpp's server, OpenRouter, Groq and others.
 *
 * It does not retry by itself: the session does. Interrupting closes the connection. The key appears in no message and no
 * error.
 */
export const adapter = adapterOf({
  adapter: "openai/compatible",
  modality: "llm",
  summary: "Any OpenAI-compatible chat completions server: OpenAI, Ollama, vLLM, llama.cpp, OpenRouter, Groq",
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
  settings: Settings,
  environment: { base_url: "RSPP_LLM_BASE_URL", model: "RSPP_LLM_MODEL", api_key: "RSPP_LLM_API_KEY" },
  required: ["base_url", "model"],
  make: (provider_id, settings) =>
    Effect.gen(function*() {
      const client = HttpClient.withScope(yield* HttpClient.HttpClient)
      const failures = failuresOf(provider_id, "the language model server")
      const url = `${withoutSlash(settings.base_url)}/chat/completions`
      const request = (messages: ReadonlyArray<Message>) =>
        HttpClientRequest.post(url).pipe(
          HttpClientRequest.accept("text/event-stream"),
          settings.api_key === undefined ? (same) => same : HttpClientRequest.bearerToken(settings.api_key),
          HttpClientRequest.bodyJsonUnsafe({
            model: settings.model,
            stream: true,
            messages: messages.map(({ role, text: content }) => ({ role, content }))
          })
        )
      return LanguageModel.of({
        descriptor: { provider_id, modality: "llm", firstResultCapMs: settings.first_result_ms },
        reply: (messages) =>
          serverEvents({
            client,
            request: request(messages),
            failures,
            headMs: settings.first_result_ms,
            stallMs: settings.stall_ms,
            meaningOf: ({ data }) => meaningOf(data, failures)
          })
      })
    })
})
