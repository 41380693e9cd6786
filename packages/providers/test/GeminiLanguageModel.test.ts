import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import type { GivenSettings } from "@rspp/providers/hosted/Instance"
import { layerOf, makeInstance, settingsOf } from "@rspp/providers/hosted/Instance"
import { adapter } from "@rspp/providers/llm/GeminiLanguageModel"
import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import { languageModelConformance } from "./conformance/LanguageModel.ts"
import { geminiServer } from "./servers/GeminiServer.ts"
import { asked, askedOver, hello, key, refused, streamed } from "./support/AskedModel.ts"

const data = (value: unknown): string => `data: ${JSON.stringify(value)}\r\n\r\n`

const said = (text: string, finishReason?: string, usageMetadata?: object): string =>
  data({
    candidates: [{
      content: { parts: [{ text }], role: "model" },
      ...(finishReason === undefined ? {} : { finishReason })
    }],
    ...(usageMetadata === undefined ? {} : { usageMetadata })
  })

const used = (candidatesTokenCount: number, thoughtsTokenCount = 0) => ({
  promptTokenCount: 10,
  candidatesTokenCount,
  thoughtsTokenCount
})

languageModelConformance({
  name: "Google's Gemini",
  layer: Layer.unwrap(
    Effect.map(
      geminiServer(),
      ({ baseUrl, key: api_key }) => layerOf(adapter, "google/gemini", { base_url: baseUrl, api_key })
    )
  ),
  messages: hello
})

const configWith = (given: GivenSettings) =>
  Effect.map(askedOver(adapter, streamed(said("", "STOP")), { given }), ({ requests }) => {
    const body = requests[0]?.body as { readonly generationConfig: Readonly<Record<string, unknown>> }
    return body.generationConfig
  })

describe("Gemini language model", () => {
  it.live("asks as the protocol wants, streams the words, and counts every token once", () =>
    Effect.gen(function*() {
      const { failure, headers, pieces, requests, used: tokens } = yield* askedOver(
        adapter,
        streamed(
          said("Hi", undefined, used(1, 4)),
          said(" there.", undefined, used(3, 4)),
          said("", "STOP", used(4, 4))
        )
      )
      assert.isUndefined(failure)
      assert.deepStrictEqual(pieces, ["Hi", " there."])
      assert.deepStrictEqual(tokens, { input_tokens: 10, output_tokens: 8 })
      assert.deepStrictEqual(requests, [{
        path: "/v1beta/models/gemini-3.5-flash-lite:streamGenerateContent?alt=sse",
        authorization: undefined,
        body: {
          systemInstruction: { parts: [{ text: "Be brief." }] },
          contents: [{ role: "user", parts: [{ text: "Hello." }] }],
          generationConfig: { thinkingConfig: { thinkingLevel: "MINIMAL" } }
        }
      }])
      assert.strictEqual(headers[0]?.["x-goog-api-key"], key)
    }))

  it.live("takes the last words with the end, and does not speak thoughts", () =>
    Effect.gen(function*() {
      const { failure, pieces } = yield* askedOver(
        adapter,
        streamed(
          data({ candidates: [{ content: { parts: [{ text: "Hm.", thought: true }, { text: "Good" }] } }] }),
          data({ candidates: [{ content: {} }] }),
          said(" day.", "MAX_TOKENS")
        )
      )
      assert.isUndefined(failure)
      assert.deepStrictEqual(pieces, ["Good", " day."])
    }))

  it.live("is answered whatever the conversation begins and ends with", () =>
    Effect.gen(function*() {
      const server = yield* geminiServer()
      const model = yield* makeInstance(adapter, "test/model", { base_url: server.baseUrl, api_key: server.key })
      const conversations = [
        [],
        [{ role: "assistant" as const, text: "Hello." }],
        [{ role: "assistant" as const, text: "Hello." }, { role: "user" as const, text: "Hi." }],
        [{ role: "user" as const, text: " " }, { role: "user" as const, text: "b" }]
      ]
      for (const messages of conversations) assert.isUndefined((yield* asked(model, messages)).failure)
    }))

  it.live.each<readonly [GivenSettings, object]>([
    [{ model: "gemini-2.5-flash" }, { thinkingConfig: { thinkingBudget: 0 } }],
    [{ model: "gemini-2.5-pro" }, { thinkingConfig: { thinkingBudget: 128 } }],
    [{ model: "gemini-3.8-flash" }, { thinkingConfig: { thinkingLevel: "LOW" } }],
    [{ model: "gemini-2.0-flash" }, {}],
    [{ model: "gemini-3.8-flash", thinking_level: "high" }, { thinkingConfig: { thinkingLevel: "HIGH" } }],
    [{ model: "gemini-2.5-flash", thinking_budget: "-1" }, { thinkingConfig: { thinkingBudget: -1 } }],
    [{ model: "m", max_tokens: 50, temperature: 0 }, { maxOutputTokens: 50, temperature: 0 }]
  ])("with the settings %j sends %j", ([given, config]) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* configWith(given), { ...config })
    }))

  it.effect("refuses settings that cannot work, before any call", () =>
    Effect.gen(function*() {
      const both = { api_key: key, thinking_budget: 0, thinking_level: "low" }
      const error = yield* Effect.flip(Effect.scoped(makeInstance(adapter, "test/model", both)))
      assert.match(error.message, /not both/u)
      const named = yield* Effect.flip(settingsOf(adapter, "test/model", { api_key: key, model: "../x?key=1" }))
      assert.include(named.message, "model")
    }))

  const error = (code: number, status: string, ...details: ReadonlyArray<object>) => ({
    error: { code, message: `no ${key}`, status, details }
  })
  const keyInvalid = { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "API_KEY_INVALID" }
  const retry = { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "22.5s" }

  it.live.each<readonly [object, number, ProviderFailure["outcome_class"], boolean, number | undefined]>([
    [error(400, "INVALID_ARGUMENT", keyInvalid), 400, "blocked", false, undefined],
    [error(400, "FAILED_PRECONDITION"), 400, "blocked", false, undefined],
    [error(400, "INVALID_ARGUMENT"), 400, "infrastructure_failure", false, undefined],
    [error(403, "PERMISSION_DENIED"), 403, "blocked", false, undefined],
    [error(429, "RESOURCE_EXHAUSTED", retry), 429, "overload", true, 22_500],
    [error(500, "INTERNAL"), 500, "infrastructure_failure", true, undefined],
    [error(503, "UNAVAILABLE"), 503, "overload", true, undefined],
    [error(504, "DEADLINE_EXCEEDED"), 504, "timeout", true, undefined]
  ])(
    "knows what %j means, as a refusal and in a stream",
    ([body, status, outcome_class, retryable, retryAfterMs]) =>
      Effect.gen(function*() {
        for (const answer of [refused(status, body), refused(status, [body]), streamed(said("I"), data(body))]) {
          const { failure } = yield* askedOver(adapter, answer)
          assert.deepInclude(failure, { outcome_class, retryable })
          assert.strictEqual(failure?.retryAfterMs, retryAfterMs)
        }
      })
  )

  it.live("calls what a filter stops blocked, and other breaks an infrastructure failure", () =>
    Effect.gen(function*() {
      const blocked = { outcome_class: "blocked", retryable: false }
      const broken = { outcome_class: "infrastructure_failure", retryable: true }
      const cases: ReadonlyArray<readonly [string, object]> = [
        [
          data({ promptFeedback: { blockReason: "PROHIBITED_CONTENT" }, usageMetadata: { promptTokenCount: 10 } }),
          blocked
        ],
        [said("I", "SAFETY"), blocked],
        [said("I", "RECITATION"), blocked],
        [said("I", "OTHER"), broken],
        [said("I", "MALFORMED_RESPONSE"), broken],
        [said("I"), broken]
      ]
      for (const [answer, expected] of cases) {
        assert.deepInclude((yield* askedOver(adapter, streamed(answer))).failure, expected)
      }
    }))
})
