// Joining that fails, against servers of this test: no LiveKit is needed.
import { nativeClient } from "@rspp/transports/livekit/NativeClient"
import { joinRoom } from "@rspp/transports/livekit/RoomConnection"
import { RoomJoinError } from "@rspp/transports/livekit/RoomFailure"
import { createServer } from "node:http"
import { type AddressInfo, createServer as createTcpServer, type Server } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"

const token = "eyJhbGciOiJIUzI1NiJ9.eyJ2aWRlbyI6e319.-MnXj9Y9lNwxteU6hB9"

const listening = <S extends Server>(server: S) =>
  Effect.acquireRelease(
    Effect.callback<S>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))),
    () => Effect.sync(() => server.close())
  )

const addressOf = (server: Server): string => `ws://127.0.0.1:${(server.address() as AddressInfo).port}`

/** A server that answers every request, upgrades too, with this status and text. */
const answering = (status: number, text: string) => {
  const server = createServer((_, response) => void response.writeHead(status, { connection: "close" }).end(text))
  server.on("upgrade", (_, socket) => {
    socket.end(`HTTP/1.1 ${status} X\r\nContent-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`)
  })
  return listening(server)
}

const failureOf = (url: string, connectTimeoutMs = 10_000) =>
  joinRoom({ url, token: Redacted.make(token) }, { connectTimeoutMs }).pipe(Effect.scoped, Effect.flip)

const everything = (failure: { readonly message: string; readonly cause?: unknown }) =>
  `${failure.message} ${JSON.stringify(failure)} ${String(failure.cause)} ${
    failure.cause instanceof Error ? failure.cause.stack ?? "" : ""
  }`

describe("joining a room fails with its class", () => {
  const statuses = [
    [401, `invalid token: ${token}, error: go-jose/go-jose: error in cryptographic primitive`, "unauthorized", false],
    [403, "no permission", "unauthorized", false],
    [404, "not found", "not_found", false],
    [429, "slow down", "rate_limited", true],
    [500, "broken", "unavailable", true],
    [503, "no nodes", "unavailable", true]
  ] as const
  it.live.each(statuses)("when the server answers %s %s", ([status, text, code, retryable]) =>
    Effect.gen(function*() {
      const failure = yield* failureOf(addressOf(yield* answering(status, text)))
      assert.instanceOf(failure.cause, RoomJoinError)
      assert.deepInclude(failure.cause, { code, retryable })
      assert.notInclude(everything(failure), "eyJ")
    }).pipe(Effect.scoped))

  it.live("when nobody listens, the address cannot be read, or its scheme is another", () =>
    Effect.gen(function*() {
      const server = yield* Effect.scoped(Effect.map(listening(createTcpServer()), addressOf))
      assert.deepInclude((yield* failureOf(server)).cause, { code: "unreachable", retryable: true })
      assert.deepInclude((yield* failureOf("no url")).cause, { code: "bad_address", retryable: false })
      assert.deepInclude((yield* failureOf("ftp://127.0.0.1")).cause, { code: "bad_address", retryable: false })
    }))

  it.live("when a peer accepts and never answers, after the time that was given", () =>
    Effect.gen(function*() {
      const failure = yield* failureOf(addressOf(yield* listening(createTcpServer(() => {}))), 300)
      assert.deepInclude(failure.cause, { code: "timeout", retryable: true })
      assert.include(failure.message, "did not answer in time")
    }).pipe(Effect.scoped))

  it.live("and leaves no listener behind", () =>
    Effect.gen(function*() {
      yield* nativeClient
      const url = addressOf(yield* answering(404, "not found"))
      yield* failureOf(url)
      const client = globalThis._ffiClientInstance!
      const before = client.listenerCount("ffi_event")
      for (let i = 0; i < 3; i++) yield* failureOf(url)
      assert.strictEqual(client.listenerCount("ffi_event"), before)
      assert.strictEqual(before, 0)
    }).pipe(Effect.scoped))
})
