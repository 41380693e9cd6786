import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope, Stream, Tracer } from "effect"
import * as HttpClient from "effect/http/HttpClient"
import { createServer as createTcpServer } from "node:net"
import type { AddressInfo, Socket } from "node:net"
import { inspect } from "node:util"
import * as HostedHttpClient from "@rspp/providers/hosted/HttpClient"
import type { GivenSettings } from "@rspp/providers/hosted/Instance"
import { makeInstance } from "@rspp/providers/hosted/Instance"
import { adapter as anthropic } from "@rspp/providers/llm/AnthropicLanguageModel"
import { adapter as gemini } from "@rspp/providers/llm/GeminiLanguageModel"
import { adapter } from "@rspp/providers/llm/OpenAiCompatibleLanguageModel"
import type { Message } from "@rspp/runtime/ports/LanguageModel"
import { anthropicServer } from "../servers/AnthropicServer.ts"
import { geminiServer } from "../servers/GeminiServer.ts"
import { openAiServer } from "../servers/OpenAiServer.ts"
import type { ProtocolServer } from "../servers/ProtocolServer.ts"
import { chatServer } from "../support/ChatServer.ts"

const messages: ReadonlyArray<Message> = [{ role: "user", text: "Hello." }]

/** Waits until a fact holds. */
const until = (what: string, holds: () => boolean) =>
  Effect.gen(function*() {
    for (let waitedMs = 0; waitedMs < 60_000 && !holds(); waitedMs += 5) yield* Effect.sleep(5)
    assert.isTrue(holds(), what)
  })

const modelAt = (server: ProtocolServer, given: GivenSettings = {}) =>
  makeInstance(adapter, "test/model", {
    base_url: server.baseUrl,
    api_key: server.key,
    model: "test-model",
    warm_connections: 0,
    ...given
  })

/** A TCP server that takes connections and says nothing, and what it was sent. */
const silentServer = Effect.acquireRelease(
  Effect.callback<{ readonly port: number; readonly sockets: Set<Socket>; readonly close: () => void }>((resume) => {
    const sockets = new Set<Socket>()
    const server = createTcpServer((socket) => {
      sockets.add(socket)
      socket.on("error", () => {})
      socket.on("close", () => sockets.delete(socket))
    })
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo
      const close = () => {
        server.close()
        sockets.forEach((socket) => socket.destroy())
      }
      resume(Effect.succeed({ port, sockets, close }))
    })
  }),
  ({ close }) => Effect.sync(close)
)

const vendors = {
  "Anthropic's messages": {
    server: anthropicServer(),
    make: (given: GivenSettings) => makeInstance(anthropic, "test/model", given)
  },
  "Google's Gemini": {
    server: geminiServer(),
    make: (given: GivenSettings) => makeInstance(gemini, "test/model", given)
  },
  "OpenAI-compatible completions": {
    server: openAiServer(),
    make: (given: GivenSettings) => makeInstance(adapter, "test/model", given)
  }
} as const

describe("HTTP client of hosted providers", () => {
  it.live("uses connections again: ten calls in a row have two at most", () =>
    Effect.gen(function*() {
      const server = yield* openAiServer()
      const model = yield* modelAt(server)
      for (let call = 0; call < 10; call++) {
        yield* Stream.runDrain(model.reply(messages))
        yield* until("the server is done, too", () => server.calls[call]?.ended === "served")
      }
      // A call that begins in the very moment in which another ends may have one of its own.
      assert.isAtMost(server.openSockets(), 2)
    }))

  it.live("closes with its scope every connection, whether idle or in the middle of an answer", () =>
    Effect.gen(function*() {
      const server = yield* openAiServer()
      const scope = yield* Scope.make()
      const model = yield* Effect.provideService(modelAt(server), Scope.Scope, scope)
      yield* Stream.runDrain(model.reply(messages))
      server.next({ kind: "stall", after: 1 }, { kind: "unanswered" })
      const calls = yield* Effect.forEach(
        [1, 2],
        () => Effect.forkChild(Effect.exit(Stream.runDrain(model.reply(messages))))
      )
      yield* until("both calls are under way", () => server.calls.length === 3)
      assert.strictEqual(server.openSockets(), 2)
      yield* Scope.close(scope, Exit.void)
      yield* until("no connection is left", () => server.openSockets() === 0)
      for (const call of calls) assert.isTrue(Exit.isFailure(yield* Fiber.join(call)))
    }))

  it.live("opens no more connections than its bound, and serves the calls that waited", () =>
    Effect.gen(function*() {
      const more = 10
      let asked = 0
      let answer = () => {}
      const answered = new Promise<void>((resolve) => answer = resolve)
      const server = yield* openAiServer({
        engine: async function*() {
          asked++
          await answered
          yield "Yes."
        }
      })
      const model = yield* modelAt(server, { first_result_ms: 60_000, stall_ms: 60_000 })
      const calls = yield* Effect.forkChild(
        Effect.forEach(
          Array.from({ length: HostedHttpClient.maxConnections + more }),
          () => Stream.mkString(model.reply(messages)),
          { concurrency: "unbounded" }
        )
      )
      yield* until("every connection has a call", () => asked === HostedHttpClient.maxConnections)
      yield* Effect.sleep(50)
      assert.strictEqual(asked, HostedHttpClient.maxConnections)
      assert.strictEqual(server.openSockets(), HostedHttpClient.maxConnections)
      answer()
      const replies = yield* Fiber.join(calls)
      assert.isTrue(replies.every((reply) => reply === "Yes."))
      assert.isAtMost(server.openSockets(), HostedHttpClient.maxConnections)
    }))

  it.live("opens connections before the first call, which then uses one; no call comes of it", () =>
    Effect.gen(function*() {
      const server = yield* openAiServer()
      const model = yield* modelAt(server, { warm_connections: 3 })
      yield* until("the connections are there", () => server.openSockets() === 3)
      // They may be used when the answers to what opened them are there, too.
      yield* Effect.sleep(50)
      assert.strictEqual(server.calls.length, 0)
      yield* Stream.runDrain(model.reply(messages))
      assert.strictEqual(server.calls.length, 1)
      assert.strictEqual(server.openSockets(), 3)
    }))

  it.live("does not mind that nobody answers what warms, and says no key to it", () =>
    Effect.gen(function*() {
      const { port, sockets } = yield* silentServer
      let sent = ""
      const key = "sk-secret-0123456789"
      const base_url = `http://127.0.0.1:${port}/v1`
      yield* makeInstance(adapter, "test/model", { base_url, api_key: key, model: "m", connect_ms: 100 })
      yield* until("it connects", () => sockets.size > 0)
      for (const socket of sockets) socket.on("data", (data) => sent += data.toString())
      yield* until("it gives up", () => sockets.size === 0)
      assert.match(sent, /^OPTIONS \/v1 HTTP/u)
      assert.notInclude(sent, key)
      yield* makeInstance(adapter, "test/model", { base_url: "http://127.0.0.1:9/v1", model: "m" })
    }))

  it.live.each(["Anthropic's messages", "Google's Gemini", "OpenAI-compatible completions"] as const)(
    "keeps the key of %s out of traces, and the ids of traces from the vendor",
    (vendor) =>
      Effect.gen(function*() {
        const spans: Array<Tracer.Span> = []
        const tracer = Tracer.make({
          span: (options) => {
            const span = new Tracer.NativeSpan(options)
            spans.push(span)
            return span
          }
        })
        const { make, server } = vendors[vendor]
        const headers: Array<string> = []
        const seen = yield* chatServer((response, request) => {
          headers.push(...Object.keys(request.headers))
          response.writeHead(429).end()
        })
        const { baseUrl, key } = yield* server
        for (const base_url of [baseUrl, seen.baseUrl, "http://127.0.0.1:9"]) {
          const model = yield* make({ base_url, api_key: key, model: "m" })
          yield* Effect.exit(Stream.runDrain(model.reply(messages))).pipe(
            Effect.withSpan("call"),
            Effect.withTracer(tracer),
            // As somebody sets it who wants every header in a trace.
            Effect.provideService(HttpClient.TracerHeaderFilter, () => true)
          )
        }
        assert.lengthOf(spans.filter(({ name }) => name === "call"), 3)
        const told = spans.map((span) => inspect([span.name, span.attributes, span.status], { depth: 12 })).join("\n")
        assert.notInclude(told, key)
        assert.notInclude(headers, "traceparent")
        assert.notInclude(headers, "b3")
      })
  )

  it.live("calls a connection that is not made in time a timeout", () =>
    Effect.gen(function*() {
      const { port } = yield* silentServer
      // TCP is taken, TLS never answered.
      const model = yield* makeInstance(adapter, "test/model", {
        base_url: `https://127.0.0.1:${port}/v1`,
        model: "test-model",
        connect_ms: 100,
        first_result_ms: 60_000,
        warm_connections: 0
      })
      const failure = yield* Effect.flip(Stream.runDrain(model.reply(messages)))
      assert.deepInclude({ ...failure }, { outcome_class: "timeout", retryable: true })
      assert.match(failure.message, /within 100 ms/u)
    }))
})
