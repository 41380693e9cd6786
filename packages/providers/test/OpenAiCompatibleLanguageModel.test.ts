import { assert, describe, it } from "@effect/vitest"
import { Cause, ConfigProvider, Effect, Exit, Fiber, Layer, Stream } from "effect"
import type { ServerResponse } from "node:http"
import { inspect } from "node:util"
import { find } from "@rspp/providers/Catalog"
import type { GivenSettings } from "@rspp/providers/hosted/Instance"
import { layerOf, makeInstance } from "@rspp/providers/hosted/Instance"
import { adapter } from "@rspp/providers/llm/OpenAiCompatibleLanguageModel"
import { LanguageModel } from "@rspp/runtime/ports/LanguageModel"
import type { Message } from "@rspp/runtime/ports/LanguageModel"
import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import { languageModelConformance } from "./conformance/LanguageModel.ts"
import { openAiServer } from "./servers/OpenAiServer.ts"
import { asked, askedOver, refused, streamed } from "./support/AskedModel.ts"
import { chatServer, event } from "./support/ChatServer.ts"
import { workSpy } from "./support/WorkSpy.ts"

const key = "sk-secret-0123456789"
const messages: ReadonlyArray<Message> = [
  { role: "system", text: "Be brief." },
  { role: "user", text: "Hello." }
]

const given = (base_url: string) => ({ base_url, api_key: key, model: "test-model" })

const modelAt = (baseUrl: string) => layerOf(adapter, "openai/compatible", given(baseUrl))

/** The reply of a server: the pieces that came, and how it ended. */
const replyOf = (answer: (response: ServerResponse) => void) =>
  Effect.gen(function*() {
    const server = yield* chatServer(answer)
    const pieces: Array<string> = []
    const exit = yield* Effect.gen(function*() {
      const model = yield* LanguageModel
      yield* Stream.runForEach(model.reply(messages), (piece) => Effect.sync(() => pieces.push(piece)))
    }).pipe(Effect.provide(modelAt(server.baseUrl), { local: true }), Effect.exit)
    const failure = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
    if (failure !== undefined) {
      assert.notInclude(JSON.stringify(failure), key)
      assert.notInclude(Cause.pretty(Exit.isFailure(exit) ? exit.cause : Cause.empty), key)
    }
    return { pieces, failure: failure as { outcome_class?: string; retryable?: boolean } | undefined, server }
  }).pipe(Effect.scoped)

languageModelConformance({
  name: "an OpenAI-compatible server",
  layer: Layer.unwrap(
    Effect.map(
      chatServer(streamed(event("Good "), event("day "), event("to you."), event("", "stop"), "data: [DONE]\n\n")),
      (server) => modelAt(server.baseUrl)
    )
  ),
  messages
})

describe("OpenAI-compatible language model", () => {
  it.live("asks as the protocol wants, and streams the words", () =>
    Effect.gen(function*() {
      const { failure, pieces, server } = yield* replyOf(
        streamed(
          ": hello\n\n",
          event("Hi"),
          "event: ping\nid: 7\n\n",
          event(" there."),
          event("", "stop"),
          "data: [DONE]\n\n"
        )
      )
      assert.strictEqual(failure, undefined)
      assert.deepStrictEqual(pieces, ["Hi", " there."])
      assert.deepStrictEqual(server.requests, [{
        path: "/v1/chat/completions",
        authorization: `Bearer ${key}`,
        body: {
          model: "test-model",
          stream: true,
          stream_options: { include_usage: true },
          messages: [{ role: "system", content: "Be brief." }, { role: "user", content: "Hello." }]
        }
      }])
    }))

  it.live("takes events that are torn between packets, and an end without [DONE]", () =>
    Effect.gen(function*() {
      const text = event("Grüße") + event(" dir", "stop")
      const { failure, pieces } = yield* replyOf((response) => {
        response.writeHead(200)
        const bytes = Buffer.from(text)
        const send = (at: number): void => {
          if (at >= bytes.length) return void response.end()
          response.write(bytes.subarray(at, at + 7), () => setImmediate(() => send(at + 7)))
        }
        send(0)
      })
      assert.strictEqual(failure, undefined)
      assert.strictEqual(pieces.join(""), "Grüße dir")
    }))

  it.live("goes on where a server says when to connect again", () =>
    Effect.gen(function*() {
      const { failure, pieces } = yield* replyOf(
        streamed(
          "retry: 3000\n\n",
          event("Good "),
          "retry: 1000\n",
          event("day."),
          event("", "stop"),
          "data: [DONE]\n\n"
        )
      )
      assert.isUndefined(failure)
      assert.strictEqual(pieces.join(""), "Good day.")
    }))

  it.live("takes an address that is written for a WebSocket", () =>
    Effect.gen(function*() {
      const server = yield* chatServer(streamed(event("Good day.", "stop"), "data: [DONE]\n\n"))
      const model = yield* makeInstance(adapter, "test/model", given(server.baseUrl.replace("http:", "ws:")))
      assert.deepStrictEqual(yield* Stream.runCollect(model.reply(messages)), ["Good day."])
    }))

  it.live("gives the first words while the rest has not come", () =>
    Effect.gen(function*() {
      const server = yield* chatServer((response) => {
        response.writeHead(200)
        response.write(event("First"))
      })
      const model = yield* makeInstance(adapter, adapter.adapter, given(server.baseUrl))
      const first = yield* Stream.runHead(model.reply(messages))
      assert.deepStrictEqual(first._tag === "Some" && first.value, "First")
    }))

  it.live.each(["before the head of the response", "after the first words"])(
    "closes the connection when it is interrupted while the server stalls %s",
    (stage) =>
      Effect.gen(function*() {
        const server = yield* chatServer((response) => {
          if (stage === "before the head of the response") return
          response.writeHead(200)
          response.write(event("First"))
        })
        const until = (condition: () => boolean) =>
          Effect.gen(function*() {
            for (let waited = 0; !condition() && waited < 5_000; waited += 10) yield* Effect.sleep(10)
            assert.isTrue(condition())
          })
        const { layer, spy } = workSpy()
        let pieces = 0
        const model = yield* makeInstance(adapter, adapter.adapter, given(server.baseUrl))
        const fiber = yield* Stream.runForEach(model.reply(messages), () => Effect.sync(() => pieces++)).pipe(
          Effect.provide(layer),
          Effect.forkChild
        )
        yield* until(() => server.requests.length === 1 && pieces === (stage === "after the first words" ? 1 : 0))
        assert.strictEqual(spy.running, 1)
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(spy.running, 0)
        yield* until(() => server.closed() === 1)
      })
  )

  it.live.each<readonly [number, string, boolean]>([
    [429, "overload", true],
    [401, "blocked", false],
    [403, "blocked", false],
    [408, "timeout", true],
    [404, "infrastructure_failure", false],
    [500, "infrastructure_failure", true],
    [503, "overload", true]
  ])("calls status %i %s", ([status, outcome_class, retryable]) =>
    Effect.gen(function*() {
      const { failure } = yield* replyOf((response) => {
        response.writeHead(status)
        response.end(`no: ${key}`)
      })
      assert.deepInclude(failure, { outcome_class, retryable })
    }))

  it.live("calls a truncated, torn or nonsensical stream an infrastructure failure, after the words that came", () =>
    Effect.gen(function*() {
      const torn = (response: ServerResponse) => {
        response.writeHead(200)
        response.write(event("Hal"), () => setTimeout(() => response.destroy(), 50))
      }
      for (
        const answer of [
          streamed(event("Hal")),
          torn,
          streamed(event("Hal"), "data: <html>\n\n"),
          streamed(event("Hal"), "data: {\"error\":{\"message\":\"overheated\"}}\n\n")
        ]
      ) {
        const { failure, pieces } = yield* replyOf(answer)
        assert.deepInclude(failure, { outcome_class: "infrastructure_failure", retryable: true })
        assert.deepStrictEqual(pieces, ["Hal"])
      }
    }))

  it.live("calls a filtered reply blocked", () =>
    Effect.gen(function*() {
      const { failure } = yield* replyOf(streamed(event("", "content_filter"), "data: [DONE]\n\n"))
      assert.deepInclude(failure, { outcome_class: "blocked", retryable: false })
    }))

  it.live("calls a server that is not there an infrastructure failure", () =>
    Effect.gen(function*() {
      const model = yield* makeInstance(adapter, adapter.adapter, given("http://127.0.0.1:9/v1"))
      const error = yield* Effect.flip(Stream.runDrain(model.reply(messages)))
      assert.deepInclude(error, { outcome_class: "infrastructure_failure", retryable: true })
    }))

  it.live("tells what a call used, whether in an event of its own or with the end, and does without", () =>
    Effect.gen(function*() {
      const usage = (value: object | null, choices: ReadonlyArray<unknown> | null = []) =>
        `data: ${JSON.stringify({ choices, usage: value })}\n\n`
      const tokens = { prompt_tokens: 12, completion_tokens: 3, total_tokens: 15 }
      const done = "data: [DONE]\n\n"
      const all = { input_tokens: 12, output_tokens: 3 }
      const cases: ReadonlyArray<readonly [ReadonlyArray<string>, object | undefined]> = [
        [[event("Hi"), event("", "stop"), usage(tokens), done], all],
        [[event("Hi"), event("", "stop"), usage(tokens, null), done], all],
        [
          [usage(null, [{ delta: { content: "Hi" } }]), usage(tokens, [{ delta: {}, finish_reason: "stop" }]), done],
          all
        ],
        [[event("Hi"), usage({ prompt_tokens: 12, completion_tokens: 1 }), event("", "stop"), usage(tokens)], all],
        [[event("Hi"), event("", "stop"), done], undefined]
      ]
      for (const [events, used] of cases) {
        const call = yield* askedOver(adapter, streamed(...events), { base: "/v1", given: { model: "test-model" } })
        assert.isUndefined(call.failure)
        assert.deepStrictEqual([call.pieces, call.used], [["Hi"], used])
      }
      const server = yield* openAiServer({ sendsUsage: false })
      const model = yield* makeInstance(adapter, "test/model", {
        base_url: server.baseUrl,
        api_key: server.key,
        model: "test-model"
      })
      const call = yield* asked(model)
      assert.deepStrictEqual([call.failure, call.used], [undefined, undefined])
    }))

  it.live("does as its settings say", () =>
    Effect.gen(function*() {
      const bodyWith = (given: GivenSettings) =>
        Effect.map(
          askedOver(adapter, streamed(event("Hi", "stop")), { base: "/v1", given: { model: "test-model", ...given } }),
          ({ requests }) => requests[0]?.body
        )
      const messages = [{ role: "system", content: "Be brief." }, { role: "user", content: "Hello." }]
      assert.deepStrictEqual(yield* bodyWith({ include_usage: "false" }), {
        model: "test-model",
        stream: true,
        messages
      })
      assert.deepInclude(
        yield* bodyWith({ system: "First.", max_tokens: 50, temperature: "0.5", reasoning_effort: "minimal" }),
        {
          max_tokens: 50,
          temperature: 0.5,
          reasoning_effort: "minimal",
          messages: [{ role: "system", content: "First.\n\nBe brief." }, { role: "user", content: "Hello." }]
        }
      )
    }))

  it.live("is answered whatever the conversation begins and ends with", () =>
    Effect.gen(function*() {
      const server = yield* openAiServer()
      const model = yield* makeInstance(adapter, "test/model", {
        base_url: server.baseUrl,
        api_key: server.key,
        model: "test-model"
      })
      for (const messages of [[], [{ role: "assistant" as const, text: "Hello." }]]) {
        assert.isUndefined((yield* asked(model, messages)).failure)
      }
    }))

  it.live("knows an account without credit, filters and refusals, wherever the server says them", () =>
    Effect.gen(function*() {
      const error = (code: unknown, type: string | null = null) => ({
        error: { message: `no ${key}`, type, param: null, code }
      })
      const blocked = { outcome_class: "blocked", retryable: false } as const
      const overload = { outcome_class: "overload", retryable: true } as const
      const broken = { outcome_class: "infrastructure_failure", retryable: true } as const
      const inBand = (value: object) => streamed(event("I"), `data: ${JSON.stringify(value)}\n\n`)
      const cases: ReadonlyArray<readonly [(response: ServerResponse) => void, Partial<ProviderFailure>]> = [
        [refused(429, error("insufficient_quota", "insufficient_quota")), blocked],
        [refused(429, error("rate_limit_exceeded", "tokens"), { "retry-after": "3" }), {
          ...overload,
          retryAfterMs: 3_000
        }],
        [refused(400, error("content_filter")), blocked],
        [refused(402, error(402)), blocked],
        [refused(500, "no JSON object"), broken],
        [inBand(error("rate_limit_exceeded")), overload],
        [inBand(error(429)), overload],
        [inBand(error(503)), overload],
        [inBand(error("content_filter")), blocked],
        [inBand({ error: "CUDA out of memory" }), broken],
        [inBand({ choices: [{ delta: { refusal: "I cannot" } }] }), blocked]
      ]
      for (const [answer, expected] of cases) {
        const { failure } = yield* askedOver(adapter, answer, { base: "/v1", given: { model: "test-model" } })
        assert.deepInclude(failure, expected)
      }
    }))

  it.live("is set by the environment, and says what is missing", () =>
    Effect.gen(function*() {
      const { check } = find("llm", "openai/compatible")!
      const looked = (env: Record<string, string>) =>
        Effect.provide(check, ConfigProvider.layer(ConfigProvider.fromUnknown(env)))
      yield* looked({ RSPP_LLM_BASE_URL: "http://host/v1/", RSPP_LLM_MODEL: "small", RSPP_LLM_API_KEY: key })
      const unnamed = yield* Effect.flip(looked({ RSPP_LLM_BASE_URL: "http://host/v1" }))
      assert.match(unnamed.remedy, /RSPP_LLM_MODEL/u)
      const unset = yield* Effect.flip(looked({}))
      assert.match(unset.remedy, /RSPP_LLM_BASE_URL and RSPP_LLM_MODEL/u)
      const wrong = yield* Effect.flip(
        looked({ RSPP_LLM_BASE_URL: "host", RSPP_LLM_MODEL: "m", RSPP_LLM_API_KEY: key })
      )
      assert.match(wrong.message, /RSPP_LLM_BASE_URL/u)
      assert.notInclude(JSON.stringify(wrong) + inspect(wrong), key)
    }))
})
