import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import * as Effect from "effect/Effect"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { adapterOf } from "../Adapter.ts"
import type { Failures } from "../hosted/Failures.ts"
import { failuresOf } from "../hosted/Failures.ts"
import type { Meaning } from "../hosted/ServerEvents.ts"
import { byDefault, hostedSettings, text, withoutSlash } from "../hosted/Settings.ts"
import { ProviderUnavailable } from "../ProviderUnavailable.ts"
import type { Conversation } from "./Conversation.ts"
import { count, hostedLanguageModel, languageModelSettings } from "./HostedLanguageModel.ts"
import type { RunningUsage } from "./RunningUsage.ts"

const modelName = text.check(Schema.isPattern(/^[\w.-]+$/u))

/**
 * - `thinking_budget`: tokens that the model may think before it speaks, which a caller hears as silence (0: none, -1: as
 *   it likes), for models up to Gemini 2.5; `thinking_level`: the same in words, for Gemini 3 and later. One of the two.
 *   Left out: as little as the model allows ({@link quickest}).
 */
const Settings = Schema.Struct({
  ...hostedSettings({ base_url: "https://generativelanguage.googleapis.com" }),
  ...languageModelSettings,
  model: byDefault(modelName, "gemini-3.5-flash-lite"),
  thinking_budget: Schema.optionalKey(count(-1)),
  thinking_level: Schema.optionalKey(Schema.Literals(["minimal", "low", "medium", "high"]))
})

interface Thinking {
  readonly thinkingBudget?: number
  readonly thinkingLevel?: string
}

/**
 * How a model answers soonest, by its name: not thinking where it can be turned off, else the least. A model that is not
 * known is left as it is.
 */
const quickest = (model: string): Thinking | undefined => {
  if (model.startsWith("gemini-2.5-flash")) return { thinkingBudget: 0 }
  if (model.startsWith("gemini-2.5-pro")) return { thinkingBudget: 128 }
  if (/^gemini-3[\d.]*-flash-lite/u.test(model)) return { thinkingLevel: "MINIMAL" }
  return /^gemini-[3-9]/u.test(model) ? { thinkingLevel: "LOW" } : undefined
}

const thinkingOf = ({ model, thinking_budget, thinking_level }: typeof Settings.Type): Thinking | undefined => {
  if (thinking_budget !== undefined) return { thinkingBudget: thinking_budget }
  return thinking_level === undefined ? quickest(model) : { thinkingLevel: thinking_level.toUpperCase() }
}

const tokens = Schema.optionalKey(Schema.Finite)

const VendorError = Schema.Struct({
  code: Schema.Finite,
  status: Schema.optionalKey(Schema.String),
  details: Schema.optionalKey(Schema.Array(Schema.Struct({
    reason: Schema.optionalKey(Schema.String),
    retryDelay: Schema.optionalKey(Schema.String)
  })))
})

/** One event: as much of it as is used. */
const Chunk = Schema.Struct({
  candidates: Schema.optionalKey(Schema.Array(Schema.Struct({
    content: Schema.optionalKey(Schema.Struct({
      parts: Schema.optionalKey(Schema.Array(Schema.Struct({
        text: Schema.optionalKey(Schema.String),
        thought: Schema.optionalKey(Schema.Boolean)
      })))
    })),
    finishReason: Schema.optionalKey(Schema.String)
  }))),
  promptFeedback: Schema.optionalKey(Schema.Struct({ blockReason: Schema.optionalKey(Schema.String) })),
  usageMetadata: Schema.optionalKey(Schema.Struct({
    promptTokenCount: tokens,
    candidatesTokenCount: tokens,
    thoughtsTokenCount: tokens
  })),
  error: Schema.optionalKey(VendorError)
})

const Refusal = Schema.Struct({ error: VendorError })

const decodeChunk = Schema.decodeUnknownOption(Schema.fromJsonString(Chunk))
const decodeRefusal = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Union([Refusal, Schema.NonEmptyArray(Refusal)]))
)

/** `22s`, `0.5s`: ms. */
const delayOf = (said: string | undefined): number | undefined => {
  const seconds = /^(\d+(?:\.\d+)?)s$/u.exec(said ?? "")?.[1]
  return seconds === undefined ? undefined : Math.round(Number(seconds) * 1000)
}

/** The vendor says a wrong key, an account without billing and how long to wait in the body, not in status and headers. */
const failureOf = (error: typeof VendorError.Type, failures: Failures): ProviderFailure => {
  const { code, details = [], status } = error
  if (details.some(({ reason }) => reason === "API_KEY_INVALID")) return failures.status(401)
  if (status === "FAILED_PRECONDITION") {
    return failures.of("blocked", false, "Google does not serve this account: check its billing and its region")
  }
  return failures.status(code, delayOf(details.find(({ retryDelay }) => retryDelay !== undefined)?.retryDelay))
}

/** Ends of a reply that is complete, or as long as it may be. */
const regular = ["STOP", "MAX_TOKENS"]

/** Ends by a filter. */
const filtered = [
  "SAFETY",
  "RECITATION",
  "LANGUAGE",
  "BLOCKLIST",
  "PROHIBITED_CONTENT",
  "SPII",
  "IMAGE_SAFETY",
  "IMAGE_PROHIBITED_CONTENT",
  "IMAGE_RECITATION"
]

const endOf = (chunk: typeof Chunk.Type, failures: Failures): Effect.Effect<boolean, ProviderFailure> => {
  if ((chunk.promptFeedback?.blockReason ?? "") !== "") {
    return Effect.fail(failures.of("blocked", false, "Google's filter blocked the conversation"))
  }
  const reason = chunk.candidates?.[0]?.finishReason ?? "FINISH_REASON_UNSPECIFIED"
  if (reason === "FINISH_REASON_UNSPECIFIED") return Effect.succeed(false)
  if (regular.includes(reason)) return Effect.succeed(true)
  return Effect.fail(
    filtered.includes(reason)
      ? failures.of("blocked", false, "Google's filter blocked the reply")
      : failures.of("infrastructure_failure", true, "Google's model broke its reply off")
  )
}

const meaningOf = (
  data: string,
  failures: Failures,
  usage: RunningUsage
): Effect.Effect<Meaning<string>, ProviderFailure> => {
  const chunk = Option.getOrUndefined(decodeChunk(data))
  if (chunk === undefined) return Effect.fail(failures.malformed)
  if (chunk.error !== undefined) return Effect.fail(failureOf(chunk.error, failures))
  const { candidatesTokenCount = 0, promptTokenCount, thoughtsTokenCount = 0 } = chunk.usageMetadata ?? {}
  const said = (chunk.candidates?.[0]?.content?.parts ?? [])
    .map(({ text: words = "", thought = false }) => thought ? "" : words)
    .join("")
  return usage.report({ input: promptTokenCount, output: candidatesTokenCount + thoughtsTokenCount }).pipe(
    Effect.andThen(endOf(chunk, failures)),
    Effect.map((last) => said === "" ? { last } : { value: said, last })
  )
}

const bodyOf = (settings: typeof Settings.Type, { system, turns }: Conversation) => {
  const { max_tokens, temperature } = settings
  const thinkingConfig = thinkingOf(settings)
  return {
    ...(system === undefined ? {} : { systemInstruction: { parts: [{ text: system }] } }),
    contents: turns.map(({ role, text: words }) => ({
      role: role === "assistant" ? "model" : role,
      parts: [{ text: words }]
    })),
    generationConfig: {
      ...(max_tokens === undefined ? {} : { maxOutputTokens: max_tokens }),
      ...(temperature === undefined ? {} : { temperature }),
      ...(thinkingConfig === undefined ? {} : { thinkingConfig })
    }
  }
}

/** Google's models by `models/{model}:streamGenerateContent?alt=sse` of the Gemini API. */
export const adapter = adapterOf({
  adapter: "google/gemini",
  modality: "llm",
  summary: "Google's Gemini models, by the Gemini API's event stream",
  documentation: [
    "https://ai.google.dev/api/generate-content",
    "https://ai.google.dev/gemini-api/docs/thinking",
    "https://ai.google.dev/gemini-api/docs/troubleshooting"
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
  environment: { api_key: "GEMINI_API_KEY", base_url: "GOOGLE_GEMINI_BASE_URL", model: "GEMINI_MODEL" },
  required: ["api_key"],
  make: (provider_id, settings) => {
    if (settings.thinking_budget !== undefined && settings.thinking_level !== undefined) {
      return Effect.fail(
        new ProviderUnavailable({
          provider_id,
          message: "Gemini models take a thinking budget or a thinking level, not both",
          remedy: `Leave thinking_budget or thinking_level of ${provider_id} out`
        })
      )
    }
    const failures = failuresOf(provider_id, "Google")
    const url = `${withoutSlash(settings.base_url)}/v1beta/models/${settings.model}:streamGenerateContent?alt=sse`
    return hostedLanguageModel(provider_id, settings, {
      failures,
      request: (conversation) =>
        HttpClientRequest.post(url).pipe(
          HttpClientRequest.accept("text/event-stream"),
          HttpClientRequest.setHeader("x-goog-api-key", Redacted.value(settings.api_key)),
          HttpClientRequest.bodyJsonUnsafe(bodyOf(settings, conversation))
        ),
      meanings: (usage) => ({ data }) => meaningOf(data, failures, usage),
      refused: ({ body }) =>
        Option.getOrUndefined(
          Option.map(decodeRefusal(body), (said) => failureOf("error" in said ? said.error : said[0].error, failures))
        )
    })
  }
})
