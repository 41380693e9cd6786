// Turn taking through the real session: what its ports are asked and tell, and what goes on record of it.
import { assert, describe, it } from "@effect/vitest"
import type { SessionConfig } from "@rspp/contracts/SessionConfig"
import type { InputOf, SessionInputType } from "@rspp/contracts/SessionInput"
import { EndOfTurnModel } from "@rspp/runtime/ports/EndOfTurnModel"
import type { TurnPrediction } from "@rspp/runtime/ports/EndOfTurnModel"
import type { Message } from "@rspp/runtime/ports/LanguageModel"
import { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import type { SpeechToText } from "@rspp/runtime/ports/SpeechToText"
import { Effect, Exit, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { literalPipeline, sessionConfigWith } from "./support/LiteralSession.ts"
import type { Partially } from "./support/LiteralSession.ts"
import { startLive } from "./support/LiveSession.ts"
import type { LiveSession } from "./support/LiveSession.ts"

const pass = (ms: number) =>
  Effect.gen(function*() {
    for (let gone = 0; gone < ms; gone += 10) yield* TestClock.adjust(10)
  })

/** A recogniser that hears the same words in each pause, 20 ms later. */
const ear = (text: string): SpeechToText["Service"]["recognise"] => (input) =>
  input.pipe(
    Stream.flatMap((item) =>
      item._tag === "Pause"
        ? Stream.fromEffect(
          Effect.as(Effect.sleep(20), { _tag: "Final" as const, text, pauseId: item.pauseId, complete: true })
        )
        : Stream.empty
    )
  )

const start = (text: string, config: Partially<SessionConfig> = {}, predict?: TurnPrediction["predict"]) =>
  Effect.provideService(
    startLive({ stt: ear(text), pipeline: literalPipeline(sessionConfigWith(config)) }),
    EndOfTurnModel,
    predict === undefined ? undefined : { predict }
  )

const inputsOf = <T extends SessionInputType>(live: LiveSession, type: T): ReadonlyArray<InputOf<T>> =>
  live.inputs.flatMap(({ input }) => input.type === type ? [input as InputOf<T>] : [])

const over = (live: LiveSession) =>
  Effect.gen(function*() {
    yield* live.hangUp
    yield* pass(300)
    assert.isTrue(Exit.isSuccess(yield* Fiber.await(live.fiber)))
  })

/** The caller speaks; frames say where its stream is. */
const speak = (live: LiveSession, fromMs: number, toMs: number) =>
  Effect.gen(function*() {
    for (let at = fromMs; at < toMs + 200; at += 20) {
      live.ingress.audio({ sampleIndex: at * 16, samples: new Int16Array(320) })
      yield* TestClock.adjust(20)
      if (at === fromMs) live.edge({ edge: "speech_started", sampleIndex: fromMs * 16 })
    }
    live.edge({ edge: "speech_ended", sampleIndex: toMs * 16 })
    yield* TestClock.adjust(1)
  })

const proposals = (live: LiveSession) => live.signals().filter((name) => name === "turn_open_proposed").length

describe("the end-of-turn model of a session", () => {
  const config = {
    end_of_turn: { enabled: true, timeout_ms: 100, likely_percent: 70, unlikely_percent: 30 },
    endpointing: { min_ms: 300, unfinished_ms: 800, max_ms: 1500 }
  } as const

  it.effect("is given the conversation with the words of this pause last, and decides", () =>
    Effect.gen(function*() {
      const asked: Array<ReadonlyArray<Message>> = []
      const live = yield* start("book a table", config, (messages) => {
        asked.push(messages)
        return Effect.as(Effect.sleep(10), -3.2)
      })
      yield* speak(live, 0, 400)
      yield* pass(900)
      assert.deepStrictEqual(asked, [[{ role: "user", text: "book a table" }]])
      assert.deepStrictEqual(inputsOf(live, "turn_prediction").map(({ pause_id, percent }) => [pause_id, percent]), [
        [1, 0]
      ])
      assert.strictEqual(proposals(live), 0, "unlikely: it waits for max_ms")
      yield* pass(600)
      assert.strictEqual(proposals(live), 1)
      yield* over(live)
    }))

  const failure = new ProviderFailure({ provider_id: "m", outcome_class: "overload", retryable: true, message: "429" })
  const reasons: ReadonlyArray<readonly [string, TurnPrediction["predict"] | undefined]> = [
    ["timeout", () => Effect.never],
    ["overload", () => Effect.fail(failure)],
    ["provider_defect", () => {
      throw new Error("a bug in an adapter")
    }],
    ["not_a_number", () => Effect.succeed(Number.NaN)],
    ["no_model", undefined]
  ]
  it.effect.each(reasons)(
    "that gives no answer is on record with the reason, and the cue decides: %s",
    ([reason, predict]) =>
      Effect.gen(function*() {
        const live = yield* start("book a table", config, predict)
        yield* speak(live, 0, 400)
        yield* pass(600)
        assert.deepStrictEqual(inputsOf(live, "turn_prediction").map((input) => [input.percent, input.reason]), [
          [undefined, reason]
        ])
        assert.strictEqual(proposals(live), 1)
        yield* over(live)
      })
  )
})

describe("the key of a caller", () => {
  it.effect("goes on record and makes the turn", () =>
    Effect.gen(function*() {
      const live = yield* start("hello", { turn_detection: "push_to_talk" })
      live.ingress.pushToTalk("pressed")
      yield* pass(500)
      assert.strictEqual(proposals(live), 0)
      live.ingress.pushToTalk("released")
      yield* pass(100)
      assert.deepStrictEqual(inputsOf(live, "push_to_talk").map(({ state }) => state), ["pressed", "released"])
      assert.strictEqual(proposals(live), 1)
      yield* over(live)
    }))
})

describe("a transcript", () => {
  it.effect.each([["Mhm, okay.", true], ["Okay, stop.", false]] as const)(
    "says whether it is a sign of attention: %s",
    ([text, is]) =>
      Effect.gen(function*() {
        const live = yield* start(text, { barge_in: { backchannel: ["mhm", "okay"] } })
        yield* speak(live, 0, 400)
        yield* pass(300)
        assert.deepStrictEqual(inputsOf(live, "transcript").map(({ handle }) => handle.facts?.backchannel), [is])
        yield* over(live)
      })
  )

  it.effect("does not where the session has no such words", () =>
    Effect.gen(function*() {
      const live = yield* start("Mhm.")
      yield* speak(live, 0, 400)
      yield* pass(300)
      assert.deepStrictEqual(inputsOf(live, "transcript").map(({ handle }) => handle.facts), [
        { words: 1, complete: true }
      ])
      yield* over(live)
    }))
})

describe("a typed text", () => {
  it.effect("that the client sends again with its key is one turn", () =>
    Effect.gen(function*() {
      const live = yield* start("hello")
      for (let i = 0; i < 3; i++) live.ingress.text("hello", "client-7")
      yield* pass(100)
      assert.strictEqual(proposals(live), 1)
      yield* over(live)
    }))
})

describe("an idle caller", () => {
  it.effect("ends the session by itself where it is told to", () =>
    Effect.gen(function*() {
      const live = yield* start("hello", { idle: { timeout_ms: 1000, hang_up_after: 2 } })
      yield* pass(1900)
      assert.isUndefined(live.fiber.pollUnsafe())
      yield* pass(300)
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(live.fiber)))
      assert.deepStrictEqual(live.closings, ["ended"])
      const [end] = live.outputs.flatMap((output) =>
        output.record === "command" && output.command.type === "end_session" ? [output.command.reason] : []
      )
      assert.strictEqual(end, "idle")
    }))
})
