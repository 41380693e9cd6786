import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { makeInstance } from "@rspp/providers/hosted/Instance"
import { adapter as cartesia } from "@rspp/providers/tts/CartesiaTextToSpeech"
import { adapter as elevenLabsHttp } from "@rspp/providers/tts/ElevenLabsHttp"
import { adapter as elevenLabsWebSocket } from "@rspp/providers/tts/ElevenLabsWebSocket"
import { adapter as openAi } from "@rspp/providers/tts/OpenAiSpeech"
import { samplesOf } from "@rspp/runtime/ports/TextToSpeech"
import type { Speech } from "@rspp/runtime/ports/TextToSpeech"
import { cartesiaServer } from "../servers/CartesiaServer.ts"
import { elevenLabsServer } from "../servers/ElevenLabsServer.ts"
import { openAiSpeechServer } from "../servers/OpenAiSpeechServer.ts"
import { toneMsPerCharacter } from "../servers/SpeechHost.ts"

const sentence = "The train to the harbour leaves at ten past four from platform nine."

/** After each chunk: how many characters were spoken by then, and how many the tone has really spoken. */
const progressOf = (chunks: ReadonlyArray<Speech>) => {
  let samples = 0
  return chunks.map((chunk) => {
    samples += samplesOf(chunk).length
    return {
      spoken: chunk instanceof Int16Array ? undefined : chunk.spokenChars,
      really: samples / 16 / toneMsPerCharacter
    }
  })
}

const spokenWith = (text: string) => ({
  elevenLabsWebSocket: Effect.gen(function*() {
    const { baseUrl, key } = yield* elevenLabsServer()
    const { synthesise } = yield* makeInstance(elevenLabsWebSocket, "test/voice", { base_url: baseUrl, api_key: key })
    return progressOf(yield* Stream.runCollect(synthesise(text)))
  }),
  elevenLabsHttp: Effect.gen(function*() {
    const { baseUrl, key } = yield* elevenLabsServer()
    const { synthesise } = yield* makeInstance(elevenLabsHttp, "test/voice", { base_url: baseUrl, api_key: key })
    return progressOf(yield* Stream.runCollect(synthesise(text)))
  }),
  cartesia: Effect.gen(function*() {
    const { baseUrl, key } = yield* cartesiaServer()
    const { synthesise } = yield* makeInstance(cartesia, "test/voice", { base_url: baseUrl, api_key: key })
    return progressOf(yield* Stream.runCollect(synthesise(text)))
  })
})

describe("how far a voice has spoken", () => {
  it.live("is told by ElevenLabs to the character, over its socket and over HTTP", () =>
    Effect.gen(function*() {
      const voices = spokenWith(sentence)
      for (const voice of [voices.elevenLabsWebSocket, voices.elevenLabsHttp]) {
        const progress = yield* voice
        assert.strictEqual(progress.at(-1)?.spoken, sentence.length)
        for (const { really, spoken = 0 } of progress) {
          assert.isAtMost(Math.abs(spoken - really), 1.5, JSON.stringify(progress))
        }
      }
    }))

  it.live("is told by Cartesia to the word", () =>
    Effect.gen(function*() {
      const progress = yield* spokenWith(sentence).cartesia
      assert.strictEqual(progress.at(-1)?.spoken, sentence.length)
      const ends = [...sentence.matchAll(/\S+/gu)].map((word) => word.index + word[0].length)
      for (const { really, spoken } of progress) {
        const word = ends.findLast((end) => end <= really + 0.1)
        assert.strictEqual(spoken, word)
      }
    }))

  it.live("counts as `String.length` does, in every script", () =>
    Effect.gen(function*() {
      const text = "Grüße, 你好, 🎉 👩‍👩‍👧 naïve!"
      const voices = spokenWith(text)
      for (const voice of [voices.elevenLabsWebSocket, voices.elevenLabsHttp, voices.cartesia]) {
        const progress = yield* voice
        assert.strictEqual(progress.at(-1)?.spoken, text.length)
      }
    }))

  it.live("is not told by a server whose protocol does not know it", () =>
    Effect.gen(function*() {
      const { baseUrl, key } = yield* openAiSpeechServer()
      const { synthesise } = yield* makeInstance(openAi, "test/voice", { base_url: baseUrl, api_key: key })
      const chunks = yield* Stream.runCollect(synthesise(sentence))
      assert.isTrue(chunks.every((chunk) => chunk instanceof Int16Array))
    }))
})
