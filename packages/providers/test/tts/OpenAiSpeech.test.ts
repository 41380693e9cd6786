import { assert, describe, it } from "@effect/vitest"
import { makeInstance } from "@rspp/providers/hosted/Instance"
import { adapter } from "@rspp/providers/tts/OpenAiSpeech"
import { samplesOf } from "@rspp/runtime/ports/TextToSpeech"
import { Effect, Stream } from "effect"
import { chatServer } from "../support/ChatServer.ts"

/** 100 ms at 16 kHz, and half a sample. */
const oddBytes = 3_201

/** The speech that a server sends as `bytes`, in samples. */
const heardOf = (bytes: Uint8Array, contentLength = bytes.length) =>
  Effect.gen(function*() {
    const { baseUrl } = yield* chatServer((response) => {
      response.writeHead(200, { "content-type": "audio/pcm", "content-length": String(contentLength) })
      response.write(bytes, () => {
        if (contentLength === bytes.length) response.end()
        else response.socket?.destroy()
      })
    })
    const voice = yield* makeInstance(adapter, "test/voice", { base_url: baseUrl, sample_rate: 16_000 })
    const pieces = yield* Stream.runCollect(voice.synthesise("Ready."))
    return pieces.reduce((sum, piece) => sum + samplesOf(piece).length, 0)
  })

describe("speech of an OpenAI-compatible server", () => {
  it.live("is whole when the sound ends with half a sample, which is left out", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* heardOf(new Uint8Array(oddBytes)), 1_600)
    }))

  it.live("fails when the body is cut, wherever in a sample", () =>
    Effect.gen(function*() {
      for (const came of [oddBytes, oddBytes + 1]) {
        const failure = yield* Effect.flip(heardOf(new Uint8Array(came), 6_400))
        assert.deepInclude({ ...failure }, { outcome_class: "infrastructure_failure", retryable: true })
      }
    }))
})
