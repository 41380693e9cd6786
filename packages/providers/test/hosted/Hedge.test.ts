import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { hedged } from "@rspp/providers/hosted/Hedge"
import type { GivenSettings } from "@rspp/providers/hosted/Instance"
import { makeInstance } from "@rspp/providers/hosted/Instance"
import { adapter } from "@rspp/providers/llm/OpenAiCompatibleLanguageModel"
import { adapter as elevenLabs } from "@rspp/providers/tts/ElevenLabsHttp"
import { adapter as openAi } from "@rspp/providers/tts/OpenAiSpeech"
import { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import { ProviderUsage, UsageSum } from "@rspp/runtime/ports/ProviderUsage"
import type { Usage } from "@rspp/runtime/ports/ProviderUsage"
import { elevenLabsServer } from "../servers/ElevenLabsServer.ts"
import { openAiServer } from "../servers/OpenAiServer.ts"
import { openAiSpeechServer } from "../servers/OpenAiSpeechServer.ts"

const failure = (message: string): ProviderFailure =>
  new ProviderFailure({ provider_id: "test/model", outcome_class: "infrastructure_failure", retryable: true, message })

/** One attempt: what it says, when (ms after its start), and how it ends. */
interface Attempt {
  readonly says?: ReadonlyArray<readonly [atMs: number, word: string]>
  readonly failsAtMs?: number
}

/** Attempts in their order, and what became of them. */
const scripted = (...attempts: ReadonlyArray<Attempt>) => {
  const log: Array<string> = []
  let begun = 0
  const stream = Stream.suspend(() => {
    const number = ++begun
    log.push(`${number} begins`)
    const { failsAtMs, says = [] } = attempts[number - 1] ?? {}
    let at = 0
    const words = Stream.fromIterable(says).pipe(
      Stream.mapEffect(([atMs, word]) => {
        const wait = atMs - at
        at = atMs
        return Effect.as(Effect.sleep(wait), word)
      })
    )
    const end = failsAtMs === undefined
      ? Stream.empty
      : Stream.fromEffect(
        Effect.andThen(Effect.suspend(() => Effect.sleep(failsAtMs - at)), Effect.fail(failure(`${number}`)))
      )
    return Stream.concat(words, end).pipe(
      Stream.onExit((exit) => Effect.sync(() => log.push(`${number} ${exit._tag === "Success" ? "ends" : "is over"}`)))
    )
  })
  return { stream, log }
}

/** Runs a hedged stream on virtual time: its words, how it failed, and how much was reported. */
const run = (afterMs: number | undefined, ...attempts: ReadonlyArray<Attempt>) =>
  Effect.gen(function*() {
    const { log, stream } = scripted(...attempts)
    const words: Array<string> = []
    const used: Array<Usage> = []
    const fiber = yield* Effect.forkChild(
      Stream.runForEach(hedged(afterMs, stream), (word) => Effect.sync(() => void words.push(word))).pipe(
        Effect.provideService(ProviderUsage, { report: (usage) => void used.push(usage) }),
        Effect.result
      )
    )
    yield* TestClock.adjust("1 minute")
    const result = yield* Fiber.join(fiber)
    return { failure: result._tag === "Failure" ? result.failure.message : undefined, words, log, used }
  })

describe("Hedged requests", () => {
  it.effect("do not begin a second time when the first speaks in time, however long it takes then", () =>
    Effect.gen(function*() {
      const { failure, log, used, words } = yield* run(100, { says: [[99, "a"], [5_000, "b"]] })
      assert.deepStrictEqual([words, failure, used], [["a", "b"], undefined, []])
      assert.deepStrictEqual(log, ["1 begins", "1 ends"])
    }))

  it.effect("begin a second time when nothing came; the second one wins, the first one is interrupted", () =>
    Effect.gen(function*() {
      const { failure, log, used, words } = yield* run(100, { says: [[900, "late"]] }, { says: [[50, "a"], [70, "b"]] })
      assert.deepStrictEqual([words, failure, used], [["a", "b"], undefined, [{ attempts: 1 }]])
      assert.deepStrictEqual(log, ["1 begins", "2 begins", "1 is over", "2 ends"])
    }))

  it.effect("leave it to the first when that speaks first after all; there is never a third", () =>
    Effect.gen(function*() {
      const { log, words } = yield* run(100, { says: [[120, "a"], [2_000, "b"]] }, { says: [[50, "late"]] }, {
        says: [[0, "x"]]
      })
      assert.deepStrictEqual(words, ["a", "b"])
      assert.deepStrictEqual(log, ["1 begins", "2 begins", "2 is over", "1 ends"])
    }))

  it.effect("count a regular end as speaking", () =>
    Effect.gen(function*() {
      const { failure, log, words } = yield* run(100, { says: [[900, "late"]] }, {})
      assert.deepStrictEqual([words, failure], [[], undefined])
      assert.deepStrictEqual(log, ["1 begins", "2 begins", "2 ends", "1 is over"])
    }))

  it.effect("fail at once when the first fails in time: trying again is the session's", () =>
    Effect.gen(function*() {
      const { failure, log, used } = yield* run(100, { failsAtMs: 50 }, { says: [[0, "x"]] })
      assert.strictEqual(failure, "1")
      assert.deepStrictEqual([log, used], [["1 begins", "1 is over"], []])
    }))

  it.effect("survive the failure of one of two, and fail with the second", () =>
    Effect.gen(function*() {
      const one = yield* run(100, { failsAtMs: 150 }, { says: [[100, "a"]] })
      assert.deepStrictEqual([one.words, one.failure], [["a"], undefined])
      const other = yield* run(100, { says: [[300, "a"]] }, { failsAtMs: 50 })
      assert.deepStrictEqual([other.words, other.failure], [["a"], undefined])
      const both = yield* run(100, { failsAtMs: 150 }, { failsAtMs: 100 })
      assert.deepStrictEqual([both.words, both.failure], [[], "2"])
    }))

  it.effect("fail as the chosen one fails after it spoke", () =>
    Effect.gen(function*() {
      const { failure, words } = yield* run(100, {}, {})
      assert.deepStrictEqual([words, failure], [[], undefined])
      const late = yield* run(100, { says: [[500, "x"]] }, { says: [[10, "a"]], failsAtMs: 400 })
      assert.deepStrictEqual([late.words, late.failure], [["a"], "2"])
    }))

  it.effect("are off without a time", () =>
    Effect.gen(function*() {
      const { log, words } = yield* run(undefined, { says: [[30_000, "a"]] })
      assert.deepStrictEqual(words, ["a"])
      assert.deepStrictEqual(log, ["1 begins", "1 ends"])
    }))

  it.effect("interrupt both attempts at once when they are interrupted", () =>
    Effect.gen(function*() {
      const { log, stream } = scripted({ says: [[900, "a"]] }, { says: [[900, "b"]] })
      const fiber = yield* Effect.forkChild(Stream.runDrain(hedged(100, stream)))
      yield* TestClock.adjust(200)
      assert.deepStrictEqual(log, ["1 begins", "2 begins"])
      yield* Fiber.interrupt(fiber)
      assert.sameMembers(log.slice(2), ["1 is over", "2 is over"])
    }))

  it.live("reach the vendor: the loser's request is closed, nothing stays open", () =>
    Effect.gen(function*() {
      const server = yield* openAiServer()
      const model = yield* makeInstance(adapter, "test/model", {
        base_url: server.baseUrl,
        api_key: server.key,
        model: "test-model",
        hedge_after_ms: 30,
        warm_connections: 0
      })
      const until = (what: string, holds: () => boolean) =>
        Effect.gen(function*() {
          for (let waitedMs = 0; waitedMs < 60_000 && !holds(); waitedMs += 5) yield* Effect.sleep(5)
          assert.isTrue(holds(), what)
        })
      server.next({ kind: "unanswered" })
      const used: Array<Usage> = []
      const reply = yield* Stream.mkString(model.reply([{ role: "user", text: "Hello." }])).pipe(
        Effect.provideService(ProviderUsage, { report: (usage) => void used.push(usage) })
      )
      assert.strictEqual(reply, "Good day to you. You said: Hello.")
      assert.deepInclude(used, { attempts: 1 })
      yield* until("the first request is closed, the second served", () =>
        server.calls[0]?.ended === "aborted" && server.calls[1]?.ended === "served")
      assert.strictEqual(server.calls.length, 2)
      // A call that ends while both of its requests wait leaves none.
      server.next({ kind: "unanswered" }, { kind: "slow_first", ms: 60_000 })
      const fiber = yield* Effect.forkChild(Stream.runDrain(model.reply([{ role: "user", text: "Hello." }])))
      yield* until("both requests are there", () =>
        server.calls.length === 4)
      yield* Fiber.interrupt(fiber)
      yield* until(
        "both are closed",
        () => server.calls[2]?.ended === "aborted" && server.calls[3]?.ended === "aborted"
      )
    }))

  it.live("serve voices, too: a vendor that does not answer is asked once more, and both are told of", () =>
    Effect.gen(function*() {
      const voices = [
        Effect.map(
          openAiSpeechServer(),
          (server) => ({ server, make: (given: GivenSettings) => makeInstance(openAi, "test/voice", given) })
        ),
        Effect.map(
          elevenLabsServer(),
          (server) => ({ server, make: (given: GivenSettings) => makeInstance(elevenLabs, "test/voice", given) })
        )
      ]
      for (const voice of voices) {
        const { make, server } = yield* voice
        const port = yield* make({ base_url: server.baseUrl, api_key: server.key, hedge_after_ms: 30 })
        server.next({ kind: "unanswered" })
        const sum = new UsageSum()
        const sound = yield* Stream.runCollect(port.synthesise("Good day.")).pipe(
          Effect.provideService(ProviderUsage, sum)
        )
        assert.isAbove(sound.length, 0)
        assert.deepInclude(sum.close(), { attempts: 1, characters: 2 * "Good day.".length })
      }
    }))
})
