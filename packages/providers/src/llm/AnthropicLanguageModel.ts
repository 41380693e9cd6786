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

/** The last version of the API that takes a temperature. */
const versionWithTemperature = "2023-06-01"

/**
 * - `version`: the `anthropic-version` of the API. A `temperature` needs "2023-06-01": later versions refuse it.
 * - `max_tokens`: the vendor wants one; thinking counts.
 * - `thinking`: whether the model thinks before it speaks, which a caller hears as silence. Left out: as little as the
 *   model allows ({@link quickest}); "default" leaves it to the model.
 * - `effort`: how much the model takes on.
 */
const Settings = Schema.Struct({
  ...hostedSettings({ base_url: "https://api.anthropic.com" }),
  ...languageModelSettings,
  model: byDefault(text, "claude-haiku-5-5"),
  version: byDefault(text, "2026-10-21"),
  max_tokens: byDefault(count(1), 1024),
  thinking: Schema.optionalKey(Schema.Literals(["default", "disabled", "between_tools", "adaptive"])),
  effort: Schema.optionalKey(Schema.Literals(["low", "medium", "high", "xhigh", "max"]))
})

interface Pace {
  readonly thinking?: { readonly type: "disabled" | "between_tools" | "adaptive" }
  readonly output_config?: { readonly effort: string }
}

/**
 * How a model answers soonest, by its name: those that can stop thinking do; the rest take on as little as they can. A
 * model that is not known is left as it is.
 */
const quickest = (model: string): Pace => {
  if (/^claude-(?:fable|mythos|opus-5-5)/u.test(model)) return { output_config: { effort: "low" } }
  if (model.startsWith("claude-sonnet-5-5")) return { thinking: { type: "between_tools" } }
  return /^claude-(?:haiku|opus|sonnet)-/u.test(model) ? { thinking: { type: "disabled" } } : {}
}

const paceOf = ({ effort, model, thinking }: typeof Settings.Type): Pace => ({
  ...(thinking === undefined ? quickest(model) : thinking === "default" ? {} : { thinking: { type: thinking } }),
  ...(effort === undefined ? {} : { output_config: { effort } })
})

const tokens = Schema.optionalKey(Schema.NullOr(Schema.Finite))

const Usage = Schema.Struct({
  input_tokens: tokens,
  cache_creation_input_tokens: tokens,
  cache_read_input_tokens: tokens,
  output_tokens: tokens
})

const VendorError = Schema.Struct({ type: Schema.String })

/** The events that are used, as much of them as is used; others are passed over, as the vendor asks for. */
const Event = Schema.Struct({
  type: Schema.String,
  message: Schema.optionalKey(Schema.Struct({ usage: Schema.optionalKey(Usage) })),
  delta: Schema.optionalKey(Schema.Struct({
    type: Schema.optionalKey(Schema.String),
    text: Schema.optionalKey(Schema.String),
    stop_reason: Schema.optionalKey(Schema.NullOr(Schema.String))
  })),
  usage: Schema.optionalKey(Usage),
  error: Schema.optionalKey(VendorError)
})

const decodeEvent = Schema.decodeUnknownOption(Schema.fromJsonString(Event))
const decodeRefusal = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Struct({ error: VendorError })))

/** Statuses of the vendor's types of errors, for those that come without a status of their own. */
const statuses: Readonly<Record<string, number>> = {
  invalid_request_error: 400,
  authentication_error: 401,
  billing_error: 402,
  permission_error: 403,
  not_found_error: 404,
  request_too_large: 413,
  rate_limit_error: 429,
  api_error: 500,
  timeout_error: 504,
  overloaded_error: 529
}

const failureOf = (type: string, failures: Failures, retryAfterMs?: number): ProviderFailure | undefined => {
  const status = statuses[type]
  return status === undefined ? undefined : failures.status(status, retryAfterMs)
}

const report = (usage: RunningUsage, said: typeof Usage.Type | undefined): Effect.Effect<void> => {
  if (said === undefined) return Effect.void
  const { cache_creation_input_tokens, cache_read_input_tokens, input_tokens, output_tokens } = said
  return usage.report({
    input: (input_tokens ?? 0) + (cache_creation_input_tokens ?? 0) + (cache_read_input_tokens ?? 0),
    output: output_tokens
  })
}

const meaningOf = (
  data: string,
  failures: Failures,
  usage: RunningUsage
): Effect.Effect<Meaning<string>, ProviderFailure> => {
  const event = Option.getOrUndefined(decodeEvent(data))
  if (event === undefined) return Effect.fail(failures.malformed)
  switch (event.type) {
    case "error":
      return Effect.fail(
        failureOf(event.error?.type ?? "", failures) ??
          failures.of("infrastructure_failure", true, "Anthropic broke its reply off with an error")
      )
    case "message_start":
      return Effect.as(report(usage, event.message?.usage), {})
    case "content_block_delta":
      return Effect.succeed(
        event.delta?.type === "text_delta" && event.delta.text !== undefined && event.delta.text !== ""
          ? { value: event.delta.text }
          : {}
      )
    case "message_delta": {
      const reason = event.delta?.stop_reason ?? undefined
      if (reason === "refusal") {
        return Effect.andThen(
          report(usage, event.usage),
          Effect.fail(failures.of("blocked", false, "Anthropic's model refused to reply"))
        )
      }
      return Effect.as(report(usage, event.usage), { last: reason !== undefined })
    }
    case "message_stop":
      return Effect.succeed({ last: true })
    default:
      return Effect.succeed({})
  }
}

const bodyOf = (settings: typeof Settings.Type, { system, turns }: Conversation) => ({
  model: settings.model,
  max_tokens: settings.max_tokens,
  stream: true,
  ...(settings.temperature === undefined ? {} : { temperature: settings.temperature }),
  ...paceOf(settings),
  ...(system === undefined ? {} : { system }),
  messages: turns.map(({ role, text: content }) => ({ role, content }))
})

/** Anthropic's models by `POST /v1/messages` with `stream: true`. */
export const adapter = adapterOf({
  adapter: "anthropic/messages",
  modality: "llm",
  summary: "Anthropic's models, by its messages stream",
  documentation: [
    "https://platform.claude.com/docs/en/api/messages",
    "https://platform.claude.com/docs/en/build-with-claude/streaming",
    "https://platform.claude.com/docs/en/build-with-claude/thinking",
    "https://platform.claude.com/docs/en/api/errors",
    "https://platform.claude.com/docs/en/api/versioning"
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
  environment: { api_key: "ANTHROPIC_API_KEY", base_url: "ANTHROPIC_BASE_URL", model: "ANTHROPIC_MODEL" },
  required: ["api_key"],
  make: (provider_id, settings) => {
    if (settings.temperature !== undefined && settings.version > versionWithTemperature) {
      return Effect.fail(
        new ProviderUnavailable({
          provider_id,
          message: `Version ${settings.version} of Anthropic's API takes no temperature`,
          remedy: `Leave the temperature of ${provider_id} out, or set its version to ${versionWithTemperature}`
        })
      )
    }
    const failures = failuresOf(provider_id, "Anthropic")
    return hostedLanguageModel(provider_id, settings, {
      failures,
      request: (conversation) =>
        HttpClientRequest.post(`${withoutSlash(settings.base_url)}/v1/messages`).pipe(
          HttpClientRequest.accept("text/event-stream"),
          HttpClientRequest.setHeaders({
            "anthropic-version": settings.version,
            "x-api-key": Redacted.value(settings.api_key)
          }),
          HttpClientRequest.bodyJsonUnsafe(bodyOf(settings, conversation))
        ),
      meanings: (usage) => ({ data }) => meaningOf(data, failures, usage),
      refused: ({ body, retryAfterMs }) =>
        Option.getOrUndefined(
          Option.flatMap(decodeRefusal(body), ({ error }) =>
            Option.fromUndefinedOr(failureOf(error.type, failures, retryAfterMs)))
        )
    })
  }
})
