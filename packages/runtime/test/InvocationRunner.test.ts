// Holds I-INV-FIBER, I-INV-BOUND, I-INV-EPOCH.
import { assert, describe, it } from "@effect/vitest"
import type { CommandOf } from "@rspp/contracts/SessionCommand"
import type { InputOf, SessionInput } from "@rspp/contracts/SessionInput"
import { dispatcherOf } from "@rspp/runtime/events/TaskDispatcher"
import { InvocationRunner } from "@rspp/runtime/invocation/InvocationRunner"
import { ProviderManager } from "@rspp/runtime/invocation/ProviderManager"
import type { ProviderSet } from "@rspp/runtime/invocation/ProviderManager"
import { AudioHistory } from "@rspp/runtime/listening/AudioHistory"
import { ExecutionPool } from "@rspp/runtime/limits/ExecutionPool"
import { NodeHost } from "@rspp/runtime/nodes/NodeHost"
import { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import { ProviderUsage, reportUsage } from "@rspp/runtime/ports/ProviderUsage"
import { SentenceSegmenter } from "@rspp/runtime/ports/SentenceSegmenter"
import type { RecognitionInput } from "@rspp/runtime/ports/SpeechToText"
import { PayloadStore } from "@rspp/runtime/session/PayloadStore"
import { World } from "@rspp/simulation/World"
import { Effect, Exit, Layer, Queue, Scope, Stream } from "effect"
import { Scheduler } from "effect/Scheduler"
import { TestClock } from "effect/testing"
import { deafEar, oneSentence, shortVoice } from "./support/LiveSession.ts"

const graceMs = 75

const open = Effect.fnUntraced(function*(options: {
  readonly llm?: ProviderSet["llm"][number]["reply"]
  readonly tts?: ProviderSet["tts"][number]["synthesise"]
  readonly stt?: ProviderSet["stt"][number]["recognise"]
  readonly laneSize?: number
}) {
  const lane = yield* Queue.bounded<SessionInput>(options.laneSize ?? 256)
  const payloads = new PayloadStore("key")
  const history = new AudioHistory()
  const scope = yield* Scope.make()
  const services = InvocationRunner.layerNoDeps.pipe(
    Layer.provide(NodeHost.layerNoDeps),
    Layer.provide([
      ExecutionPool.layer,
      ProviderManager.layerOf({
        stt: [{ descriptor: { provider_id: "test/ear", modality: "stt" }, recognise: options.stt ?? deafEar }],
        llm: [{ descriptor: { provider_id: "test/mind", modality: "llm" }, reply: options.llm ?? oneSentence }],
        tts: [{ descriptor: { provider_id: "test/voice", modality: "tts" }, synthesise: options.tts ?? shortVoice }]
      }),
      Layer.succeed(SentenceSegmenter, { start: () => ({ push: (delta) => [delta], flush: () => undefined }) })
    ])
  )
  const runner = yield* Effect.flatMap(InvocationRunner, (service) =>
    service.open({
      payloads,
      history,
      feedBounds: { items: 50, bytes: 65_536, ms: 1000 },
      partialIntervalMs: 500,
      graceMs,
      nodes: { session_id: "s1", seed: 7, nowMs: () => 0, bound: { all: [], find: () => undefined } },
      offer: (input) => Queue.offer(lane, input),
      onPayload: () => {}
    })).pipe(Effect.provide(services, { local: true }), Scope.provide(scope))
  /** What has come in since the last look. */
  const taken = Effect.gen(function*() {
    const inputs: Array<SessionInput> = []
    for (let left = Queue.sizeUnsafe(lane); left > 0; left = Queue.sizeUnsafe(lane)) {
      inputs.push(yield* Queue.take(lane))
    }
    return inputs
  })
  return { close: Scope.close(scope, Exit.void), history, lane, payloads, runner, taken }
})

const command = (
  modality: "stt" | "llm" | "tts",
  provider_invocation_id = "inv_1"
): CommandOf<"start_invocation"> => ({
  type: "start_invocation",
  provider_invocation_id,
  node_id: modality,
  modality,
  provider_id: { stt: "test/ear", llm: "test/mind", tts: "test/voice" }[modality],
  turn_id: "turn_1",
  authority_epoch: 3,
  idempotency_key: "key_1",
  cap_ms: 1000,
  ...(modality === "stt" ? { from_sample: 0 } : {})
})

const ends = (inputs: ReadonlyArray<SessionInput>) =>
  inputs.filter((input): input is InputOf<"invocation_ended"> => input.type === "invocation_ended")

describe("a provider call", () => {
  it.effect("reports what it yields under its epoch, and then its end, once", () =>
    Effect.gen(function*() {
      const { runner, taken } = yield* open({})
      runner.start(command("llm"))
      yield* TestClock.adjust(60)
      const inputs = yield* taken
      assert.deepStrictEqual(inputs.map(({ type }) => type), ["text_delta", "segment", "invocation_ended"])
      assert.isTrue(inputs.every((input) => input.type === "invocation_ended" || input.authority_epoch === 3))
      runner.cancel("inv_1", "barge_in")
      yield* TestClock.adjust(1000)
      assert.lengthOf(yield* taken, 0, "a cancel of what has ended is nothing")
    }))

  it.live("begins at once when nobody else decides, and else when all have decided; a cancel before that ends it", () =>
    Effect.gen(function*() {
      const order: Array<string> = []
      let called = 0
      const llm: ProviderSet["llm"][number]["reply"] = () => {
        order.push(`call ${++called}`)
        return Stream.succeed("It is noon. ")
      }
      const { runner, taken } = yield* open({ llm })
      const { scheduleFirst } = dispatcherOf(yield* Scheduler)
      const decides = (id: string, more: () => void = () => {}) =>
        scheduleFirst?.(() => {
          order.push(`${id} decides`)
          runner.start(command("llm", id))
          more()
          order.push(`${id} has decided`)
        })
      decides("inv_1")
      decides("inv_2", () => runner.cancel("inv_2", "barge_in"))
      decides("inv_3")
      const inputs: Array<SessionInput> = []
      while (ends(inputs).length < 3) {
        yield* Effect.yieldNow
        inputs.push(...(yield* taken))
      }
      const decided = ["inv_1", "inv_2", "inv_3"].flatMap((id) => [`${id} decides`, `${id} has decided`])
      // The last of them has nobody to wait for.
      assert.deepStrictEqual(order, [...decided.slice(0, 5), "call 1", ...decided.slice(5), "call 2"])
      const outcomes = ends(inputs).map((end) => `${end.provider_invocation_id} ${end.outcome_class}`).sort()
      assert.deepStrictEqual(outcomes, ["inv_1 success", "inv_2 cancelled", "inv_3 success"])
    }))

  it.effect("of a model whose text goes to nodes gives text alone, which they can read", () =>
    Effect.gen(function*() {
      const { payloads, runner, taken } = yield* open({})
      runner.start({ ...command("llm"), emits: "text" })
      yield* TestClock.adjust(60)
      const inputs = yield* taken
      assert.deepStrictEqual(inputs.map(({ type }) => type), ["text_delta", "invocation_ended"])
      const [delta] = inputs
      assert.strictEqual(delta?.type === "text_delta" ? payloads.readText(delta.handle.id) : "", "Fine.")
    }))

  it.effect("that fails says why, in the classes of the contract", () =>
    Effect.gen(function*() {
      const failure = new ProviderFailure({
        provider_id: "test/mind",
        outcome_class: "overload",
        retryable: true,
        message: "busy"
      })
      const { runner, taken } = yield* open({ llm: () => Stream.fail(failure) })
      runner.start(command("llm"))
      yield* TestClock.adjust(1)
      const [end, ...more] = ends(yield* taken)
      assert.lengthOf(more, 0)
      assert.deepInclude(end, { outcome_class: "overload", retryable: true, reason: "busy" })
    }))

  it.effect("that fails says how long its vendor asked to wait, where that may help", () =>
    Effect.gen(function*() {
      const failure = (retryable: boolean, retryAfterMs: number) =>
        new ProviderFailure({
          provider_id: "test/mind",
          outcome_class: "overload",
          retryable,
          message: "busy",
          retryAfterMs
        })
      const asked = [
        failure(true, 1500.2),
        failure(true, 0),
        failure(true, 1e300),
        failure(true, -1),
        failure(false, 5)
      ]
      const { runner, taken } = yield* open({ llm: () => Stream.fail(asked.shift() ?? failure(false, 0)) })
      for (const id of ["inv_1", "inv_2", "inv_3", "inv_4", "inv_5"]) {
        runner.start(command("llm", id))
        yield* TestClock.adjust(1)
      }
      assert.deepStrictEqual(ends(yield* taken).map((end) => end.retry_after_ms), [
        1501,
        0,
        86_400_000,
        undefined,
        undefined
      ])
    }))

  it.effect("tells what its adapter reports that it used, added up, and nothing that comes after its end", () =>
    Effect.gen(function*() {
      const tellers: Array<typeof ProviderUsage.Service> = []
      const llm: ProviderSet["llm"][number]["reply"] = () =>
        Stream.fromEffect(Effect.gen(function*() {
          yield* reportUsage({ input_tokens: 40, attempts: 1 })
          yield* reportUsage({ input_tokens: 2, output_tokens: 0, audio_ms: 12.6, characters: Number.NaN })
          const teller = yield* ProviderUsage
          tellers.push(teller)
          teller.report({ output_tokens: 7, input_tokens: -9 })
          return "Fine. "
        }))
      const { runner, taken } = yield* open({ llm })
      runner.start(command("llm"))
      yield* TestClock.adjust(1)
      tellers[0]?.report({ output_tokens: 100 })
      runner.start(command("llm", "inv_2"))
      yield* TestClock.adjust(1)
      const [first, second] = ends(yield* taken)
      assert.deepInclude(first, { attempts: 2, usage: { input_tokens: 42, output_tokens: 7, audio_ms: 13 } })
      assert.deepInclude(second, { attempts: 2, usage: { input_tokens: 42, output_tokens: 7, audio_ms: 13 } })
    }))

  it.effect("of a provider that reports nothing, or is cancelled, tells only what is known", () =>
    Effect.gen(function*() {
      const llm: ProviderSet["llm"][number]["reply"] = () =>
        Stream.fromEffect(Effect.andThen(reportUsage({ input_tokens: 3 }), Effect.never))
      const { runner, taken } = yield* open({ llm })
      runner.start(command("llm"))
      runner.start(command("tts", "inv_2"))
      yield* TestClock.adjust(1)
      runner.cancel("inv_1", "barge_in")
      yield* TestClock.adjust(1000)
      const [one, two] = ends(yield* taken).sort((a, b) => a.provider_invocation_id < b.provider_invocation_id ? -1 : 1)
      assert.deepInclude(one, { outcome_class: "cancelled", attempts: 1, usage: { input_tokens: 3 } })
      assert.isFalse(two !== undefined && "usage" in two)
    }))

  it.effect("of a voice says with a chunk how far it has spoken, where the voice knows", () =>
    Effect.gen(function*() {
      const tts: ProviderSet["tts"][number]["synthesise"] = () =>
        Stream.make(
          { samples: new Int16Array(1600), spokenChars: 4.9 },
          new Int16Array(1600),
          // In pieces of 100 ms: it is known at the end of the last.
          { samples: new Int16Array(4800), spokenChars: 12 },
          { samples: new Int16Array(320), spokenChars: Number.NaN }
        )
      const { runner, taken } = yield* open({ tts })
      runner.start(command("tts"))
      yield* TestClock.adjust(1)
      const chunks = (yield* taken).flatMap((input) => input.type === "voice_chunk" ? [input.handle] : [])
      assert.deepStrictEqual(chunks.map(({ facts, length }) => [length, facts?.spoken_chars]), [
        [1600, 4],
        [1600, undefined],
        [1600, undefined],
        [1600, undefined],
        [1600, 12],
        [320, undefined]
      ])
    }))

  it.effect("that is cancelled in the step that started it ends as cancelled, once", () =>
    Effect.gen(function*() {
      const { runner, taken } = yield* open({})
      runner.start(command("llm"))
      runner.cancel("inv_1", "barge_in")
      runner.cancel("inv_1", "barge_in")
      yield* TestClock.adjust(1000)
      assert.deepStrictEqual((yield* taken).map(({ type }) => type), ["invocation_ended"])
    }))

  it("that is cancelled before it has run at all is over at once, and not only after the grace", () => {
    for (let seed = 1; seed <= 40; seed++) {
      const cancelled = Effect.gen(function*() {
        const { close, runner, taken } = yield* open({})
        runner.start(command("llm"))
        runner.cancel("inv_1", "by_test")
        yield* Effect.sleep(1)
        const inputs = yield* taken
        yield* close
        return ends(inputs).map(({ outcome_class }) => outcome_class)
      })
      const { exit } = new World({ seed, preemptOps: 2 }).run(cancelled)
      assert.deepStrictEqual(exit, Exit.succeed(["cancelled"] as const), `seed ${seed}`)
    }
  })

  it.effect("that is cancelled as it ends, with the lane full, ends once", () =>
    Effect.gen(function*() {
      const { runner, taken } = yield* open({ laneSize: 2 })
      runner.start(command("llm"))
      yield* TestClock.adjust(60)
      // Delta and sentence fill the lane; its end waits at the door.
      runner.cancel("inv_1", "barge_in")
      yield* TestClock.adjust(1000)
      const inputs = yield* taken
      yield* TestClock.adjust(1000)
      const all = [...inputs, ...(yield* taken)]
      assert.lengthOf(ends(all), 1)
      assert.strictEqual(all.at(-1)?.type, "invocation_ended")
    }))

  it.effect("that ignores its cancel is cut off after the grace, and nothing of it is taken later", () =>
    Effect.gen(function*() {
      const { close, runner, taken } = yield* open({
        llm: () => Stream.fromEffect(Effect.uninterruptible(Effect.as(Effect.sleep(500), "late")))
      })
      runner.start(command("llm"))
      yield* TestClock.adjust(10)
      runner.cancel("inv_1", "barge_in")
      yield* TestClock.adjust(graceMs - 1)
      assert.lengthOf(yield* taken, 0)
      yield* TestClock.adjust(1)
      assert.deepInclude(ends(yield* taken)[0], { outcome_class: "cancelled", reason: "cut_off" })
      yield* TestClock.adjust(2000)
      assert.lengthOf(yield* taken, 0)
      yield* close
    }))

  it.effect("that was held goes on when it is released, also in the middle of a long chunk", () =>
    Effect.gen(function*() {
      const { payloads, runner, taken } = yield* open({ tts: () => Stream.make(new Int16Array(160_000)) })
      runner.start(command("tts"))
      yield* TestClock.adjust(1)
      const all = ends(yield* taken)
      assert.lengthOf(all, 1)
      assert.strictEqual(payloads.waitingAudio, 100)
      runner.start(command("tts", "inv_2"))
      runner.pause("inv_2")
      runner.resume("inv_2")
      yield* TestClock.adjust(1)
      assert.lengthOf(ends(yield* taken), 1)
    }))

  it.effect("of a recogniser that does not end with its utterance ends as timed out", () =>
    Effect.gen(function*() {
      const { runner, taken } = yield* open({ stt: () => Stream.never })
      runner.start(command("stt"))
      runner.mark({ type: "mark_utterance", provider_invocation_id: "inv_1", mark: "end" })
      yield* TestClock.adjust(999)
      assert.lengthOf(yield* taken, 0)
      yield* TestClock.adjust(1)
      assert.deepInclude(ends(yield* taken)[0], { outcome_class: "timeout" })
      assert.strictEqual(runner.audio(new Int16Array(320)), 0)
    }))

  it.effect("of a recogniser is fed from the history on, each sample once, though it connects late (S12)", () =>
    Effect.gen(function*() {
      const heard: Array<number> = []
      const { history, runner } = yield* open({
        stt: (input: Stream.Stream<RecognitionInput>) =>
          Stream.concat(Stream.fromEffect(Effect.sleep(900)), input).pipe(
            Stream.tap((item) =>
              Effect.sync(() => {
                if (typeof item === "object" && item._tag === "Audio") heard.push(...item.samples)
              })
            ),
            Stream.filter(() => false)
          ) as never
      })
      const frame = (n: number) => Int16Array.from({ length: 320 }, (_, i) => 1 + n * 320 + i)
      for (let n = 0; n < 30; n++) history.push({ sampleIndex: n * 320, samples: frame(n) })
      runner.start(command("stt"))
      for (let n = 30; n < 90; n++) {
        assert.strictEqual(runner.audio(frame(n)), 0)
        yield* TestClock.adjust(20)
      }
      runner.mark({ type: "mark_utterance", provider_invocation_id: "inv_1", mark: "end" })
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(heard, Array.from({ length: 90 * 320 }, (_, i) => 1 + i))
    }))
})

describe("the runner's scope", () => {
  it.effect("closes though a call ignores interruption and the lane takes nothing", () =>
    Effect.gen(function*() {
      const { close, lane, runner } = yield* open({
        laneSize: 1,
        llm: () => Stream.fromEffect(Effect.uninterruptible(Effect.never))
      })
      runner.start(command("llm"))
      runner.start(command("tts", "inv_2"))
      yield* TestClock.adjust(100)
      yield* Queue.shutdown(lane)
      const closing = yield* Effect.forkChild(close)
      yield* TestClock.adjust(graceMs)
      assert.isDefined(closing.pollUnsafe())
    }))
})

describe("speech that nobody takes", () => {
  it.effect("goes with its turn, and what comes after a cancel is not kept at all", () =>
    Effect.gen(function*() {
      const { payloads, runner } = yield* open({
        tts: () =>
          Stream.range(1, 50).pipe(
            Stream.mapEffect(() => Effect.uninterruptible(Effect.as(Effect.sleep(10), new Int16Array(320))))
          )
      })
      for (let turn = 0; turn < 20; turn++) {
        runner.start(command("tts", `inv_${turn}`))
        yield* TestClock.adjust(55)
        assert.isAbove(payloads.waitingAudio, 0)
        runner.cancel(`inv_${turn}`, "barge_in")
        payloads.dropAudio("turn_1")
        yield* TestClock.adjust(200)
        assert.strictEqual(payloads.waitingAudio, 0)
      }
    }))
})
