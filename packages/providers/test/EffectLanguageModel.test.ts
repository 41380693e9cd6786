import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Fiber, Layer, Stream } from "effect"
import * as AiError from "effect/ai/AiError"
import * as AiLanguageModel from "effect/ai/LanguageModel"
import type * as Response from "effect/ai/Response"
import { TestClock } from "effect/testing"
import type { EffectLanguageModelOptions } from "@rspp/providers/llm/EffectLanguageModel"
import { layer, make } from "@rspp/providers/llm/EffectLanguageModel"
import type { Message } from "@rspp/runtime/ports/LanguageModel"
import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import { languageModelConformance } from "./conformance/LanguageModel.ts"
import { asked, hello, key } from "./support/AskedModel.ts"

type Part = Response.StreamPartEncoded

const said = (delta: string): Part => ({ type: "text-delta", id: "1", delta })

const finish = (reason: Response.FinishReason, input = 12, output = 4): Part => ({
  type: "finish",
  reason,
  usage: { inputTokens: { total: input }, outputTokens: { total: output } }
})

const spoken = (...words: ReadonlyArray<string>): ReadonlyArray<Part> => [
  { type: "text-start", id: "1" },
  ...words.map(said),
  { type: "text-end", id: "1" }
]

/** A scripted model of `effect/ai`, and the prompts that it got. */
const scripted = (stream: Stream.Stream<Part, AiError.AiError>) => {
  const prompts: Array<unknown> = []
  const model = AiLanguageModel.make({
    generateText: () => Effect.succeed([]),
    streamText: ({ prompt }) => {
      prompts.push(prompt.content.map(({ content, role }) => [
        role,
        typeof content === "string" ? content : content.map((part) => part.type === "text" ? part.text : part.type)
      ]))
      return stream
    }
  })
  return { model, prompts }
}

const modelOf = (
  stream: Stream.Stream<Part, AiError.AiError>,
  options: Partial<EffectLanguageModelOptions> = {}
) => {
  const { model, prompts } = scripted(stream)
  const ours = Effect.flatMap(
    model,
    (service) =>
      Effect.provideService(make({ provider_id: "mine/model", ...options }), AiLanguageModel.LanguageModel, service)
  )
  return Effect.map(ours, (model) => ({ model, prompts }))
}

const callOf = (stream: Stream.Stream<Part, AiError.AiError>, messages?: ReadonlyArray<Message>) =>
  Effect.flatMap(modelOf(stream), ({ model }) => asked(model, messages))

const errorOf = (reason: AiError.AiErrorReason) => AiError.make({ module: "Mine", method: "streamText", reason })

languageModelConformance({
  name: "a model of effect/ai",
  layer: Layer.provide(
    layer({ provider_id: "mine/model" }),
    Layer.effect(
      AiLanguageModel.LanguageModel,
      scripted(Stream.fromIterable([...spoken("Good ", "day ", "to you."), finish("stop")])).model
    )
  ),
  messages: hello
})

describe("A language model of effect/ai", () => {
  it.effect("streams its words, and tells what it used", () =>
    Effect.gen(function*() {
      const parts: ReadonlyArray<Part> = [
        { type: "reasoning-start", id: "0" },
        { type: "reasoning-delta", id: "0", delta: "Hm." },
        { type: "reasoning-end", id: "0" },
        ...spoken("Hi", "", " there."),
        finish("stop")
      ]
      const { failure, pieces, used } = yield* callOf(Stream.fromIterable(parts))
      assert.isUndefined(failure)
      assert.deepStrictEqual(pieces, ["Hi", " there."])
      assert.deepStrictEqual(used, { input_tokens: 12, output_tokens: 4 })
    }))

  it.effect("is asked in the form that every vendor takes", () =>
    Effect.gen(function*() {
      const { model, prompts } = yield* modelOf(Stream.fromIterable([finish("stop")]), { system: "First." })
      yield* asked(model)
      yield* asked(model, [{ role: "assistant", text: "Hello." }, { role: "user", text: "a" }, {
        role: "user",
        text: "b"
      }])
      assert.deepStrictEqual(prompts, [
        [["system", "First.\n\nBe brief."], ["user", ["Hello."]]],
        [["system", "First."], ["user", ["(The call begins.)"]], ["assistant", ["Hello."]], ["user", ["a\nb"]]]
      ])
    }))

  it.effect("gives the first words while the rest has not come, and is interrupted with its reply", () =>
    Effect.gen(function*() {
      let interrupted = false
      const { model } = yield* modelOf(
        Stream.concat(
          Stream.fromIterable([{ type: "text-start", id: "1" } as const, said("First")]),
          Stream.fromEffect(Effect.onInterrupt(Effect.never, () => Effect.sync(() => void (interrupted = true))))
        )
      )
      let first = ""
      const fiber = yield* Effect.forkChild(
        Stream.runForEach(model.reply(hello), (words) => Effect.sync(() => void (first = words)))
      )
      yield* TestClock.adjust(1)
      assert.strictEqual(first, "First")
      yield* Fiber.interrupt(fiber)
      assert.isTrue(interrupted)
    }))

  it.effect("calls a reply cut by its length a regular end, one stopped by a filter blocked, one that broke off broken", () =>
    Effect.gen(function*() {
      const ended = (reason: Response.FinishReason) => callOf(Stream.fromIterable([...spoken("I"), finish(reason)]))
      assert.isUndefined((yield* ended("length")).failure)
      const filtered = yield* ended("content-filter")
      assert.deepInclude(filtered.failure, { outcome_class: "blocked", retryable: false })
      assert.deepStrictEqual(filtered.used, { input_tokens: 12, output_tokens: 4 })
      assert.deepInclude((yield* ended("error")).failure, { outcome_class: "infrastructure_failure", retryable: true })
    }))

  it.effect("calls silence a timeout", () =>
    Effect.gen(function*() {
      const { model } = yield* modelOf(Stream.concat(Stream.fromIterable(spoken("I")), Stream.never), { stallMs: 500 })
      const fiber = yield* Effect.forkChild(asked(model))
      yield* TestClock.adjust(500)
      const { failure, pieces } = yield* Fiber.join(fiber)
      assert.deepStrictEqual(pieces, ["I"])
      assert.deepInclude(failure, { provider_id: "mine/model", outcome_class: "timeout", retryable: true })
    }))

  const http = (status: number) => ({ response: { status, headers: {} }, body: `no ${key}` })
  const reasons: ReadonlyArray<readonly [AiError.AiErrorReason, ProviderFailure["outcome_class"], boolean]> = [
    [new AiError.RateLimitError({ retryAfter: Duration.seconds(7) }), "overload", true],
    [new AiError.QuotaExhaustedError({ resetAt: DateTime.makeUnsafe(0) }), "blocked", false],
    [new AiError.AuthenticationError({ kind: "InvalidKey", description: key }), "blocked", false],
    [new AiError.ContentPolicyError({ description: key }), "blocked", false],
    [new AiError.InvalidRequestError({ description: key }), "infrastructure_failure", false],
    [new AiError.InternalProviderError({ description: key }), "infrastructure_failure", true],
    [new AiError.InternalProviderError({ description: key, http: http(529) }), "overload", true],
    [new AiError.InternalProviderError({ description: key, http: http(408) }), "timeout", true],
    [new AiError.UnknownError({ description: key, http: http(418) }), "infrastructure_failure", false],
    [new AiError.InvalidResponseError({ description: key }), "infrastructure_failure", true],
    [new AiError.InvalidOutputError({ description: key }), "infrastructure_failure", true],
    [new AiError.NetworkError({ reason: "TransportError", method: "POST", url: key }), "infrastructure_failure", true],
    [
      new AiError.NetworkError({ reason: "InvalidUrlError", method: "POST", url: key }),
      "infrastructure_failure",
      false
    ],
    [new AiError.InvalidUserInputError({ description: key }), "infrastructure_failure", false]
  ]

  it.effect("classifies its errors, as failures and as parts, and does not repeat their words", () =>
    Effect.gen(function*() {
      for (const [reason, outcome_class, retryable] of reasons) {
        const error = errorOf(reason)
        const failing = Stream.concat(Stream.fromIterable(spoken("I")), Stream.fail(error))
        const telling = Stream.fromIterable<Part>([...spoken("I"), { type: "error", error }])
        for (const stream of [failing, telling]) {
          const { failure, pieces } = yield* callOf(stream)
          assert.deepInclude(failure, { provider_id: "mine/model", outcome_class, retryable }, reason._tag)
          assert.strictEqual(failure?.retryAfterMs, reason._tag === "RateLimitError" ? 7_000 : undefined)
          assert.deepStrictEqual(pieces, ["I"])
        }
      }
      const { failure } = yield* callOf(Stream.fromIterable<Part>([{ type: "error", error: key }]))
      assert.deepInclude(failure, { outcome_class: "infrastructure_failure", retryable: true })
    }))
})
