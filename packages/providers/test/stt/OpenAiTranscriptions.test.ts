import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { makeInstance } from "@rspp/providers/hosted/Instance"
import { adapter } from "@rspp/providers/stt/OpenAiTranscriptions"
import { ProviderUsage } from "@rspp/runtime/ports/ProviderUsage"
import type { Usage } from "@rspp/runtime/ports/ProviderUsage"
import { SpeechToText } from "@rspp/runtime/ports/SpeechToText"
import type { RecognitionInput } from "@rspp/runtime/ports/SpeechToText"
import { audio, speechToTextConformance } from "../conformance/SpeechToText.ts"
import { openAiTranscriptionsServer } from "../servers/OpenAiTranscriptionsServer.ts"
import { readRecording, silence } from "../support/Wav.ts"

const slowly = (text: string) => () => new Promise<string>((resolve) => setTimeout(() => resolve(text), 250))

const speech = readRecording("goforward.wav")

speechToTextConformance({
  name: "OpenAI transcriptions",
  layer: Layer.effect(
    SpeechToText,
    Effect.flatMap(
      openAiTranscriptionsServer({ engine: slowly("Go forward ten meters.") }),
      (server) => makeInstance(adapter, "openai/transcriptions", { base_url: server.baseUrl, api_key: server.key })
    )
  ),
  speech,
  word: /forward/iu,
  partials: false
})

describe("transcriptions of an OpenAI-compatible server", () => {
  it.live("are of exactly the audio of the utterance, in the language that is set", () =>
    Effect.scoped(Effect.gen(function*() {
      const heard: Array<Int16Array> = []
      const server = yield* openAiTranscriptionsServer({
        engine: async (pcm) => {
          heard.push(pcm)
          return "Yes."
        }
      })
      const given = { base_url: server.baseUrl, api_key: server.key, language: "en", model: "whisper-1" }
      const port = yield* makeInstance(adapter, "openai/transcriptions", given)
      const used: Array<Usage> = []
      const inputs: ReadonlyArray<RecognitionInput> = [...audio(speech), { _tag: "Pause", pauseId: 1 }, { _tag: "End" }]
      yield* Stream.runDrain(port.recognise(Stream.fromIterable(inputs), { partialIntervalMs: 500 })).pipe(
        Effect.provideService(ProviderUsage, { report: (usage) => void used.push(usage) })
      )
      assert.deepStrictEqual(heard, [speech])
      assert.deepStrictEqual(server.calls.map(({ request }) => request), [{
        fields: { model: "whisper-1", response_format: "json", language: "en" },
        file: { name: "utterance.wav", type: "audio/wav", bytes: 44 + 2 * speech.length }
      }])
      assert.deepStrictEqual(used, [{ audio_ms: speech.length / 16 }])
    })))

  it.live("are blocked, and not tried again, for an account without credit", () =>
    Effect.scoped(Effect.gen(function*() {
      const server = yield* openAiTranscriptionsServer()
      server.next({ kind: "vendor_error" })
      const given = { base_url: server.baseUrl, api_key: server.key }
      const port = yield* makeInstance(adapter, "openai/transcriptions", given)
      const failure = yield* Effect.flip(
        Stream.runDrain(
          port.recognise(Stream.fromIterable([...audio(speech), { _tag: "End" }]), { partialIntervalMs: 500 })
        )
      )
      assert.deepInclude({ ...failure }, { outcome_class: "blocked", retryable: false })
      assert.match(failure.message, /no credit/u)
    })))

  it.live("are not asked for silence, nor for less than a tenth of a second", () =>
    Effect.scoped(Effect.gen(function*() {
      const server = yield* openAiTranscriptionsServer()
      const given = { base_url: server.baseUrl, api_key: server.key }
      const port = yield* makeInstance(adapter, "openai/transcriptions", given)
      for (const samples of [silence(2_000), speech.subarray(0, 1_000)]) {
        yield* Stream.runDrain(
          port.recognise(Stream.fromIterable([...audio(samples), { _tag: "End" }]), { partialIntervalMs: 500 })
        )
      }
      assert.strictEqual(server.calls.length, 0)
    })))
})
