import { assert, describe, it } from "@effect/vitest"
import { DeepgramClient } from "@deepgram/sdk"
import { Effect } from "effect"
import type { Scope } from "effect"
import { readRecording } from "../support/Wav.ts"
import { deepgramServer } from "./DeepgramServer.ts"
import type { Engine } from "./Hearing.ts"

const speech = readRecording("goforward.wav")

/** The vendor's own client with a connection, and what it has heard. */
const connected = Effect.fnUntraced(function*(
  server: { readonly baseUrl: string },
  apiKey: string,
  options: { readonly endpointing?: number } = {}
) {
  const client = new DeepgramClient({
    apiKey,
    environment: {
      base: server.baseUrl.replace("ws:", "http:"),
      production: server.baseUrl,
      agent: server.baseUrl,
      agentRest: server.baseUrl.replace("ws:", "http:")
    }
  })
  const socket = yield* Effect.promise(() =>
    client.listen.v1.connect({
      model: "nova-3",
      encoding: "linear16",
      sample_rate: 16_000,
      interim_results: "true",
      Authorization: `Token ${apiKey}`,
      reconnectAttempts: 0,
      queryParams: { endpointing: options.endpointing ?? "false" }
    })
  )
  yield* Effect.addFinalizer(() => Effect.sync(() => socket.close()))
  return socket
})

type Connection = Effect.Success<ReturnType<typeof connected>>
type Message = Parameters<NonNullable<Parameters<Connection["on"]>[1]>>[0]

const transcriptOf = (message: unknown): string =>
  (message as { readonly channel: { readonly alternatives: ReadonlyArray<{ readonly transcript: string }> } })
    .channel.alternatives[0]!.transcript

const withServer = <A, E>(
  engine: Engine,
  use: (server: Effect.Success<ReturnType<typeof deepgramServer>>) => Effect.Effect<A, E, Scope.Scope>
) => Effect.scoped(Effect.flatMap(deepgramServer({ engine }), use))

describe("Deepgram's own client and our server", () => {
  it.live("agree on interim results, Finalize, CloseStream and Metadata", () =>
    withServer(["Go forward ten meters."], (server) =>
      Effect.gen(function*() {
        const socket = yield* connected(server, server.key)
        const heard: Array<Message> = []
        const closed = Effect.promise(() =>
          new Promise<number>((resolve) => {
            socket.on("message", (message) => {
              heard.push(message)
              if (message.type === "Results" && message.from_finalize === true) {
                socket.sendCloseStream({ type: "CloseStream" })
              }
            })
            socket.on("close", ({ code }) => resolve(code))
            socket.on("open", () => {
              for (let at = 0; at < speech.length; at += 1_600) socket.sendMedia(speech.slice(at, at + 1_600))
              socket.sendKeepAlive({ type: "KeepAlive" })
              socket.sendFinalize({ type: "Finalize" })
            })
            socket.connect()
          })
        )
        assert.strictEqual(yield* closed, 1_000)
        const results = heard.flatMap((message) => message !== undefined && "is_final" in message ? [message] : [])
        assert.isAbove(results.filter((result) => result.is_final === false).length, 1)
        const [final] = results.filter((result) => result.is_final === true)
        assert.strictEqual(transcriptOf(final), "Go forward ten meters.")
        assert.strictEqual((heard.at(-1) as { readonly type: string }).type, "Metadata")
        assert.strictEqual(server.calls[0]!.ended, "served")
        assert.match(server.calls[0]!.path, /^\/v1\/listen\?.*model=nova-3/u)
      })))

  it.live("agree on the refusal of another key", () =>
    withServer(["x"], (server) =>
      Effect.gen(function*() {
        const socket = yield* connected(server, "another")
        const message = yield* Effect.promise(() =>
          new Promise<string>((resolve) => {
            socket.on("error", (error) => resolve(error.message))
            socket.connect()
          })
        )
        assert.match(message, /401/u)
        assert.strictEqual(server.calls[0]!.ended, "faulted")
      })))

  it.live("agree on finals by endpointing", () =>
    withServer(["one two three"], (server) =>
      Effect.gen(function*() {
        const socket = yield* connected(server, server.key, { endpointing: 300 })
        const final = yield* Effect.promise(() =>
          new Promise<unknown>((resolve) => {
            socket.on("message", (message) => {
              if (message.type === "Results" && message.speech_final === true) resolve(message)
            })
            socket.on("open", () => {
              socket.sendMedia(speech.slice(0, 16_000))
              socket.sendMedia(new Int16Array(8_000))
            })
            socket.connect()
          })
        )
        assert.strictEqual(transcriptOf(final), "one two three")
      })))
})

describe("the Deepgram server", () => {
  it.live("closes with NET-0001 when it gets no message", () =>
    Effect.scoped(Effect.gen(function*() {
      const server = yield* deepgramServer({ idleMs: 50 })
      const socket = yield* connected(server, server.key)
      const code = yield* Effect.promise(() =>
        new Promise<number>((resolve) => {
          socket.on("close", ({ code }) => resolve(code))
          socket.connect()
        })
      )
      assert.strictEqual(code, 1_011)
      assert.deepStrictEqual(server.calls, [])
    })))
})
