import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Queue, Stream } from "effect"
import type { Cause, Layer } from "effect"
import { SpeechToText } from "@rspp/runtime/ports/SpeechToText"
import type { RecognitionInput, RecognitionResult } from "@rspp/runtime/ports/SpeechToText"
import { workSpy } from "../support/WorkSpy.ts"

const options = { partialIntervalMs: 500 }

/** Frames of 20 ms. */
export const audio = (samples: Int16Array): Array<RecognitionInput> =>
  Array.from(
    { length: Math.ceil(samples.length / 320) },
    (_, index) => ({ _tag: "Audio", samples: samples.slice(index * 320, index * 320 + 320) })
  )

const pause = (pauseId: number): RecognitionInput => ({ _tag: "Pause", pauseId })
const resume: RecognitionInput = { _tag: "Resume" }
const end: RecognitionInput = { _tag: "End" }

const finals = (results: ReadonlyArray<RecognitionResult>) => results.filter((result) => result._tag === "Final")

/** A recognition that is fed by hand, and what it has answered so far. */
const open = Effect.gen(function*() {
  const stt = yield* SpeechToText
  const input = yield* Queue.unbounded<RecognitionInput, Cause.Done>()
  const results: Array<RecognitionResult> = []
  const fiber = yield* Effect.forkChild(
    Stream.runForEach(stt.recognise(Stream.fromQueue(input), options), (result) =>
      Effect.sync(() => {
        results.push(result)
      })),
    { startImmediately: true }
  )
  const feed = (...inputs: ReadonlyArray<RecognitionInput>) => Effect.asVoid(Queue.offerAll(input, inputs))
  const until = (what: string, condition: () => boolean) =>
    Effect.gen(function*() {
      for (let waited = 0; !condition(); waited += 10) {
        if (waited > 10_000) return yield* Effect.die(new Error(`never: ${what}`))
        yield* Effect.sleep(10)
      }
    })
  return { feed, fiber, input, results, until }
})

/** What every {@link SpeechToText} must do. `speech` is 2–5 s of speech in which `word` (a pattern) is heard. */
export const speechToTextConformance = <E>(suite: {
  readonly name: string
  readonly layer: Layer.Layer<SpeechToText, E>
  readonly speech: Int16Array
  readonly word: RegExp
  readonly partials: boolean
}): void =>
  layer(suite.layer, { excludeTestServices: true, timeout: "1 minute" })(`${suite.name} as SpeechToText`, (it) => {
    it.effect("describes itself", () =>
      Effect.gen(function*() {
        const { descriptor } = yield* SpeechToText
        assert.strictEqual(descriptor.modality, "stt")
        assert.match(descriptor.provider_id, /^[a-z0-9-]+\/[a-z0-9-]+$/u)
      }))

    it.effect("answers an end without a pause with a final of pause 0, and ends", () =>
      Effect.gen(function*() {
        const stt = yield* SpeechToText
        const results = yield* Stream.runCollect(
          stt.recognise(Stream.fromIterable([...audio(suite.speech), end]), options)
        )
        const [final, ...more] = finals(results)
        assert.deepStrictEqual(more, [])
        assert.strictEqual(results.at(-1), final)
        assert.match(final!.text, suite.word)
        assert.strictEqual(final!.pauseId, 0)
      }))

    it.effect("takes the end of the input for an end", () =>
      Effect.gen(function*() {
        const stt = yield* SpeechToText
        const results = yield* Stream.runCollect(stt.recognise(Stream.fromIterable(audio(suite.speech)), options))
        assert.strictEqual(finals(results).length, 1)
      }))

    it.effect("decodes early on a pause, and an end afterwards adds nothing", () =>
      Effect.gen(function*() {
        const { feed, fiber, results, until } = yield* open
        yield* feed(...audio(suite.speech), pause(7))
        yield* until("a final before the end", () => finals(results).length === 1)
        assert.match(finals(results)[0]!.text, suite.word)
        assert.strictEqual(finals(results)[0]!.pauseId, 7)
        yield* feed(...audio(new Int16Array(3_200)), end)
        yield* Fiber.join(fiber)
        assert.strictEqual(finals(results).length, 1)
      }))

    it.effect("emits the final of a pause that is still being decoded when the end comes", () =>
      Effect.gen(function*() {
        const stt = yield* SpeechToText
        const results = yield* Stream.runCollect(
          stt.recognise(Stream.fromIterable([...audio(suite.speech), pause(3), end]), options)
        )
        assert.deepStrictEqual(finals(results).map((final) => final.pauseId), [3])
      }))

    it.effect("drops the final of a pause that is resumed, and hears everything at the next", () =>
      Effect.gen(function*() {
        const stt = yield* SpeechToText
        const half = Math.floor(suite.speech.length / 2)
        const results = yield* Stream.runCollect(
          stt.recognise(
            Stream.fromIterable([
              ...audio(suite.speech.subarray(0, half)),
              pause(1),
              resume,
              ...audio(suite.speech.subarray(half)),
              pause(2),
              end
            ]),
            options
          )
        )
        assert.deepStrictEqual(finals(results).map((final) => final.pauseId), [2])
        assert.match(finals(results)[0]!.text, suite.word)
      }))

    if (suite.partials) {
      it.effect("gives partials while the caller speaks, and none after the pause", () =>
        Effect.gen(function*() {
          const { feed, fiber, results, until } = yield* open
          yield* feed(...audio(suite.speech))
          yield* until("a partial", () => results.some((result) => result._tag === "Partial"))
          yield* feed(pause(1), ...audio(new Int16Array(32_000)))
          yield* until("a final", () => finals(results).length === 1)
          const count = results.length
          yield* feed(...audio(new Int16Array(16_000)), end)
          yield* Fiber.join(fiber)
          assert.strictEqual(results.length, count)
          assert.isTrue(results.every((result) => result.text !== ""))
        }))
    }

    it.effect("hears nothing in silence, and nothing at all in no audio", () =>
      Effect.gen(function*() {
        const stt = yield* SpeechToText
        for (const samples of [new Int16Array(16_000), new Int16Array(0)]) {
          const results = yield* Stream.runCollect(
            stt.recognise(Stream.fromIterable([...audio(samples), pause(1), end]), options)
          )
          assert.deepStrictEqual(results.map((result) => result.text), [""])
        }
      }))

    it.effect("can be interrupted in the middle of a decode, and recognises again after that", () =>
      Effect.gen(function*() {
        const { feed, fiber, results } = yield* open
        yield* feed(...audio(suite.speech), pause(1))
        yield* Effect.sleep(30)
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(finals(results), [])
        const stt = yield* SpeechToText
        const again = yield* Stream.runCollect(
          stt.recognise(Stream.fromIterable([...audio(suite.speech), end]), options)
        )
        assert.match(finals(again)[0]!.text, suite.word)
      }))

    it.effect("decodes as measured work, and leaves none behind", () =>
      Effect.gen(function*() {
        const { layer, spy } = workSpy()
        yield* Effect.gen(function*() {
          const { feed, fiber, results, until } = yield* open
          yield* feed(...audio(suite.speech), pause(1))
          yield* Effect.sleep(20)
          assert.isAtLeast(spy.running, 1)
          yield* until("a final", () => finals(results).length === 1)
          assert.strictEqual(spy.running, 0)
          yield* feed(resume, ...audio(suite.speech), pause(2))
          yield* Effect.sleep(20)
          assert.isAtLeast(spy.running, 1)
          yield* Fiber.interrupt(fiber)
          assert.strictEqual(spy.running, 0)
        }).pipe(Effect.provide(layer))
      }))
  })
