import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createRequire } from "node:module"
import { connect } from "node:net"
import { cartesiaServer } from "./CartesiaServer.ts"

// The CommonJS build: the other one cannot load `ws`, and Node's own WebSocket takes no plain connection for a secure one.
const require = createRequire(import.meta.url)
const { Cartesia } = require("@cartesia/cartesia-js") as typeof import("@cartesia/cartesia-js")
const { TTSWS } = require(
  "@cartesia/cartesia-js/resources/tts/ws"
) as typeof import("@cartesia/cartesia-js/resources/tts/ws")

/** The client insists on wss; TLS ends before the server here. */
const plain = () => {
  return {
    createConnection: (options: { host: string; port: number }) => connect(options.port, options.host)
  } as object
}

const voice = { id: "6ccbfb76-1fc6-48f7-b71d-91ac6298247b" }

const options = {
  model_id: "sonic-3",
  voice,
  output_format: { container: "raw" as const, encoding: "pcm_s16le" as const, sample_rate: 16_000 as const },
  add_timestamps: true
}

const client = (server: { readonly baseUrl: string; readonly key: string }, apiKey = server.key) =>
  new Cartesia({ apiKey, baseURL: server.baseUrl, maxRetries: 0 })

describe("the Cartesia server, as Cartesia's own client sees it", () => {
  it.live("speaks two contexts over one socket, with the times of the words", () =>
    Effect.gen(function*() {
      const server = yield* cartesiaServer()
      const seen = yield* Effect.promise(async () => {
        const socket = await client(server).tts.websocket(plain())
        const collect = async (transcript: string) => {
          const context = socket.context(options)
          const words: Array<string> = []
          let bytes = 0
          await context.send({ transcript, continue: false })
          for await (const event of context.receive()) {
            if (event.type === "chunk") bytes += event.audio?.length ?? 0
            if (event.type === "timestamps") words.push(...event.word_timestamps?.words ?? [])
          }
          return { words, bytes }
        }
        const both = await Promise.all([collect("Good day to you."), collect("Grüße, Welt!")])
        socket.close()
        return both
      })
      assert.deepStrictEqual(seen, [
        { words: ["Good", "day", "to", "you."], bytes: 16 * 60 * 32 },
        { words: ["Grüße,", "Welt!"], bytes: 12 * 60 * 32 }
      ])
      assert.deepStrictEqual(server.calls.map(({ ended }) => ended), ["served", "served"])
    }))

  it.live("stops a context that the client cancels", () =>
    Effect.gen(function*() {
      const server = yield* cartesiaServer({ paceMs: 5 })
      yield* Effect.promise(async () => {
        const socket = await client(server).tts.websocket(plain())
        const context = socket.context(options)
        await context.send({ transcript: "word ".repeat(200), continue: false })
        for await (const event of context.receive()) {
          if (event.type !== "chunk") continue
          await context.cancel()
        }
        while (server.calls[0]?.ended === undefined) await new Promise((resolve) => setTimeout(resolve, 5))
        socket.close()
      })
      assert.strictEqual(server.calls[0]?.ended, "aborted")
    }))

  it.live("says its own error in a way that the client understands", () =>
    Effect.gen(function*() {
      const server = yield* cartesiaServer()
      server.next({ kind: "vendor_error" })
      const message = yield* Effect.promise(async () => {
        const socket = await client(server).tts.websocket(plain())
        socket.on("error", () => {})
        const context = socket.context(options)
        await context.send({ transcript: "Hello.", continue: false })
        try {
          for await (const _ of context.receive());
          return "served"
        } catch (error) {
          return String(error)
        } finally {
          socket.close()
        }
      })
      assert.include(message, "Invalid model")
    }))

  it.live("refuses a wrong key", () =>
    Effect.gen(function*() {
      const server = yield* cartesiaServer()
      const message = yield* Effect.promise(async () => {
        // Not `tts.websocket`, which rejects before a listener can be there.
        const socket = new TTSWS(client(server, "sk_car_wrong"), plain())
        socket.on("error", () => {})
        return socket.connect().then(() => "connected", (error: { message?: string }) => error.message)
      })
      assert.include(message, "401")
    }))
})
