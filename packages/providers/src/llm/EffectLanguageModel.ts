import { LanguageModel } from "@rspp/runtime/ports/LanguageModel"
import { measured } from "@rspp/runtime/ports/MeasuredWork"
import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as AiError from "effect/ai/AiError"
import * as AiLanguageModel from "effect/ai/LanguageModel"
import type * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { Failures } from "../hosted/Failures.ts"
import { failuresOf } from "../hosted/Failures.ts"
import { defaultFirstResultMs, defaultStallMs } from "../hosted/Settings.ts"
import type { Conversation } from "./Conversation.ts"
import { conversationOf } from "./Conversation.ts"
import { RunningUsage } from "./RunningUsage.ts"

/** How an Effect model is bound. */
export interface EffectLanguageModelOptions {
  /** The id that pipelines bind, `vendor/model`. */
  readonly provider_id: string
  /** A prompt that is put before the system messages of the conversation. */
  readonly system?: string
  /** How long the first word may take, ms; {@link defaultFirstResultMs} where it is left out. */
  readonly firstResultCapMs?: number
  /** The longest silence between two parts of a reply, ms; {@link defaultStallMs} where it is left out. */
  readonly stallMs?: number
}

const promptOf = ({ system, turns }: Conversation): ReadonlyArray<Prompt.MessageEncoded> => [
  ...(system === undefined ? [] : [{ role: "system" as const, content: system }]),
  ...turns.map(({ role, text }) => ({ role, content: [{ type: "text" as const, text }] }))
]

/** The status of the answer that an error came from, where it came from one. */
const statusOf = (reason: AiError.AiErrorReason): number | undefined =>
  "http" in reason ? reason.http?.response?.status : undefined

/** What an error of `effect/ai` means. Its own words are not repeated: requests and answers are among them. */
const failureOf = (error: AiError.AiError, failures: Failures): ProviderFailure => {
  const { reason, retryAfter } = error
  const retryAfterMs = retryAfter === undefined ? undefined : Duration.toMillis(retryAfter)
  switch (reason._tag) {
    case "RateLimitError":
      return failures.of("overload", true, "the language model takes no more requests for now", retryAfterMs)
    case "QuotaExhaustedError":
      return failures.status(402)
    case "AuthenticationError":
      return failures.of("blocked", false, "the language model did not accept who asked: check its key")
    case "ContentPolicyError":
      return failures.of("blocked", false, "the language model's content filter blocked the conversation")
    case "NetworkError":
      return reason.isRetryable
        ? failures.unreachable
        : failures.of("infrastructure_failure", false, "the request to the language model could not be made")
    case "InternalProviderError":
    case "UnknownError": {
      const status = statusOf(reason)
      return status === undefined
        ? failures.of("infrastructure_failure", true, "the language model failed")
        : failures.status(status, retryAfterMs)
    }
    case "InvalidOutputError":
    case "InvalidResponseError":
      return failures.malformed
    default:
      return failures.of("infrastructure_failure", false, "the language model cannot answer a request like this one")
  }
}

/** What one part of a reply says: words, nothing, or that it failed. */
const wordsOf = (
  part: Response.StreamPart<{}>,
  failures: Failures,
  usage: RunningUsage
): Effect.Effect<string, ProviderFailure> => {
  switch (part.type) {
    case "text-delta":
      return Effect.succeed(part.delta)
    case "finish": {
      const { inputTokens, outputTokens } = part.usage
      const reported = usage.report({ input: inputTokens.total, output: outputTokens.total })
      if (part.reason === "content-filter") {
        return Effect.andThen(
          reported,
          Effect.fail(failures.of("blocked", false, "the language model's content filter blocked the reply"))
        )
      }
      return part.reason === "error"
        ? Effect.andThen(reported, Effect.fail(failures.truncated))
        : Effect.as(reported, "")
    }
    case "error":
      return Effect.fail(
        AiError.isAiError(part.error)
          ? failureOf(part.error, failures)
          : failures.of("infrastructure_failure", true, "the language model broke its reply off with an error")
      )
    default:
      return Effect.succeed("")
  }
}

/**
 * Any language model of Effect's own AI interface (`effect/ai`) as our {@link LanguageModel}: a vendor that RSPP has no
 * adapter for, a local model, a router in front of several.
 *
 * - Text deltas are handed on as they come; thoughts, sources and tools are not spoken.
 * - The conversation reaches the model in the form that every vendor takes ({@link conversationOf}).
 * - What the model says that it used is reported through ProviderUsage.
 * - Interrupting the reply interrupts the model's stream.
 * - It does not retry by itself: the session does. A model that retries too spends the same budget.
 *
 * Failures: rate limits → `overload`, retryable; no quota, a key that is refused, content policy and a reply that a filter
 * stopped → `blocked`; an error of the vendor → by its status, where it has one, else `infrastructure_failure`, retryable;
 * no connection, or an answer that is none → `infrastructure_failure`, retryable; silence for `stallMs` → `timeout`,
 * retryable; a request that cannot work → `infrastructure_failure`, not retryable. The words of an AiError are not repeated.
 *
 * The session's clock takes what the model does for real work ({@link measured}): a scripted model that sleeps on Effect's
 * clock is for virtual time of tests (TestClock), not for `--speed max`.
 *
 * Not done: tools. A model with a toolkit of its own resolves them itself before it speaks.
 *
 * @example
 * ```ts
 * const mine = Layer.provide(EffectLanguageModel.layer({ provider_id: "mine/model" }), myAiModel)
 * // Bound in a pipeline as `llm: mine/model`; test/examples/effect-model.test.ts runs a call with it.
 * ```
 */
export const make = (options: EffectLanguageModelOptions) =>
  Effect.map(AiLanguageModel.LanguageModel, (model) => {
    const { firstResultCapMs = defaultFirstResultMs, provider_id, stallMs = defaultStallMs, system } = options
    const failures = failuresOf(provider_id, "the language model")
    return LanguageModel.of({
      descriptor: { provider_id, modality: "llm", firstResultCapMs },
      reply: (messages) =>
        Stream.suspend(() => {
          const usage = new RunningUsage()
          const parts = Stream.mapError(
            model.streamText({ prompt: promptOf(conversationOf(messages, system)) }),
            (error) => failureOf(error, failures)
          )
          return Stream.transformPull(parts, (pull) =>
            Effect.succeed(
              Effect.timeoutOrElse(measured(pull), {
                duration: stallMs,
                orElse: () => Effect.fail(failures.stalled(stallMs))
              })
            )).pipe(
              Stream.mapEffect((part) => wordsOf(part, failures, usage)),
              Stream.filter((words) => words !== "")
            )
        })
    })
  })

/** {@link make} as a Layer, over the model that `effect/ai` calls LanguageModel. */
export const layer = (
  options: EffectLanguageModelOptions
): Layer.Layer<LanguageModel, never, AiLanguageModel.LanguageModel> => Layer.effect(LanguageModel, make(options))
