import { assert, describe, it } from "@effect/vitest"
import { TransportFailure } from "@rspp/runtime/ports/Transport"
import { Effect, Exit, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { shortVoice, startLive } from "./support/LiveSession.ts"
import type { LiveSession } from "./support/LiveSession.ts"

/** Time goes on in small steps, so that what one step brings about can happen in the next. */
const pass = (ms: number) =>
  Effect.gen(function*() {
    for (let gone = 0; gone < ms; gone += 10) yield* TestClock.adjust(10)
  })

/** Each accepted turn has one terminal, and then its close. */
const assertWhole = (live: LiveSession) => {
  const turns = live.outputs.flatMap((output) => output.record === "plan" ? [output.plan.turn_id] : [])
  for (const turn of turns) {
    const ends = live.signals(turn).filter((name) => name === "commit" || name === "abort" || name === "close")
    assert.lengthOf(ends, 2, `${turn}: ${ends.join()}`)
    assert.strictEqual(ends[1], "close")
  }
  return turns
}

const reasonsOf = (live: LiveSession, name: string) =>
  live.outputs.flatMap((output) =>
    output.record === "signal" && output.signal.signal === name ? [output.signal.reason] : []
  )

const invocationsOf = (live: LiveSession) =>
  live.outputs.flatMap((output) => output.record === "invocation" ? [output.invocation] : [])

/** Works on, whatever it is told. */
const deafToInterruption = Stream.fromEffect(Effect.uninterruptible(Effect.never))

describe("a provider that misbehaves", () => {
  it.effect("and throws as it is called fails its call, not the session", () =>
    Effect.gen(function*() {
      let calls = 0
      const live = yield* startLive({
        llm: () => {
          if (++calls === 1) throw new Error("a bug in an adapter")
          return Stream.make("Fine.")
        }
      })
      live.ingress.text("hello")
      yield* pass(200)
      assert.deepStrictEqual(reasonsOf(live, "abort"), ["provider_failure"])
      live.ingress.text("again")
      yield* pass(1000)
      assert.include(live.signals("turn_2"), "commit")
      yield* live.hangUp
      yield* pass(200)
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(live.fiber)))
      assertWhole(live)
    }))

  it.effect("and dies in its stream fails its call, not the session", () =>
    Effect.gen(function*() {
      const live = yield* startLive({ tts: () => Stream.die(new Error("a bug in an adapter")) })
      live.ingress.text("hello")
      yield* pass(500)
      assert.deepStrictEqual(reasonsOf(live, "abort"), ["provider_failure"])
      const voice = invocationsOf(live).find(({ modality }) => modality === "tts")
      assert.strictEqual(voice?.outcome_class, "infrastructure_failure")
      assert.strictEqual(voice?.reason, "provider_defect")
      yield* live.hangUp
      yield* pass(200)
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(live.fiber)))
    }))

  it.effect("and ignores interruption is cut off when the grace of its cancel is over", () =>
    Effect.gen(function*() {
      const live = yield* startLive({ llm: () => deafToInterruption })
      live.ingress.text("hello")
      yield* pass(50)
      live.ingress.text("never mind")
      yield* pass(200)
      assert.deepStrictEqual(live.signals("turn_1").slice(-3), ["cancel", "abort", "close"])
      const [call] = invocationsOf(live)
      assert.strictEqual(call?.outcome_class, "cancelled")
      assert.closeTo(call!.cancel_ack_ms! - call!.cancel_sent_ms!, 75, 1)
      yield* live.hangUp
      yield* pass(1000)
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(live.fiber)), "the session does not wait for it")
      assertWhole(live)
    }))

  it.effect("and misses the end of its utterance does not hold up the end of the session (S13)", () =>
    Effect.gen(function*() {
      // It gives its final at once, and waits on.
      const live = yield* startLive({
        stt: (input) =>
          input.pipe(
            Stream.filter((item) => item._tag === "Pause"),
            Stream.map(({ pauseId }) => ({ _tag: "Final" as const, text: "yes", pauseId, complete: true })),
            Stream.concat(Stream.never)
          )
      })
      for (let i = 0; i < 100; i++) {
        live.ingress.audio({ sampleIndex: i * 320, samples: new Int16Array(320) })
        if (i === 10) live.edge({ edge: "speech_started", sampleIndex: 8 * 320 })
        if (i === 60) live.edge({ edge: "speech_ended", sampleIndex: 45 * 320 })
        yield* TestClock.adjust(20)
      }
      assert.include(live.signals(), "turn_open")
      yield* live.hangUp
      yield* pass(1000)
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(live.fiber)))
      assertWhole(live)
    }))
})

describe("the end of a session", () => {
  it.effect("that is interrupted in the middle of a turn leaves its evidence complete", () =>
    Effect.gen(function*() {
      const live = yield* startLive({ llm: () => Stream.concat(Stream.make("One."), deafToInterruption) })
      live.ingress.text("hello")
      yield* pass(300)
      assert.include(live.signals("turn_1"), "playback_started")
      const stopping = yield* Effect.forkChild(Fiber.interrupt(live.fiber))
      yield* pass(600)
      assert.isDefined(stopping.pollUnsafe(), "within its 500 ms and the grace")
      assert.deepStrictEqual(assertWhole(live), ["turn_1"])
      assert.include(live.signals("turn_1"), "playback_cancelled")
      assert.deepStrictEqual(live.closings, ["interrupted"])
      assert.lengthOf(invocationsOf(live), 2)
    }))

  it.effect("comes with the error of a transport that breaks, after its turn was closed", () =>
    Effect.gen(function*() {
      const live = yield* startLive({
        output: (queue) => ({
          capacityMs: 200,
          queuedSamples: queue.queuedSamples,
          clear: queue.clear,
          capture: () => Effect.fail(new TransportFailure({ transport_id: "test/line", message: "cut" }))
        })
      })
      live.ingress.text("hello")
      yield* pass(500)
      const exit = yield* Fiber.await(live.fiber)
      const failure = Exit.findErrorOption(exit)
      assert.strictEqual(failure._tag === "Some" ? failure.value._tag : "", "TransportFailure")
      assert.deepStrictEqual(reasonsOf(live, "abort"), ["transport_disconnect_or_stall"])
      assertWhole(live)
      assert.strictEqual(live.closings.at(0), "failed")
    }))

  it.effect("comes when the control lane overflows, though providers wait at a full data lane", () =>
    Effect.gen(function*() {
      const live = yield* startLive({
        llm: () => Stream.fromIterable(Array.from({ length: 2000 }, (_, i) => `${i}.`)).pipe(Stream.rechunk(1))
      })
      live.ingress.text("hello")
      for (let i = 0; i < 5000; i++) live.edge({ edge: "speech_started", sampleIndex: i })
      yield* pass(300)
      const exit = live.fiber.pollUnsafe()
      assert.isTrue(exit !== undefined && Exit.isFailure(exit))
    }))

  it.effect("refuses a transport whose queue is too short for a frame", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(startLive({
        output: ({ capture, clear, queuedSamples }) => ({ capacityMs: 10, capture, clear, queuedSamples })
      }))
      assert.strictEqual(error._tag, "TransportFailure")
    }))
})

describe("caller audio that is lost", () => {
  it.effect("has a notice, at the end of the stream too", () =>
    Effect.gen(function*() {
      const live = yield* startLive()
      yield* pass(20)
      // All at once: the lane takes 50.
      const taken = Array.from({ length: 60 }, (_, i) =>
        live.ingress.audio({ sampleIndex: i * 320, samples: new Int16Array(320) })).filter((ok) =>
          ok
        )
      assert.lengthOf(taken, 50)
      live.ingress.audioEnded()
      yield* pass(100)
      const losses = live.inputs.flatMap(({ input }) => input.type === "media_loss" ? [input] : [])
      assert.deepStrictEqual(losses.map(({ count, first, last }) => ({ count, first, last })), [
        { count: 10, first: 50 * 320, last: 59 * 320 }
      ])
      yield* live.hangUp
      yield* pass(100)
      const exit = yield* Fiber.await(live.fiber)
      assert.isTrue(Exit.isSuccess(exit) && exit.value.lostFrames === 10)
    }))
})

describe("caller audio that is lost before the transport fails", () => {
  it.effect("has its notice: it comes before the end of the session", () =>
    Effect.gen(function*() {
      const live = yield* startLive()
      yield* pass(20)
      for (let i = 0; i < 60; i++) live.ingress.audio({ sampleIndex: i * 320, samples: new Int16Array(320) })
      yield* live.breakLine
      yield* pass(100)
      const losses = live.inputs.flatMap(({ input }) => input.type === "media_loss" ? [input.count] : [])
      assert.deepStrictEqual(losses, [10])
      assert.isTrue(Exit.isFailure(yield* Fiber.await(live.fiber)))
    }))
})

describe("a long session", () => {
  it.effect("of 200 turns, each third one cut, leaves no provider call open", () =>
    Effect.gen(function*() {
      let open = 0
      let most = 0
      const counted = <A, E>(stream: Stream.Stream<A, E>) =>
        Stream.ensuring(
          Stream.concat(Stream.fromEffect(Effect.sync(() => void (most = Math.max(most, ++open)))), stream),
          Effect.sync(() => void open--)
        ).pipe(Stream.filter((item): item is A => item !== undefined))
      const live = yield* startLive({
        llm: () => counted(Stream.fromEffect(Effect.as(Effect.sleep(50), "Fine."))),
        tts: (text) => counted(shortVoice(text))
      })
      for (let turn = 1; turn <= 200; turn++) {
        live.ingress.text(`this is ${turn}`)
        for (let i = 0; i < (turn % 3 === 0 ? 3 : 16); i++) yield* TestClock.adjust(40)
      }
      yield* pass(1000)
      assert.strictEqual(open, 0)
      assert.isAtMost(most, 3)
      yield* live.hangUp
      yield* pass(200)
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(live.fiber)))
      assert.lengthOf(assertWhole(live), 200)
      assert.isAtLeast(reasonsOf(live, "abort").length, 50)
    }))
})

describe("egress", () => {
  it.effect("plays the next turn though the caller spoke in the moment in which the last one ended", () =>
    Effect.gen(function*() {
      const live = yield* startLive()
      live.ingress.audio({ sampleIndex: 0, samples: new Int16Array(320) })
      live.ingress.text("hello")
      let paused = 0
      for (let ms = 0; ms < 3000; ms += 5) {
        yield* TestClock.adjust(5)
        if (paused === 0 && live.signals("turn_1").includes("commit") && live.queue.queuedSamples() === 0) {
          paused = ms
          live.edge({ edge: "speech_started", sampleIndex: 0 })
        }
      }
      assert.isAbove(paused, 0)
      live.ingress.text("and now")
      yield* pass(1500)
      assert.include(live.signals("turn_2"), "playback_completed")
      yield* live.hangUp
      yield* pass(200)
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(live.fiber)))
    }))
})

describe("a lease that runs out without news of it", () => {
  it.effect("counts from when its authority was asked, not from when the answer was heard", () =>
    Effect.gen(function*() {
      const live = yield* startLive({ leaseTtlMs: 1000, leaseAskedMsAgo: 900 })
      yield* pass(200)
      live.ingress.text("hello")
      yield* pass(500)
      assert.notInclude(live.signals(), "turn_open")
      assert.include(live.signals(), "deauthorized_drain")
      yield* live.hangUp
      yield* pass(200)
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(live.fiber)))
    }))

  it.effect("is over before anything else is done: no turn opens and nobody is asked", () =>
    Effect.gen(function*() {
      const live = yield* startLive({ leaseTtlMs: 1000 })
      yield* pass(1200)
      live.ingress.text("hello")
      yield* pass(500)
      const lapsed = live.inputs.flatMap(({ input }) => input.type === "lease" ? [input.status] : [])
      assert.deepStrictEqual(lapsed, ["issued", "expired"])
      assert.notInclude(live.signals(), "turn_open")
      assert.include(live.signals(), "deauthorized_drain")
      assert.deepStrictEqual(invocationsOf(live), [])
      yield* live.hangUp
      yield* pass(200)
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(live.fiber)))
    }))
})
