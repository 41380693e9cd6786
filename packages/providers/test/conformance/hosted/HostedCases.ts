import { assert } from "@effect/vitest"
import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import { ProviderUsage } from "@rspp/runtime/ports/ProviderUsage"
import { Cause, Effect, Exit, Fiber, Stream } from "effect"
import { inspect } from "node:util"
import { workSpy } from "../../support/WorkSpy.ts"
import type { Driven, HostedCase, Output } from "./HostedCase.ts"

/** How often the many cycles of the last case start and cancel a call. */
export const manyCycles = 1000

/** Longest wait for a fact, ms: generous, for a machine that does other things. */
const factMs = 20_000

const until = (what: string, condition: () => boolean): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (let waited = 0; !condition(); waited += 5) {
      if (waited > factMs) return yield* Effect.die(new Error(`never: ${what}`))
      yield* Effect.sleep(5)
    }
  })

const textOf = (outputs: ReadonlyArray<Output>): string =>
  outputs.filter(({ partial }) => partial !== true).map(({ text = "" }) => text).join("")

const samplesOf = (outputs: ReadonlyArray<Output>): number =>
  outputs.reduce((sum, { samples }) => sum + (samples?.length ?? 0), 0)

/** What a call gave until it ended, and how it failed. Nothing that it says has the key in it. */
const outcomeOf = (driven: Driven, words?: string) =>
  Effect.gen(function*() {
    const outputs: Array<Output> = []
    const exit = yield* Effect.exit(
      Stream.runForEach(driven.call(words), (output) => Effect.sync(() => void outputs.push(output)))
    )
    if (Exit.isSuccess(exit)) return { outputs, failure: undefined }
    const failure = Cause.squash(exit.cause) as ProviderFailure
    for (
      const said of [JSON.stringify(failure), inspect(failure, { depth: 9 }), Cause.pretty(exit.cause), failure.stack]
    ) {
      assert.notInclude(said, driven.server.key, "the key is told")
    }
    assert.strictEqual(failure._tag, "ProviderFailure", `not a ProviderFailure: ${inspect(failure)}`)
    return { outputs, failure }
  })

const failsWith = (
  { failure }: { readonly failure: ProviderFailure | undefined },
  outcome_class: ProviderFailure["outcome_class"],
  retryable: boolean
): void => {
  assert.isDefined(failure, `did not fail; ${outcome_class} was expected`)
  assert.deepInclude({ ...failure }, { outcome_class, retryable }, failure?.message)
}

/** A call that is served well gives what it should. */
const servedWell = (driven: Driven): Effect.Effect<ReadonlyArray<Output>> =>
  Effect.gen(function*() {
    const { failure, outputs } = yield* outcomeOf(driven)
    assert.isUndefined(failure, failure?.message)
    if (driven.expected === undefined) assert.isAbove(samplesOf(outputs), 8_000, "half a second of speech, at least")
    else assert.strictEqual(textOf(outputs), driven.expected)
    return outputs
  })

/** Runs a call in the background and cancels it when `when` is true of it. The cancel is prompt, and nothing comes after it. */
const cancelledWhen = (driven: Driven, what: string, when: (outputs: ReadonlyArray<Output>) => boolean) =>
  Effect.gen(function*() {
    const { layer, spy } = workSpy()
    const outputs: Array<Output> = []
    const fiber = yield* Effect.forkChild(
      Stream.runForEach(driven.call(), (output) => Effect.sync(() => void outputs.push(output))).pipe(
        Effect.provide(layer)
      ),
      { startImmediately: true }
    )
    yield* until(what, () => when(outputs))
    const before = outputs.length
    const began = performance.now()
    yield* Fiber.interrupt(fiber)
    const took = performance.now() - began
    assert.isBelow(took, 1000, "a cancel waits for nobody")
    assert.strictEqual(spy.running, 0, "work is left that is measured")
    yield* Effect.sleep(20)
    assert.strictEqual(outputs.length, before, "something came after the cancel")
    return outputs
  })

const lastCall = ({ server }: Driven) => server.calls[server.calls.length - 1]

const begun = (driven: Driven) => {
  const calls = driven.server.calls.length
  return () => driven.server.calls.length > calls
}

/** No socket is left that was not there before. */
const socketsAsBefore = (driven: Driven, before: number) =>
  until(`as many sockets as before (${before})`, () => driven.server.openSockets() <= before)

/** Sockets that a provider keeps open between calls are there after one: the baseline. */
const warm = (driven: Driven) =>
  Effect.gen(function*() {
    yield* servedWell(driven)
    yield* Effect.sleep(50)
    return driven.server.openSockets()
  })

/** Every case of the table, in the order of its columns. */
export const hostedCases: ReadonlyArray<HostedCase> = [
  {
    name: "streams",
    promise: "a well-served call gives everything, in order, as it comes, tells what it used, and ends",
    run: (driven) =>
      Effect.gen(function*() {
        const used: Array<unknown> = []
        const outputs = yield* servedWell(driven).pipe(
          Effect.provideService(ProviderUsage, { report: (usage) => used.push(usage) })
        )
        if (driven.streaming) assert.isAbove(outputs.length, 1, "everything came at once")
        assert.isAbove(used.length, 0, "no usage was told")
        yield* until("the call has ended for the server, too", () => lastCall(driven)?.ended === "served")
        for (const { samples } of outputs) {
          if (samples !== undefined) {
            assert.strictEqual(samples.buffer.byteLength, samples.byteLength, "a shared buffer")
          }
        }
      })
  },
  {
    name: "cancel: connecting",
    promise: "a cancel before the vendor has answered ends the call at once and leaves no socket",
    run: (driven) =>
      Effect.gen(function*() {
        const before = yield* warm(driven)
        driven.server.next({ kind: "unanswered" })
        const isBegun = begun(driven)
        let looked = 0
        // A connection that is not answered may never become a call of the server: it is enough that there was time.
        yield* cancelledWhen(driven, "begun", () => isBegun() || ++looked > 20)
        yield* socketsAsBefore(driven, before)
        // An unanswered connection that nobody took must not be left to the next call.
        const { failure } = yield* outcomeOf(yield* driven.withSettings({ connect_ms: 300, first_result_ms: 300 }))
        if (failure !== undefined) assert.strictEqual(failure.outcome_class, "timeout")
        yield* servedWell(driven)
      })
  },
  {
    name: "cancel: before output",
    promise: "a cancel before the first output reaches the vendor and leaves no socket",
    run: (driven) =>
      Effect.gen(function*() {
        const before = yield* warm(driven)
        driven.server.next({ kind: "slow_first", ms: 60_000 })
        yield* cancelledWhen(driven, "the vendor has the call", begun(driven))
        yield* until("the vendor knows of the cancel", () => lastCall(driven)?.ended === "aborted")
        yield* socketsAsBefore(driven, before)
        yield* servedWell(driven)
      })
  },
  {
    name: "cancel: mid-stream",
    promise: "a cancel in the middle reaches the vendor, and nothing comes after it",
    run: (driven) =>
      Effect.gen(function*() {
        const before = yield* warm(driven)
        driven.server.next({ kind: "stall", after: 1 })
        const isBegun = begun(driven)
        yield* cancelledWhen(
          driven,
          "the first output",
          (outputs) => driven.streaming ? outputs.length > 0 : isBegun()
        )
        yield* until("the vendor knows of the cancel", () => lastCall(driven)?.ended === "aborted")
        yield* socketsAsBefore(driven, before)
        yield* servedWell(driven)
      })
  },
  {
    name: "cancel: at the end",
    promise: "a cancel that meets the end of the answer harms nothing",
    run: (driven) =>
      Effect.gen(function*() {
        const outputs = yield* servedWell(driven)
        const before = driven.server.openSockets()
        for (let round = 0; round < 5; round++) {
          const some = yield* Stream.runCollect(Stream.take(driven.call(), outputs.length))
          assert.isAbove(some.length, 0)
        }
        yield* socketsAsBefore(driven, Math.max(before, 1))
        yield* servedWell(driven)
      }).pipe(Effect.orDie)
  },
  {
    name: "slow start",
    promise: "a slow first output is waited for, within the bound",
    run: (driven) =>
      Effect.gen(function*() {
        driven.server.next({ kind: "slow_first", ms: 300 })
        yield* servedWell(driven)
      })
  },
  {
    name: "no answer",
    promise: "a vendor that takes the connection and says nothing is a timeout, which may be tried again",
    run: (driven) =>
      Effect.gen(function*() {
        const before = yield* warm(driven)
        // A provider without spare connections: they would be answered before the fault.
        const other = yield* driven.withSettings({ connect_ms: 300, first_result_ms: 300, stall_ms: 300 })
        other.server.next({ kind: "unanswered" })
        failsWith(yield* outcomeOf(other), "timeout", true)
        yield* socketsAsBefore(driven, before + 1)
      })
  },
  {
    name: "stall",
    promise: "silence in the middle of an answer is a timeout, which may be tried again",
    run: (driven) =>
      Effect.gen(function*() {
        const other = yield* driven.withSettings({ stall_ms: 300 })
        yield* servedWell(other)
        other.server.next({ kind: "stall", after: 1 })
        failsWith(yield* outcomeOf(other), "timeout", true)
        yield* servedWell(other)
      })
  },
  {
    name: "cut",
    promise: "a connection that is cut in the middle fails the call, after what came; the next one is well",
    run: (driven) =>
      Effect.gen(function*() {
        driven.server.next({ kind: "cut", after: 1 })
        failsWith(yield* outcomeOf(driven), "infrastructure_failure", true)
        yield* servedWell(driven)
      })
  },
  {
    name: "malformed",
    promise: "what is not the protocol fails the call; the next one is well",
    run: (driven) =>
      Effect.gen(function*() {
        driven.server.next({ kind: "malformed", after: 1 })
        failsWith(yield* outcomeOf(driven), "infrastructure_failure", true)
        yield* servedWell(driven)
      })
  },
  {
    name: "401",
    promise: "a key that is refused is blocked, not retryable, and is not repeated in what is said",
    run: (driven) =>
      Effect.gen(function*() {
        driven.server.next({ kind: "refuse", status: 401 })
        const fresh = yield* driven.withSettings({})
        failsWith(yield* outcomeOf(fresh), "blocked", false)
        const key = "sk-wrong-0123456789abcdefghij"
        const { failure } = yield* outcomeOf(yield* driven.withSettings({ api_key: key }))
        failsWith({ failure }, "blocked", false)
        assert.notInclude(inspect(failure, { depth: 9 }), key)
      })
  },
  {
    name: "429",
    promise: "a rate limit is overload, retryable, with the wait that the vendor asks for",
    run: (driven) =>
      Effect.gen(function*() {
        const fresh = yield* driven.withSettings({})
        driven.server.next({ kind: "refuse", status: 429, retryAfterSeconds: 2 })
        const { failure } = yield* outcomeOf(fresh)
        failsWith({ failure }, "overload", true)
        assert.strictEqual(failure?.retryAfterMs, 2000)
        yield* servedWell(fresh)
      })
  },
  {
    name: "5xx, then well",
    promise: "a vendor's own failure may be tried again, and the next call is well",
    run: (driven) =>
      Effect.gen(function*() {
        const fresh = yield* driven.withSettings({})
        driven.server.next({ kind: "refuse", status: 500 }, { kind: "refuse", status: 502 })
        failsWith(yield* outcomeOf(fresh), "infrastructure_failure", true)
        failsWith(yield* outcomeOf(fresh), "infrastructure_failure", true)
        yield* servedWell(fresh)
      })
  },
  {
    name: "vendor's error",
    promise: "an error that the vendor tells in its own way fails the call; the next one is well",
    run: (driven) =>
      Effect.gen(function*() {
        driven.server.next({ kind: "vendor_error" })
        const { failure } = yield* outcomeOf(driven)
        assert.isDefined(failure)
        yield* servedWell(driven)
      })
  },
  {
    name: "huge message",
    promise: "a message of 32 MB is refused or taken, within bounds; the next call is well",
    run: (driven) =>
      Effect.gen(function*() {
        driven.server.next({ kind: "huge", bytes: 32_000_000 })
        const { failure, outputs } = yield* outcomeOf(driven)
        if (failure === undefined) assert.isBelow(textOf(outputs).length, 33_000_000)
        else failsWith({ failure }, "infrastructure_failure", failure.retryable)
        yield* servedWell(driven)
      })
  },
  {
    name: "duplicate final",
    promise: "a final that comes twice counts once",
    run: (driven) =>
      Effect.gen(function*() {
        driven.server.next({ kind: "duplicate_final" })
        yield* servedWell(driven)
        yield* servedWell(driven)
      })
  },
  {
    name: "late chunk",
    promise: "what the vendor sends after a cancel belongs to no later call",
    run: (driven) =>
      Effect.gen(function*() {
        driven.server.next({ kind: "late_chunk" })
        const isBegun = begun(driven)
        yield* cancelledWhen(driven, "begun", (outputs) => driven.streaming ? outputs.length > 0 : isBegun())
        const usual = samplesOf(yield* servedWell(driven))
        assert.strictEqual(samplesOf(yield* servedWell(driven)), usual, "another call's speech came along")
      })
  },
  {
    name: "empty",
    promise: "an answer without content is an end, not a failure",
    run: (driven) =>
      Effect.gen(function*() {
        driven.server.next({ kind: "empty" })
        const { failure, outputs } = yield* outcomeOf(driven)
        assert.isUndefined(failure, failure?.message)
        assert.strictEqual(textOf(outputs), "")
        assert.strictEqual(samplesOf(outputs), 0)
        yield* servedWell(driven)
      })
  },
  {
    name: "wrong type",
    promise: "a page instead of the protocol fails the call, which is not tried again; the next one is well",
    run: (driven) =>
      Effect.gen(function*() {
        const fresh = yield* driven.withSettings({})
        driven.server.next({ kind: "wrong_content_type" })
        const { failure } = yield* outcomeOf(fresh)
        failsWith({ failure }, "infrastructure_failure", false)
        yield* servedWell(fresh)
      })
  },
  {
    name: "unicode",
    promise: "words of every script arrive as they are, whatever the pieces are cut into",
    run: (driven) =>
      Effect.gen(function*() {
        const words = "Grüße, 你好, Привет, שלום, 🎉👩‍👩‍👧 naïve"
        const { failure, outputs } = yield* outcomeOf(driven, words)
        assert.isUndefined(failure, failure?.message)
        const at = driven.wordsAtServer(driven.server.calls.length - 1)
        if (at !== undefined) assert.include(at, words)
        if (driven.expected !== undefined) assert.include(textOf(outputs), words)
      })
  },
  {
    name: "long session",
    promise: "a hundred calls one after the other are all well, over a bounded number of sockets",
    run: (driven) =>
      Effect.gen(function*() {
        const before = yield* warm(driven)
        let most = 0
        for (let i = 0; i < 100; i++) {
          yield* servedWell(driven)
          most = Math.max(most, driven.server.openSockets())
        }
        assert.isAtMost(most, before + 4, "sockets pile up")
        yield* socketsAsBefore(driven, before)
      })
  },
  {
    name: "1,000 cancels",
    promise: "after a thousand calls that were started and cancelled there are no more sockets than before (S18)",
    run: (driven) =>
      Effect.gen(function*() {
        const before = yield* warm(driven)
        for (let i = 0; i < manyCycles; i++) {
          // At every phase: at once, while it connects, when it is under way.
          const fiber = yield* Effect.forkChild(Stream.runDrain(driven.call()), { startImmediately: true })
          const turns = i % 4
          if (turns === 3) yield* Effect.sleep(i % 7)
          else for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow
          yield* Fiber.interrupt(fiber)
        }
        yield* socketsAsBefore(driven, before)
        yield* servedWell(driven)
      })
  }
]
