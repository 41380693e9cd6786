// Holds I-LANE-CONTROL, I-LANE-BOUND.
import { assert, describe, it } from "@effect/vitest"
import type { SessionInput } from "@rspp/contracts/SessionInput"
import { laneCapacity, LaneRouter } from "@rspp/runtime/events/LaneRouter"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"

const open = Effect.flatMap(LaneRouter, (router) => router.open).pipe(Effect.provide(LaneRouter.layer))
const timer = (generation: number): SessionInput => ({ type: "timer", timer: "t", generation })
const frame = (n: number) => ({ sampleIndex: n * 320, samples: new Int16Array(320) })

describe("the lanes", () => {
  it.effect("are read control first, then data, then audio, each in the order of arrival", () =>
    Effect.gen(function*() {
      const inbox = yield* open
      inbox.frame(frame(0))
      yield* inbox.data(timer(10))
      yield* inbox.data(timer(11))
      inbox.control(timer(1))
      inbox.control(timer(2))
      const order: Array<string | number> = []
      for (let next = inbox.next(); next !== undefined; next = inbox.next()) {
        order.push(next.kind === "frame" ? "frame" : next.input.type === "timer" ? next.input.generation : "?")
      }
      assert.deepStrictEqual(order, [1, 2, 10, 11, "frame"])
    }))

  it.effect("are bounded: control says when it is full, frames are refused, and data waits and keeps its order", () =>
    Effect.gen(function*() {
      const inbox = yield* open
      for (let i = 0; i < laneCapacity.control; i++) assert.isTrue(inbox.control(timer(i)))
      assert.isFalse(inbox.control(timer(-1)))
      for (let i = 0; i < laneCapacity.frames; i++) assert.isTrue(inbox.frame(frame(i)))
      assert.isFalse(inbox.frame(frame(99)))
      const producer = yield* Effect.forkChild(Effect.forEach(
        Array.from({ length: laneCapacity.data + 100 }, (_, i) => i),
        (i) => inbox.data(timer(i)),
        { discard: true }
      ))
      yield* TestClock.adjust(1)
      assert.isUndefined(producer.pollUnsafe())
      const seen: Array<number> = []
      // As the session does: read until nothing is there, then wait to be woken.
      while (seen.length < laneCapacity.data + 100) {
        const next = inbox.next()
        if (next === undefined || next.kind === "frame") yield* inbox.wait
        else if (next.lane === "DataLane" && next.input.type === "timer") seen.push(next.input.generation)
      }
      assert.deepStrictEqual(seen, Array.from({ length: laneCapacity.data + 100 }, (_, i) => i))
      yield* Fiber.join(producer)
    }))

  it.effect("wake their reader for whatever comes while it waits", () =>
    Effect.gen(function*() {
      const inbox = yield* open
      let applied = 0
      const reader = yield* Effect.forkChild(Effect.forever(Effect.suspend(() => {
        for (let next = inbox.next(); next !== undefined; next = inbox.next()) applied += 1
        return inbox.wait
      })))
      for (let i = 1; i <= 300; i++) {
        if (i % 3 === 0) inbox.frame(frame(i))
        else if (i % 3 === 1) inbox.control(timer(i))
        else yield* inbox.data(timer(i))
        if (i % 7 === 0) yield* TestClock.adjust(1)
      }
      yield* TestClock.adjust(1)
      assert.strictEqual(applied, 300)
      yield* Fiber.interrupt(reader)
    }))

  it.effect("let a producer go that waits when nobody reads any more, interruptible or not", () =>
    Effect.gen(function*() {
      const inbox = yield* open
      for (let i = 0; i < laneCapacity.data; i++) yield* inbox.data(timer(i))
      const waiting = yield* Effect.forkChild(Effect.uninterruptible(inbox.data(timer(-1))))
      yield* TestClock.adjust(1)
      assert.isUndefined(waiting.pollUnsafe())
      yield* inbox.close
      assert.isFalse(yield* Fiber.join(waiting))
      assert.isFalse(yield* inbox.data(timer(-2)))
    }))
})
