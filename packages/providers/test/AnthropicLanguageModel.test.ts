import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import type { GivenSettings } from "@rspp/providers/hosted/Instance"
import { layerOf, makeInstance, settingsOf } from "@rspp/providers/hosted/Instance"
import { adapter } from "@rspp/providers/llm/AnthropicLanguageModel"
import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import { languageModelConformance } from "./conformance/LanguageModel.ts"
import { anthropicServer } from "./servers/AnthropicServer.ts"
import { asked, askedOver, hello, key, refused, streamed } from "./support/AskedModel.ts"

const event = (value: { readonly type: string }): string => `event: ${value.type}\ndata: ${JSON.stringify(value)}\n\n`

const start = event({
  type: "message_start",
  ...{ message: { usage: { input_tokens: 10, cache_read_input_tokens: 5, output_tokens: 1 } } }
})
const said = (text: string) => event({ type: "content_block_delta", ...{ delta: { type: "text_delta", text } } })
const delta = (stop_reason: string, output_tokens: number) =>
  event({ type: "message_delta", ...{ delta: { stop_reason }, usage: { output_tokens } } })
const stop = event({ type: "message_stop" })

const failing = (type: string, status: number) =>
  refused(status, { type: "error", error: { type, message: `no ${key}` } })

languageModelConformance({
  name: "Anthropic's messages",
  layer: Layer.unwrap(
    Effect.map(
      anthropicServer(),
      ({ baseUrl, key: api_key }) => layerOf(adapter, "anthropic/messages", { base_url: baseUrl, api_key })
    )
  ),
  messages: hello
})

/** The body of a request with these settings. */
const bodyWith = (given: GivenSettings) =>
  Effect.map(
    askedOver(adapter, streamed(start, delta("end_turn", 1), stop), { given }),
    ({ requests }) => requests[0]?.body as Readonly<Record<string, unknown>>
  )

describe("Anthropic language model", () => {
  it.live("asks as the protocol wants, streams the words, and counts every token once", () =>
    Effect.gen(function*() {
      const { failure, headers, pieces, requests, used } = yield* askedOver(
        adapter,
        streamed(start, said("Hi"), event({ type: "ping" }), said(" there."), delta("end_turn", 7), stop)
      )
      assert.isUndefined(failure)
      assert.deepStrictEqual(pieces, ["Hi", " there."])
      assert.deepStrictEqual(used, { input_tokens: 15, output_tokens: 7 })
      assert.deepStrictEqual(requests, [{
        path: "/v1/messages",
        authorization: undefined,
        body: {
          model: "claude-haiku-5-5",
          max_tokens: 1024,
          stream: true,
          thinking: { type: "disabled" },
          system: "Be brief.",
          messages: [{ role: "user", content: "Hello." }]
        }
      }])
      assert.deepInclude(headers[0], { "x-api-key": key, "anthropic-version": "2026-10-21" })
    }))

  it.live("passes over what is not spoken, and events that it does not know", () =>
    Effect.gen(function*() {
      const { failure, pieces } = yield* askedOver(
        adapter,
        streamed(
          start,
          event({ type: "content_block_delta", ...{ delta: { type: "thinking_delta", thinking: "Hm." } } }),
          event({ type: "content_block_delta", ...{ delta: { type: "signature_delta", signature: "x" } } }),
          event({ type: "something_new" }),
          said("Hi."),
          delta("max_tokens", 3),
          stop
        )
      )
      assert.isUndefined(failure)
      assert.deepStrictEqual(pieces, ["Hi."])
    }))

  it.live("is answered whatever the conversation begins and ends with", () =>
    Effect.gen(function*() {
      const server = yield* anthropicServer()
      const model = yield* makeInstance(adapter, "test/model", { base_url: server.baseUrl, api_key: server.key })
      const conversations = [
        [],
        [{ role: "system" as const, text: "Greet." }],
        [{ role: "assistant" as const, text: "Hello." }],
        [{ role: "assistant" as const, text: "Hello." }, { role: "user" as const, text: "Hi." }],
        [{ role: "user" as const, text: "a" }, { role: "user" as const, text: "" }, {
          role: "user" as const,
          text: "b"
        }]
      ]
      for (const messages of conversations) assert.isUndefined((yield* asked(model, messages)).failure)
    }))

  it.live("does as its settings say", () =>
    Effect.gen(function*() {
      const body = yield* bodyWith({
        model: "claude-haiku-4-5",
        version: "2023-06-01",
        temperature: 0.5,
        max_tokens: 50,
        system: "First.",
        thinking: "default",
        effort: "low"
      })
      assert.deepInclude(body, {
        model: "claude-haiku-4-5",
        max_tokens: 50,
        temperature: 0.5,
        system: "First.\n\nBe brief.",
        output_config: { effort: "low" }
      })
      assert.notProperty(body, "thinking")
    }))

  it.live.each<readonly [string, object]>([
    ["claude-haiku-4-5", { thinking: { type: "disabled" } }],
    ["claude-sonnet-5-5", { thinking: { type: "between_tools" } }],
    ["claude-opus-5-5", { output_config: { effort: "low" } }],
    ["claude-fable-5-2", { output_config: { effort: "low" } }],
    ["somebody-elses", {}]
  ])("lets %s think as little as it can", ([model, pace]) =>
    Effect.gen(function*() {
      const { max_tokens: _max, messages: _messages, model: _model, stream: _stream, system: _system, ...rest } =
        yield* bodyWith({ model })
      assert.deepStrictEqual(rest, { ...pace })
    }))

  it.effect("refuses a temperature that the version of the API does not take, before any call", () =>
    Effect.gen(function*() {
      const given = { api_key: key, temperature: 0.5 }
      const error = yield* Effect.flip(Effect.scoped(makeInstance(adapter, "test/model", given)))
      assert.match(error.message, /temperature/u)
      assert.match(error.remedy, /2023-06-01/u)
      for (const wrong of [{ max_tokens: 0 }, { max_tokens: 1.5 }, { thinking: "hard" }, { temperatur: 1 }]) {
        const unset = yield* Effect.flip(settingsOf(adapter, "test/model", { api_key: key, ...wrong }))
        assert.include(unset.message, Object.keys(wrong)[0] ?? "")
      }
    }))

  it.live.each<readonly [string, number, ProviderFailure["outcome_class"], boolean]>([
    ["authentication_error", 401, "blocked", false],
    ["permission_error", 403, "blocked", false],
    ["billing_error", 402, "blocked", false],
    ["rate_limit_error", 429, "overload", true],
    ["overloaded_error", 529, "overload", true],
    ["timeout_error", 504, "timeout", true],
    ["api_error", 500, "infrastructure_failure", true],
    ["invalid_request_error", 400, "infrastructure_failure", false],
    ["not_found_error", 404, "infrastructure_failure", false]
  ])(
    "calls %s (%i) %s, as a refusal and in a stream",
    ([type, status, outcome_class, retryable]) =>
      Effect.gen(function*() {
        for (
          const answer of [
            failing(type, status),
            streamed(start, event({ type: "error", ...{ error: { type, message: "no" } } }))
          ]
        ) {
          const { failure } = yield* askedOver(adapter, answer)
          assert.deepInclude(failure, { outcome_class, retryable })
        }
      })
  )

  it.live("says how long the vendor asks to wait", () =>
    Effect.gen(function*() {
      const body = { type: "error", error: { type: "rate_limit_error", message: "no" } }
      const { failure } = yield* askedOver(adapter, refused(429, body, { "retry-after": "7" }))
      assert.deepInclude(failure, { outcome_class: "overload", retryAfterMs: 7_000 })
    }))

  it.live("calls a refusal of the model blocked, and tells what it cost", () =>
    Effect.gen(function*() {
      const { failure, used } = yield* askedOver(adapter, streamed(start, said("I"), delta("refusal", 2), stop))
      assert.deepInclude(failure, { outcome_class: "blocked", retryable: false })
      assert.deepStrictEqual(used, { input_tokens: 15, output_tokens: 2 })
    }))

  it.live("calls a stream that ends too early or is no stream an infrastructure failure, after the words that came", () =>
    Effect.gen(function*() {
      for (const rest of ["", "event: message_delta\ndata: {\"type\":\n\n"]) {
        const { failure, pieces, used } = yield* askedOver(adapter, streamed(start, said("Hal"), rest))
        assert.deepInclude(failure, { outcome_class: "infrastructure_failure", retryable: true })
        assert.deepStrictEqual(pieces, ["Hal"])
        assert.deepStrictEqual(used, { input_tokens: 15, output_tokens: 1 })
      }
    }))
})
