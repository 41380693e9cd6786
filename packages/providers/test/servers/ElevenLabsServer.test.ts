import { assert, describe, it } from "@effect/vitest"
import { ElevenLabsClient, ElevenLabsError } from "@elevenlabs/elevenlabs-js"
import { Effect } from "effect"
import { createRequire } from "node:module"
import { WebSocket } from "ws"
import { elevenLabsServer, maxContexts } from "./ElevenLabsServer.ts"
import { messageOf } from "./SpeechHost.ts"

// ElevenLabs' client does not speak the socket's protocol, but has the schemas of its messages.
const { AudioOutputMulti, FinalOutputMulti, InitializeConnectionMulti, SendTextMulti } = createRequire(
  createRequire(import.meta.url).resolve("@elevenlabs/elevenlabs-js")
)("./serialization/index.js") as Record<string, {
  readonly parse: (raw: unknown, options?: object) => { readonly ok: boolean; readonly errors?: unknown }
  readonly json: (parsed: unknown, options?: object) => { readonly ok: boolean; readonly value: object }
}>

const client = (server: { readonly baseUrl: string; readonly key: string }, apiKey = server.key) =>
  new ElevenLabsClient({ apiKey, baseUrl: server.baseUrl, maxRetries: 0 })

const voice = "21m00Tcm4TlvDq8ikWAM"

const text = "Good day to you."

const request = { text, modelId: "eleven_flash_v2_5", outputFormat: "pcm_16000" as const }

describe("the ElevenLabs server, as ElevenLabs' own client sees it", () => {
  it.live("streams 16 kHz PCM", () =>
    Effect.gen(function*() {
      const server = yield* elevenLabsServer()
      const bytes = yield* Effect.promise(async () => {
        let bytes = 0
        for await (const part of await client(server).textToSpeech.stream(voice, request)) bytes += part.length
        return bytes
      })
      assert.strictEqual(bytes, text.length * 60 * 32)
      assert.deepInclude(server.calls[0], {
        path: `/v1/text-to-speech/${voice}/stream?output_format=pcm_16000`,
        request: { text, model_id: "eleven_flash_v2_5" },
        ended: "served"
      })
    }))

  it.live("streams it with the times of the characters", () =>
    Effect.gen(function*() {
      const server = yield* elevenLabsServer()
      const seen = yield* Effect.promise(async () => {
        let bytes = 0
        let characters = ""
        let last = 0
        for await (const part of await client(server).textToSpeech.streamWithTimestamps(voice, request)) {
          bytes += Buffer.from(part.audioBase64, "base64").length
          characters += part.alignment?.characters.join("") ?? ""
          last = part.alignment?.characterEndTimesSeconds.at(-1) ?? last
        }
        return { bytes, characters, last }
      })
      assert.deepStrictEqual(seen, { bytes: text.length * 60 * 32, characters: text, last: text.length * 0.06 })
    }))

  it.live("answers with ElevenLabs' errors", () =>
    Effect.gen(function*() {
      const server = yield* elevenLabsServer()
      const failed = (apiKey?: string) =>
        Effect.promise(() =>
          client(server, apiKey).textToSpeech.stream(voice, request).then(() => undefined, (error: unknown) => error)
        )
      const unauthorised = yield* failed("sk_wrong")
      assert.instanceOf(unauthorised, ElevenLabsError)
      assert.strictEqual(unauthorised.statusCode, 401)
      server.next({ kind: "refuse", status: 429, retryAfterSeconds: 7 })
      const limited = (yield* failed()) as ElevenLabsError
      assert.strictEqual(limited.statusCode, 429)
      assert.strictEqual(limited.rawResponse?.headers.get("retry-after"), "7")
    }))
})

/** A socket of the server, with its messages. */
const socketOf = (server: { readonly baseUrl: string; readonly key: string }) =>
  Effect.promise(async () => {
    const socket = new WebSocket(
      `${server.baseUrl.replace("http", "ws")}/v1/text-to-speech/${voice}/multi-stream-input?output_format=pcm_16000`,
      { headers: { "xi-api-key": server.key } }
    )
    const messages: Array<Record<string, unknown>> = []
    let closed: number | undefined
    socket.on("message", (data) => messages.push(messageOf(data)))
    socket.on("close", (code) => closed = code)
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject))
    const until = async (condition: () => boolean) => {
      while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2))
    }
    return {
      socket,
      messages,
      until,
      closed: () => closed,
      send: (message: object) => socket.send(JSON.stringify(message))
    }
  })

describe("the ElevenLabs server's socket", () => {
  it.live("takes and gives messages as the client's schemas have them", () =>
    Effect.gen(function*() {
      const server = yield* elevenLabsServer()
      const { messages, send, socket, until } = yield* socketOf(server)
      send(InitializeConnectionMulti!.json({ text: " ", voiceSettings: { stability: 0.5 }, contextId: "one" }).value)
      send(SendTextMulti!.json({ text: `${text} `, contextId: "one", flush: true }).value)
      send({ context_id: "one", close_context: true })
      yield* Effect.promise(() => until(() => messages.some(({ isFinal }) => isFinal === true)))
      socket.close()
      const audio = messages.filter((message) => "audio" in message)
      for (const message of audio) assert.isTrue(AudioOutputMulti!.parse(message).ok, JSON.stringify(message))
      assert.isTrue(FinalOutputMulti!.parse(messages.at(-1)).ok)
      assert.strictEqual(
        audio.map(({ alignment }) => (alignment as { chars: Array<string> }).chars.join("")).join(""),
        `${text} `
      )
      assert.strictEqual(audio.length, messages.length - 1)
      assert.strictEqual(server.calls[0]?.ended, "served")
    }))

  it.live("stops a context that is closed while it speaks, and counts it until its final message", () =>
    Effect.gen(function*() {
      const server = yield* elevenLabsServer({ paceMs: 5 })
      const { closed, messages, send, until } = yield* socketOf(server)
      for (let context = 0; context < maxContexts; context++) {
        send({ text: "word ".repeat(100), context_id: String(context), flush: true })
      }
      yield* Effect.promise(() => until(() => messages.length > 5))
      send({ context_id: "0", close_context: true })
      send({ context_id: "0", close_context: true })
      yield* Effect.promise(() => until(() => messages.some(({ isFinal }) => isFinal === true)))
      assert.strictEqual(server.calls[0]?.ended, "aborted")
      send({ text: "again ", context_id: "a", flush: true })
      send({ text: "too many ", context_id: "b", flush: true })
      yield* Effect.promise(() => until(() => closed() !== undefined))
      assert.strictEqual(closed(), 1008)
      assert.strictEqual(messages.at(-1)?.["error"], "max_active_conversations")
    }))
})
