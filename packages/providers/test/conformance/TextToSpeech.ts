import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import type { Layer } from "effect"
import { samplesOf, TextToSpeech } from "@rspp/runtime/ports/TextToSpeech"
import { workSpy } from "../support/WorkSpy.ts"

/** What every {@link TextToSpeech} must do. `sentence` is one that takes at least a second to say. */
export const textToSpeechConformance = <E>(options: {
  readonly name: string
  readonly layer: Layer.Layer<TextToSpeech, E>
  readonly sentence: string
}): void =>
  layer(options.layer, { excludeTestServices: true, timeout: "1 minute" })(`${options.name} as TextToSpeech`, (it) => {
    it.effect("describes itself", () =>
      Effect.gen(function*() {
        const { descriptor } = yield* TextToSpeech
        assert.strictEqual(descriptor.modality, "tts")
        assert.match(descriptor.provider_id, /^[a-z0-9-]+\/[a-z0-9-]+$/u)
      }))

    it.effect("speaks a sentence in chunks that own their buffers", () =>
      Effect.gen(function*() {
        const tts = yield* TextToSpeech
        const chunks = yield* Stream.runCollect(Stream.map(tts.synthesise(options.sentence), samplesOf))
        const samples = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
        assert.isAbove(samples, 16_000)
        assert.isTrue(chunks.every((chunk) => chunk.length > 0 && chunk.buffer.byteLength === chunk.byteLength))
        assert.strictEqual(new Set(chunks.map((chunk) => chunk.buffer)).size, chunks.length)
        assert.isTrue(chunks.some((chunk) => chunk.some((sample) => Math.abs(sample) > 1_000)))
      }))

    it.effect("says nothing for a text without words", () =>
      Effect.gen(function*() {
        const tts = yield* TextToSpeech
        for (const text of ["", "  \n", "…"]) {
          assert.deepStrictEqual(yield* Stream.runCollect(tts.synthesise(text)), [], JSON.stringify(text))
        }
      }))

    it.effect("stops when it is interrupted, and speaks again after that", () =>
      Effect.gen(function*() {
        const tts = yield* TextToSpeech
        const fiber = yield* Effect.forkChild(Stream.runDrain(tts.synthesise(options.sentence)), {
          startImmediately: true
        })
        yield* Fiber.interrupt(fiber)
        const first = yield* Stream.runHead(tts.synthesise(options.sentence))
        assert.strictEqual(first._tag, "Some")
      }))

    it.effect("does its work as measured work, and leaves none behind", () =>
      Effect.gen(function*() {
        const tts = yield* TextToSpeech
        const { layer, spy } = workSpy()
        yield* Stream.runDrain(tts.synthesise(options.sentence)).pipe(Effect.provide(layer))
        const fiber = yield* Effect.forkChild(
          Stream.runDrain(tts.synthesise(options.sentence)).pipe(Effect.provide(layer)),
          { startImmediately: true }
        )
        assert.strictEqual(spy.running, 1)
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(spy.running, 0)
        assert.isAtLeast(spy.total, 2)
      }))
  })
