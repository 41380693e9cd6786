import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Fiber, Layer, Stream } from "effect"
import * as FliteTextToSpeech from "@rspp/providers/tts/FliteTextToSpeech"
import { ProvidersConfig } from "@rspp/providers/ProvidersConfig"
import { samplesOf, TextToSpeech } from "@rspp/runtime/ports/TextToSpeech"
import { textToSpeechConformance } from "./conformance/TextToSpeech.ts"

textToSpeechConformance({
  name: "Flite",
  layer: FliteTextToSpeech.layer,
  sentence: "Tell me the name of the folder, and I will save the message there."
})

layer(FliteTextToSpeech.layer, { excludeTestServices: true, timeout: "1 minute" })("Flite", (it) => {
  it.effect("gives chunks of at most 200 ms, and starts with little silence", () =>
    Effect.gen(function*() {
      const tts = yield* TextToSpeech
      const speech = tts.synthesise("Hello, what can I do for you today?")
      const chunks = yield* Stream.runCollect(Stream.map(speech, samplesOf))
      assert.isTrue(chunks.every((chunk) => chunk.length <= 3_200))
      assert.isAbove(chunks.length, 5)
      assert.isTrue(chunks[0]!.subarray(0, 100 * 16).some((sample) => Math.abs(sample) > 100))
    }))

  it.effect("says the same text the same way each time", () =>
    Effect.gen(function*() {
      const tts = yield* TextToSpeech
      const [a, b] = yield* Effect.all([1, 2].map(() => Stream.runCollect(tts.synthesise("Once more."))))
      assert.deepStrictEqual(a, b)
    }))

  it.effect("refuses a text that is too long", () =>
    Effect.gen(function*() {
      const tts = yield* TextToSpeech
      const error = yield* Effect.flip(Stream.runDrain(tts.synthesise("word ".repeat(300))))
      assert.strictEqual(error.outcome_class, "blocked")
      assert.isFalse(error.retryable)
    }))
})

describe("Flite's voices", () => {
  it.live("are different voices", () =>
    Effect.gen(function*() {
      const speak = (voice: "slt" | "rms") =>
        Effect.gen(function*() {
          const tts = yield* TextToSpeech
          return yield* Stream.runCollect(tts.synthesise("Hello there."))
        }).pipe(
          Effect.provide(Layer.provide(FliteTextToSpeech.layerNoDeps, ProvidersConfig.layerWith({ voice })), {
            local: true
          })
        )
      assert.notDeepEqual(yield* speak("slt"), yield* speak("rms"))
    }))
})

layer(
  Layer.effect(
    TextToSpeech,
    FliteTextToSpeech.make({ workerUrl: new URL("./support/dyingFlite.worker.ts", import.meta.url) })
  ).pipe(Layer.provide(ProvidersConfig.layer)),
  { excludeTestServices: true, timeout: "1 minute" }
)("Flite when its worker dies", (it) => {
  it.effect("fails what was in flight, and speaks again", () =>
    Effect.gen(function*() {
      const tts = yield* TextToSpeech
      const error = yield* Effect.flip(Stream.runDrain(tts.synthesise("Please die now.")))
      assert.strictEqual(error.outcome_class, "infrastructure_failure")
      assert.isTrue(error.retryable)
      const fiber = yield* Effect.forkChild(Stream.runCollect(tts.synthesise("I am back.")))
      assert.isAbove((yield* Fiber.join(fiber)).length, 2)
    }))
})

describe("speakable", () => {
  it("leaves plain ASCII, without losing words", () => {
    assert.strictEqual(
      FliteTextToSpeech.speakable("It’s “naïve” – café…\u00a0done 😀"),
      "It's \"naive\" ,  cafe... done"
    )
  })
})
