import { assert, describe, it } from "@effect/vitest"
import { makeInstance } from "@rspp/providers/hosted/Instance"
import { isExempt, proxyFor } from "@rspp/providers/hosted/Proxy"
import { adapter as openAi } from "@rspp/providers/llm/OpenAiCompatibleLanguageModel"
import { adapter as cartesia } from "@rspp/providers/tts/CartesiaTextToSpeech"
import { ConfigProvider, Effect, Stream } from "effect"
import { createServer } from "node:http"
import { connect } from "node:net"
import type { AddressInfo, Socket } from "node:net"
import { cartesiaServer } from "../servers/CartesiaServer.ts"
import { openAiServer } from "../servers/OpenAiServer.ts"
import { foreignHost, tlsFront } from "../servers/TlsFront.ts"

const portOf = (baseUrl: string) => Number(new URL(baseUrl).port)

/** An HTTP proxy that takes everything to one port of this machine, and what it was asked for. */
const proxyTo = (port: number) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly asked: Array<string>; readonly stop: () => void }>((resume) => {
      const asked: Array<string> = []
      const sockets = new Set<Socket>()
      const server = createServer()
      server.on("connection", (socket) => {
        sockets.add(socket)
      })
      server.on("connect", (request, socket, head) => {
        asked.push(`${request.url} ${request.headers["proxy-authorization"] ?? ""}`.trim())
        const to = connect(port, "127.0.0.1", () => {
          socket.write("HTTP/1.1 200 Connection Established\r\n\r\n")
          to.write(head)
          to.pipe(socket).pipe(to)
        })
        to.on("error", () => socket.destroy())
        socket.on("error", () => to.destroy())
      })
      server.listen(0, "127.0.0.1", () =>
        resume(Effect.succeed({
          url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
          asked,
          stop: () => {
            server.close()
            for (const socket of sockets) socket.destroy()
          }
        })))
    }),
    ({ stop }) => Effect.sync(stop)
  )

const within = <A, E, R>(environment: Record<string, string>, effect: Effect.Effect<A, E, R>) =>
  Effect.provide(effect, ConfigProvider.layer(ConfigProvider.fromUnknown(environment)))

describe("a provider behind a proxy", () => {
  it.live("is reached through it over HTTPS, with the proxy's password", () =>
    Effect.gen(function*() {
      const server = yield* openAiServer()
      const { port } = yield* tlsFront(portOf(server.baseUrl))
      const { asked, url } = yield* proxyTo(port)
      const model = yield* within(
        { HTTPS_PROXY: url.replace("//", "//ann:hunter2@") },
        makeInstance(openAi, "test/model", {
          base_url: `https://${foreignHost}/v1`,
          api_key: server.key,
          model: "test-model",
          warm_connections: 0
        })
      )
      assert.isNotEmpty(yield* Stream.runCollect(model.reply([{ role: "user", text: "Hello." }])))
      assert.deepStrictEqual(asked, [`${foreignHost}:443 Basic ${Buffer.from("ann:hunter2").toString("base64")}`])
    }))

  it.live("is reached through it over a WebSocket", () =>
    Effect.gen(function*() {
      const server = yield* cartesiaServer()
      const { port } = yield* tlsFront(portOf(server.baseUrl))
      const { asked, url } = yield* proxyTo(port)
      const voice = yield* within(
        { https_proxy: url, HTTPS_PROXY: "http://127.0.0.1:9" },
        makeInstance(cartesia, "test/voice", { base_url: `https://${foreignHost}`, api_key: server.key })
      )
      assert.isNotEmpty(yield* Stream.runCollect(voice.synthesise("Ready.")))
      assert.deepStrictEqual(asked, [`${foreignHost}:443`])
    }))

  it.live("is reached without it where it is on this machine", () =>
    Effect.gen(function*() {
      const server = yield* openAiServer()
      const model = yield* within(
        { HTTP_PROXY: "http://127.0.0.1:9", HTTPS_PROXY: "http://127.0.0.1:9" },
        makeInstance(openAi, "test/model", { base_url: server.baseUrl, api_key: server.key, model: "test-model" })
      )
      assert.isNotEmpty(yield* Stream.runCollect(model.reply([{ role: "user", text: "Hello." }])))
    }))

  it.effect("says what is wrong with the proxy's address, and does not repeat it", () =>
    Effect.gen(function*() {
      const failure = yield* Effect.flip(
        within({ HTTPS_PROXY: "ann:hunter2@proxy" }, proxyFor("test/model", "https://vendor.test"))
      )
      assert.include(failure.message, "HTTPS_PROXY is not the address of a proxy")
      assert.notInclude(JSON.stringify(failure), "hunter2")
    }))

  it("is exempt by its host, its domain, its port, or all of them", () => {
    const exempt = (url: string, list: string) => isExempt(new URL(url), list)
    for (
      const list of [
        "*",
        "api.vendor.test",
        "vendor.test",
        ".vendor.test",
        "*.vendor.test",
        "x, vendor.test:443",
        "X VENDOR.TEST"
      ]
    ) assert.isTrue(exempt("https://api.vendor.test/v1", list), list)
    for (const list of ["", "endor.test", "other.api.vendor.test", "vendor.test:80", ","]) {
      assert.isFalse(exempt("https://api.vendor.test/v1", list), list)
    }
    assert.isTrue(exempt("http://[fd00::1]:8080", "[fd00::1]:8080"))
    for (const own of ["http://localhost:1", "http://127.0.0.2", "https://[::1]:1"]) assert.isTrue(exempt(own, ""), own)
  })
})
