import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Queue, Scope, Stream } from "effect"
import type { GivenSettings } from "@rspp/providers/hosted/Instance"
import type { ProviderUnavailable } from "@rspp/providers/ProviderUnavailable"
import { ProviderUsage } from "@rspp/runtime/ports/ProviderUsage"
import type { Usage } from "@rspp/runtime/ports/ProviderUsage"
import type { RecognitionInput, RecognitionResult, SpeechToText } from "@rspp/runtime/ports/SpeechToText"
import { audio } from "../conformance/SpeechToText.ts"
import type { Engine } from "../servers/Hearing.ts"
import type { ProtocolServer } from "../servers/ProtocolServer.ts"
import { concat, readRecording, silence } from "../support/Wav.ts"

const pause = (pauseId: number): RecognitionInput => ({ _tag: "Pause", pauseId })
const resume: RecognitionInput = { _tag: "Resume" }
const end: RecognitionInput = { _tag: "End" }

const speech = readRecording("goforward.wav")

const until = (what: string, condition: () => boolean): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (let waited = 0; !condition(); waited += 5) {
      if (waited > 10_000) return yield* Effect.die(new Error(`never: ${what}`))
      yield* Effect.sleep(5)
    }
  })

type Port = SpeechToText["Service"]

/** A recognition that is fed by hand, and what it has answered so far. */
const open = Effect.fnUntraced(function*(port: Port) {
  const input = yield* Queue.unbounded<RecognitionInput, Cause.Done>()
  const results: Array<RecognitionResult> = []
  const fiber = yield* Effect.forkChild(
    Stream.runForEach(
      port.recognise(Stream.fromQueue(input), { partialIntervalMs: 200 }),
      (result) => Effect.sync(() => void results.push(result))
    ),
    { startImmediately: true }
  )
  const finals = () => results.filter((result) => result._tag === "Final")
  return { feed: (...inputs: ReadonlyArray<RecognitionInput>) => Queue.offerAll(input, inputs), fiber, results, finals }
})

const recognise = (port: Port, ...inputs: ReadonlyArray<RecognitionInput>) =>
  Stream.runCollect(port.recognise(Stream.fromIterable(inputs), { partialIntervalMs: 200 }))

const textsOf = (results: ReadonlyArray<RecognitionResult>) =>
  results.flatMap((result) => result._tag === "Final" ? [result.text] : [])

/** What holds for every vendor that listens while the caller speaks. */
export const streamingCases = (suite: {
  readonly name: string
  readonly server: (
    options: { readonly engine: Engine; readonly ignoresFinalise?: boolean }
  ) => Effect.Effect<ProtocolServer, never, Scope.Scope>
  readonly provider: (
    server: ProtocolServer,
    settings: GivenSettings
  ) => Effect.Effect<Port, ProviderUnavailable, Scope.Scope>
}): void => {
  const started = (engine: Engine, settings: GivenSettings = {}, ignoresFinalise = false) =>
    Effect.gen(function*() {
      const server = yield* suite.server({ engine, ignoresFinalise })
      return { server, port: yield* suite.provider(server, settings) }
    })

  describe(`${suite.name}, streaming`, () => {
    it.live("sends all audio once and in order, and tells how much it was", () =>
      Effect.scoped(Effect.gen(function*() {
        const heard: Array<Int16Array> = []
        const { port } = yield* started(async (pcm) => {
          heard.push(pcm)
          return "yes."
        })
        const used: Array<Usage> = []
        yield* recognise(port, ...audio(speech), pause(1), end).pipe(
          Effect.provideService(ProviderUsage, { report: (usage) => void used.push(usage) })
        )
        const all = heard.at(-1)!
        assert.deepStrictEqual(all.slice(0, speech.length), speech)
        assert.isTrue(all.slice(speech.length).every((sample) => sample === 0))
        assert.closeTo(used.reduce((sum, usage) => sum + (usage.audio_ms ?? 0), 0), speech.length / 16, 1)
      })))

    it.live("makes no call for silence, and none for no audio", () =>
      Effect.scoped(Effect.gen(function*() {
        const { port, server } = yield* started(["x"])
        assert.deepStrictEqual(textsOf(yield* recognise(port, ...audio(silence(1_000)), pause(1), end)), [""])
        assert.deepStrictEqual(textsOf(yield* recognise(port, end)), [""])
        assert.deepStrictEqual([server.calls.length, server.openSockets()], [0, 0])
      })))

    it.live("adds up what the vendor finishes by itself: its turns decide nothing", () =>
      Effect.scoped(Effect.gen(function*() {
        const script = Array.from({ length: 40 }, (_, index) => `word${index}`).join(" ")
        const { port } = yield* started([script])
        const long = concat(speech, silence(2_000), speech, silence(2_000), speech)
        const results = yield* recognise(port, ...audio(long), pause(1), end)
        assert.deepStrictEqual(textsOf(results).map((text) => text.split(" ").length), [40])
        assert.strictEqual(textsOf(results)[0]!.toLowerCase(), script)
      })))

    it.live("says whether the words are complete", () =>
      Effect.scoped(Effect.gen(function*() {
        const { port } = yield* started(["I would like to", "I would like some tea."])
        const complete = Effect.map(
          recognise(port, ...audio(speech), pause(1), end),
          (results) => results.flatMap((result) => result._tag === "Final" ? [result.complete] : [])
        )
        assert.deepStrictEqual(yield* complete, [false])
        assert.deepStrictEqual(yield* complete, [true])
      })))

    it.live("ends the connection when a pause is not answered, and goes on over a new one after a resume", () =>
      Effect.scoped(Effect.gen(function*() {
        const settings = { finalise_ms: 50, spare_connections: 0 }
        const { port, server } = yield* started(["First part.", "Second part."], settings, true)
        const { feed, fiber, finals } = yield* open(port)
        yield* feed(...audio(speech), pause(1))
        yield* until("a final", () => finals().length === 1)
        yield* until("the end of the connection", () => server.openSockets() === 0)
        // What comes now is kept until it is known whether the caller goes on.
        yield* feed(...audio(speech.subarray(0, 16_000)))
        yield* Effect.sleep(20)
        assert.strictEqual(server.calls.length, 1)
        yield* feed(resume, ...audio(speech.subarray(16_000)), pause(2), end)
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(finals().map(({ text }) => text), ["First part.", "First part. Second part."])
        assert.strictEqual(server.calls.length, 2)
        const sentAgain = (server.calls[1]!.request as ReadonlyArray<unknown>).flatMap((entry) =>
          typeof entry === "object" && entry !== null && "audio_bytes" in entry ? [Number(entry.audio_bytes)] : []
        )
        assert.isAtLeast(sentAgain.reduce((sum, bytes) => sum + bytes, 0), 2 * speech.length)
        yield* until("no socket is left", () => server.openSockets() === 0)
      })))

    it.live("does not mind a connection that is lost after the final, unless the caller goes on", () =>
      Effect.scoped(Effect.gen(function*() {
        for (const goesOn of [false, true]) {
          const scope = yield* Scope.make()
          const server = yield* Scope.provide(suite.server({ engine: ["Yes."] }), scope)
          const { feed, fiber, finals } = yield* open(yield* suite.provider(server, { spare_connections: 0 }))
          yield* feed(...audio(speech), pause(1))
          yield* until("a final", () => finals().length === 1)
          yield* Scope.close(scope, Exit.void)
          yield* until("no connection", () => server.openSockets() === 0)
          yield* feed(...audio(speech))
          yield* feed(...(goesOn ? [resume, ...audio(speech), pause(2), end] : [end]))
          const exit = yield* Fiber.await(fiber)
          assert.strictEqual(Exit.isFailure(exit), goesOn)
          if (Exit.isFailure(exit)) {
            assert.deepInclude({ ...Object(Cause.squash(exit.cause)) }, {
              outcome_class: "infrastructure_failure",
              retryable: true
            })
          }
          assert.deepStrictEqual(finals().map(({ text }) => text), ["Yes."])
        }
      })))

    it.live("hears everything when the caller goes on while such an end is waited for", () =>
      Effect.scoped(Effect.gen(function*() {
        const slow = async (pcm: Int16Array) => {
          await new Promise((due) => setTimeout(due, 100))
          return pcm.length > 1_600 ? "Part." : ""
        }
        const { port, server } = yield* started(slow, { finalise_ms: 20, spare_connections: 0 }, true)
        const { feed, fiber, finals } = yield* open(port)
        yield* feed(...audio(speech), pause(1))
        yield* Effect.sleep(60)
        yield* feed(resume, ...audio(speech), pause(2), end)
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(finals().map(({ text }) => text), ["Part. Part."])
        assert.strictEqual(server.calls.length, 2)
      })))

    it.live("keeps as many connections ready as it is set to, uses each once, and leaves none behind", () =>
      Effect.gen(function*() {
        const server = yield* suite.server({ engine: ["Yes."] })
        yield* Effect.scoped(Effect.gen(function*() {
          const port = yield* suite.provider(server, { spare_connections: 2 })
          assert.strictEqual(server.openSockets(), 0)
          for (let round = 0; round < 5; round++) {
            assert.deepStrictEqual(textsOf(yield* recognise(port, ...audio(speech), pause(1), end)), ["Yes."])
            yield* until("two spares", () => server.openSockets() === 2)
          }
          assert.strictEqual(server.calls.length, 5)
        }))
        yield* until("none", () => server.openSockets() === 0)
      }).pipe(Effect.scoped))

    it.live("makes a new connection when the one that was ready has been closed by the vendor", () =>
      Effect.scoped(Effect.gen(function*() {
        const { port, server } = yield* started(["Yes."], { spare_connections: 1 })
        yield* recognise(port, ...audio(speech), pause(1), end)
        yield* until("a spare", () => server.openSockets() === 1)
        server.next({ kind: "refuse", status: 503 })
        // The spare is used, and the next one is refused: nobody is told.
        assert.deepStrictEqual(textsOf(yield* recognise(port, ...audio(speech), pause(1), end)), ["Yes."])
        yield* until("the refusal", () => server.calls.some(({ ended }) => ended === "faulted"))
        assert.deepStrictEqual(textsOf(yield* recognise(port, ...audio(speech), pause(1), end)), ["Yes."])
      })))
  })
}
