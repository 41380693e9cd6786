import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import * as Effect from "effect/Effect"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { adapterOf } from "../Adapter.ts"
import type { Failures } from "../hosted/Failures.ts"
import { failuresOf } from "../hosted/Failures.ts"
import { creditFailure, openAiErrorIn, openAiErrorOf } from "../hosted/OpenAiErrors.ts"
import type { OpenAiError } from "../hosted/OpenAiErrors.ts"
import type { Meaning } from "../hosted/ServerEvents.ts"
import { byDefault, flag, hostedSettings, text, withoutSlash } from "../hosted/Settings.ts"
import type { Conversation } from "./Conversation.ts"
import { hostedLanguageModel, languageModelSettings } from "./HostedLanguageModel.ts"
import type { RunningUsage } from "./RunningUsage.ts"

const shared = hostedSettings({ base_url: "https://api.openai.com/v1" })

/**
 * `base_url` ends before `/chat/completions` (usually in `/v1`). Local servers often want no key.
 *
 * - `include_usage`: asks for the tokens used (`stream_options`). On by default; off for a server that refuses the
 *   question. Servers that do not answer it do no harm.
 * - `reasoning_effort`: handed on to models that reason, in their server's words (`none`, `minimal`, `low` …).
 */
const Settings = Schema.Struct({
  ...shared,
  ...languageModelSettings,
  api_key: Schema.optionalKey(shared.api_key),
  include_usage: byDefault(flag, true),
  model: text,
  reasoning_effort: Schema.optionalKey(text)
})

const nullable = <S extends Schema.Constraint>(schema: S) => Schema.optionalKey(Schema.NullOr(schema))

/** One event of a streamed chat completion: as much of it as is used. */
const Chunk = Schema.Struct({
  choices: nullable(Schema.Array(Schema.Struct({
    delta: nullable(Schema.Struct({ content: nullable(Schema.String), refusal: nullable(Schema.String) })),
    finish_reason: nullable(Schema.String)
  }))),
  usage: nullable(Schema.Struct({
    prompt_tokens: nullable(Schema.Finite),
    completion_tokens: nullable(Schema.Finite)
  })),
  error: nullable(Schema.Unknown)
})

const decodeChunk = Schema.decodeUnknownOption(Schema.fromJsonString(Chunk))

/** Codes of refusals whose status says too little. */
const filtered: ReadonlyArray<unknown> = ["content_filter", "content_policy_violation"]

const blockedBy = (error: OpenAiError, failures: Failures): ProviderFailure | undefined =>
  [error.code, error.type].some((code) => filtered.includes(code))
    ? failures.of("blocked", false, "the language model server's content filter blocked the conversation")
    : creditFailure(error, failures)

/** An error in the middle of a stream; some servers put a status there. */
const errorInBand = (said: unknown, failures: Failures): ProviderFailure => {
  const error = Option.getOrElse(openAiErrorOf(said), (): OpenAiError => ({}))
  const status = Number(error.code)
  return blockedBy(error, failures) ??
    (error.code === "rate_limit_exceeded"
      ? failures.status(429)
      : status >= 400 && status < 600
      ? failures.status(status)
      : failures.of("infrastructure_failure", true, "the language model server broke its reply off with an error"))
}

const meaningOf = (
  data: string,
  failures: Failures,
  usage: RunningUsage
): Effect.Effect<Meaning<string>, ProviderFailure> => {
  if (data === "[DONE]") return Effect.succeed({ last: true })
  const chunk = Option.getOrUndefined(decodeChunk(data))
  if (chunk === undefined) return Effect.fail(failures.malformed)
  if (chunk.error !== undefined && chunk.error !== null) return Effect.fail(errorInBand(chunk.error, failures))
  const choice = chunk.choices?.[0]
  const reason = choice?.finish_reason ?? ""
  if (reason === "content_filter" || (choice?.delta?.refusal ?? "") !== "") {
    return Effect.fail(failures.of("blocked", false, "the language model server's content filter blocked the reply"))
  }
  const said = choice?.delta?.content ?? ""
  const last = reason !== ""
  const meaning = said === "" ? { last } : { value: said, last }
  if (chunk.usage === undefined || chunk.usage === null) return Effect.succeed(meaning)
  const { completion_tokens: output, prompt_tokens: input } = chunk.usage
  return Effect.as(usage.report({ input, output }), meaning)
}

const bodyOf = (settings: typeof Settings.Type, { system, turns }: Conversation) => {
  const { include_usage, max_tokens, model, reasoning_effort, temperature } = settings
  // OpenAI itself has renamed it; the others still know only the old name.
  const limit = /^api\.openai\.com$/u.test(new URL(settings.base_url).hostname) ? "max_completion_tokens" : "max_tokens"
  return {
    model,
    stream: true,
    ...(include_usage ? { stream_options: { include_usage } } : {}),
    ...(max_tokens === undefined ? {} : { [limit]: max_tokens }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(reasoning_effort === undefined ? {} : { reasoning_effort }),
    messages: [
      ...(system === undefined ? [] : [{ role: "system", content: system }]),
      ...turns.map(({ role, text: content }) => ({ role, content }))
    ]
  }
}

/**
 * A model behind any server that speaks OpenAI's `POST /chat/completions` with `stream: true`: OpenAI, Ollama, vLLM,
 * llama.cpp's server, OpenRouter, Groq and others.
 */
export const adapter = adapterOf({
  adapter: "openai/compatible",
  modality: "llm",
  summary: "Any OpenAI-compatible chat completions server: OpenAI, Ollama, vLLM, llama.cpp, OpenRouter, Groq",
  documentation: [
    "https://platform.openai.com/docs/api-reference/chat/create",
    "https://platform.openai.com/docs/api-reference/chat-streaming",
    "https://platform.openai.com/docs/guides/error-codes"
  ],
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
  make: (provider_id, settings) => {
    const failures = failuresOf(provider_id, "the language model server")
    return hostedLanguageModel(provider_id, settings, {
      failures,
      request: (conversation) =>
        HttpClientRequest.post(`${withoutSlash(settings.base_url)}/chat/completions`).pipe(
          HttpClientRequest.accept("text/event-stream"),
          settings.api_key === undefined ? (same) => same : HttpClientRequest.bearerToken(settings.api_key),
          HttpClientRequest.bodyJsonUnsafe(bodyOf(settings, conversation))
        ),
      meanings: (usage) => ({ data }) => meaningOf(data, failures, usage),
      refused: ({ body }) => {
        const error = openAiErrorIn(body)
        return error === undefined ? undefined : blockedBy(error, failures)
      }
    })
  }
})
