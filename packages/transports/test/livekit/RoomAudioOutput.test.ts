import type { AudioFrame } from "@livekit/rtc-node"
import { frameSamples } from "@rspp/runtime/ports/AudioFrame"
import { type FrameSink, RoomAudioOutput } from "@rspp/transports/livekit/RoomAudioOutput"
import { roomFailure } from "@rspp/transports/livekit/RoomFailure"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"

/** A native source whose confirmations come when the test says so. */
const makeSink = () => {
  const captured: Array<AudioFrame> = []
  const pending: Array<{ readonly resolve: () => void; readonly reject: (cause: unknown) => void }> = []
  const log: Array<string> = []
  let most = 0
  const sink: FrameSink = {
    captureFrame: (frame) =>
      new Promise((resolve, reject) => {
        captured.push(frame)
        log.push(`capture ${frame.data[0]}`)
        pending.push({ resolve, reject })
        most = Math.max(most, pending.length)
      }),
    clearQueue: () => void log.push("clear")
  }
  /** Confirms the capture in flight, and lets everybody notice. */
  const confirm = Effect.promise(async () => {
    pending.shift()?.resolve()
    await new Promise((resolve) => setImmediate(resolve))
  })
  const refuse = (cause: unknown) =>
    Effect.promise(async () => {
      pending.shift()?.reject(cause)
      await new Promise((resolve) => setImmediate(resolve))
    })
  return { sink, captured, log, confirm, refuse, most: () => most }
}

const frame = (value: number) => new Int16Array(frameSamples).fill(value)
const start = { startImmediately: true } as const

const setup = Effect.gen(function*() {
  const source = makeSink()
  const output = new RoomAudioOutput(source.sink, { capacityMs: 100, clock: yield* Clock.Clock })
  /** Captures, and has it confirmed at once. */
  const put = (value: number) =>
    Effect.gen(function*() {
      const capture = yield* Effect.forkChild(output.capture(frame(value)), start)
      yield* source.confirm
      yield* Fiber.join(capture)
    })
  return { ...source, output, put }
})

describe("RoomAudioOutput", () => {
  it.effect("has one capture in flight at most, also when the one before was interrupted (R1)", () =>
    Effect.gen(function*() {
      const { captured, confirm, most, output } = yield* setup
      const first = yield* Effect.forkChild(output.capture(frame(1)), start)
      yield* Fiber.interrupt(first)
      const second = yield* Effect.forkChild(output.capture(frame(2)), start)
      assert.strictEqual(captured.length, 1)
      yield* confirm
      yield* confirm
      yield* Fiber.join(second)
      assert.strictEqual(captured.length, 2)
      assert.strictEqual(most(), 1)
    }))

  it.effect("captures from a buffer of exactly the frame's size (R2)", () =>
    Effect.gen(function*() {
      const { captured, confirm, output } = yield* setup
      const all = new Int16Array(frameSamples * 3).map((_, i) => i)
      const capture = yield* Effect.forkChild(output.capture(all.subarray(frameSamples, frameSamples * 2)), start)
      yield* confirm
      yield* Fiber.join(capture)
      const { data, samplesPerChannel } = captured[0]!
      assert.strictEqual(samplesPerChannel, frameSamples)
      assert.strictEqual(data.byteOffset, 0)
      assert.strictEqual(data.buffer.byteLength, frameSamples * 2)
      assert.strictEqual(data[0], frameSamples)
    }))

  it.effect("counts what is queued by the clock, without the frame in flight (R4)", () =>
    Effect.gen(function*() {
      const { confirm, output, put } = yield* setup
      yield* put(1)
      yield* put(2)
      assert.strictEqual(output.queuedSamples(), 2 * frameSamples)
      const third = yield* Effect.forkChild(output.capture(frame(3)), start)
      assert.strictEqual(output.queuedSamples(), 2 * frameSamples)
      yield* confirm
      yield* Fiber.join(third)
      assert.strictEqual(output.queuedSamples(), 3 * frameSamples)
      yield* TestClock.adjust(30)
      assert.strictEqual(output.queuedSamples(), 1.5 * frameSamples)
      yield* TestClock.adjust(100)
      assert.strictEqual(output.queuedSamples(), 0)
      assert.strictEqual(output.capturedSamples, 3 * frameSamples)
    }))

  it.effect("makes a capture wait while its queue is full", () =>
    Effect.gen(function*() {
      const { captured, confirm, output, put } = yield* setup
      for (let i = 1; i <= 5; i++) yield* put(i)
      const sixth = yield* Effect.forkChild(output.capture(frame(6)), start)
      yield* TestClock.adjust(19)
      assert.strictEqual(captured.length, 5)
      yield* TestClock.adjust(1)
      assert.strictEqual(captured.length, 6)
      yield* confirm
      yield* Fiber.join(sixth)
    }))

  it.effect("clears at once, the frame in flight with the rest, and once more when that arrives late (R3)", () =>
    Effect.gen(function*() {
      const { confirm, log, output, put } = yield* setup
      yield* put(1)
      yield* put(2)
      const third = yield* Effect.forkChild(output.capture(frame(3)), start)
      yield* TestClock.adjust(10)
      assert.strictEqual(output.clear(), 2.5 * frameSamples)
      assert.strictEqual(output.queuedSamples(), 0)
      assert.strictEqual(output.clear(), 0)
      // Its capture is done with, whatever the native client does with it.
      yield* Fiber.join(third)
      const fourth = yield* Effect.forkChild(output.capture(frame(4)), start)
      assert.deepStrictEqual(log, ["capture 1", "capture 2", "capture 3", "clear", "clear"])
      yield* confirm
      // Cleared before anything new may follow it.
      assert.deepStrictEqual(log.slice(5), ["clear", "capture 4"])
      yield* confirm
      yield* Fiber.join(fourth)
      assert.strictEqual(output.queuedSamples(), frameSamples)
      assert.strictEqual(output.clearedSamples, 2.5 * frameSamples)
    }))

  it.effect("drops a capture that waits for room, or for a listener, when it is cleared", () =>
    Effect.gen(function*() {
      const { captured, output, put } = yield* setup
      for (let i = 1; i <= 5; i++) yield* put(i)
      const sixth = yield* Effect.forkChild(output.capture(frame(6)), start)
      output.clear()
      yield* Fiber.join(sixth)
      output.hold("nobody listens")
      const seventh = yield* Effect.forkChild(output.capture(frame(7)), start)
      output.clear()
      yield* Fiber.join(seventh)
      output.release("nobody listens")
      yield* TestClock.adjust(1_000)
      assert.strictEqual(captured.length, 5)
    }))

  it.effect("holds captures for every reason that was given", () =>
    Effect.gen(function*() {
      const { captured, confirm, output } = yield* setup
      output.hold("nobody listens")
      output.hold("reconnecting")
      const capture = yield* Effect.forkChild(output.capture(frame(1)), start)
      output.release("nobody listens")
      assert.strictEqual(captured.length, 0)
      assert.strictEqual(output.queuedSamples(), 0)
      assert.isFalse(output.accepts())
      output.release("reconnecting")
      assert.isTrue(output.accepts())
      yield* confirm
      yield* Fiber.join(capture)
      assert.strictEqual(captured.length, 1)
    }))

  it.effect("fails captures when it is closed, those that wait too, and touches the native client no more", () =>
    Effect.gen(function*() {
      const { confirm, log, output, put } = yield* setup
      for (let i = 1; i <= 4; i++) yield* put(i)
      const flying = yield* Effect.forkChild(output.capture(frame(5)), start)
      const waiting = yield* Effect.forkChild(Effect.flip(output.capture(frame(6))), start)
      output.close(roomFailure("Gone."))
      assert.strictEqual((yield* Fiber.join(waiting)).message, "Gone.")
      yield* Fiber.await(flying)
      const before = log.length
      yield* confirm
      assert.strictEqual((yield* Effect.flip(output.capture(frame(7)))).message, "Gone.")
      assert.strictEqual(output.clear(), 0)
      assert.strictEqual(log.length, before)
    }))

  it.effect("fails a capture that the native client refuses, without its secrets, and counts nothing of it", () =>
    Effect.gen(function*() {
      const { output, refuse } = yield* setup
      const capture = yield* Effect.forkChild(Effect.flip(output.capture(frame(1))), start)
      yield* refuse(new Error("InvalidState eyJabc.def.ghi"))
      const failure = yield* Fiber.join(capture)
      assert.include(failure.message, "refused")
      assert.notInclude(String(failure.cause), "eyJ")
      assert.strictEqual(output.queuedSamples(), 0)
    }))

  it.effect("knows how long the native client has owed a confirmation", () =>
    Effect.gen(function*() {
      const { confirm, output } = yield* setup
      assert.strictEqual(output.waitedMs(), 0)
      yield* Effect.forkChild(output.capture(frame(1)), start)
      yield* TestClock.adjust(700)
      assert.strictEqual(output.waitedMs(), 700)
      yield* confirm
      assert.strictEqual(output.waitedMs(), 0)
    }))

  it.effect("takes no more than 20 ms at once", () =>
    Effect.gen(function*() {
      const { output } = yield* setup
      const failure = yield* Effect.flip(output.capture(new Int16Array(frameSamples + 1)))
      assert.include(failure.message, "320 (20 ms) is the most")
    }))
})
