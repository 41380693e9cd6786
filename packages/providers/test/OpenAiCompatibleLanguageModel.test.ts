import { assert, describe, it } from "@effect/vitest"
import { Cause, ConfigProvider, Effect, Exit, Fiber, Layer, Stream } from "effect"
import type { ServerResponse } from "node:http"
import { inspect } from "node:util"
import { find } from "@rspp/providers/Catalog"
import { layerOf, makeInstance } from "@rspp/providers/hosted/Instance"
import { adapter } from "@rspp/providers/llm/OpenAiCompatibleLanguageModel"
import { LanguageModel } from "@rspp/runtime/ports/LanguageModel"
import type { Message } from "@rspp/runtime/ports/LanguageModel"
import { languageModelConformance } from "./conformance/LanguageModel.ts"
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

const streamed = (...parts: ReadonlyArray<string>) => (response: ServerResponse): void => {
  response.writeHead(200, { "content-type": "text/event-stream" })
  parts.forEach((part) => response.write(part))
  response.end()
}

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
      assert.match(wrong.message, /base_url/u)
      assert.notInclude(JSON.stringify(wrong) + inspect(wrong), key)
    }))
})
