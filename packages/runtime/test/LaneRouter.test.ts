import { assert, describe, it } from "@effect/vitest"
import { laneCapacity, LaneRouter } from "@rspp/runtime/events/LaneRouter"
import { Ring } from "@rspp/runtime/events/Ring"
import { LossCount } from "@rspp/runtime/listening/LossCount"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

const frame = (index: number) => ({ sampleIndex: index * 320, samples: new Int16Array(320) })
const timer = (generation: number) => ({ type: "timer", timer: "t", generation }) as const

const inbox = Effect.flatMap(LaneRouter, (router) => router.open).pipe(Effect.provide(LaneRouter.layer))

describe("lane router", () => {
  it.effect("takes control before data before frames, each in order", () =>
    Effect.gen(function*() {
      const box = yield* inbox
      box.frame(frame(0))
      yield* box.data({ type: "audio_ended" })
      box.control(timer(1))
      box.control(timer(2))
      const kinds: Array<string> = []
      for (let next = box.next(); next !== undefined; next = box.next()) {
        kinds.push(next.kind === "frame" ? "frame" : next.input.type === "timer" ? `t${next.input.generation}` : "data")
      }
      assert.deepStrictEqual(kinds, ["t1", "t2", "data", "frame"])
    }))

  it.effect("refuses what has no room, and says so", () =>
    Effect.gen(function*() {
      const box = yield* inbox
      for (let i = 0; i < laneCapacity.frames; i++) assert.isTrue(box.frame(frame(i)))
      assert.isFalse(box.frame(frame(99)))
      for (let i = 0; i < laneCapacity.control; i++) assert.isTrue(box.control(timer(i)))
      assert.isFalse(box.control(timer(0)))
    }))

  it.effect("wakes its reader once for any number of arrivals, and at once when something came before", () =>
    Effect.gen(function*() {
      const box = yield* inbox
      let woken = 0
      const reader = yield* Effect.forkChild(Effect.forever(Effect.andThen(box.wait, Effect.sync(() => woken++))))
      yield* Effect.yieldNow
      box.control(timer(1))
      box.control(timer(2))
      box.frame(frame(0))
      assert.strictEqual(woken, 0, "never from within the call that rings")
      for (let i = 0; i < 5; i++) yield* Effect.yieldNow
      assert.strictEqual(woken, 1)
      yield* Fiber.interrupt(reader)
      box.control(timer(3))
      yield* box.wait
    }))

  it.effect("lets a producer go that waits for room when the session is over", () =>
    Effect.gen(function*() {
      const box = yield* inbox
      for (let i = 0; i < laneCapacity.data; i++) yield* box.data({ type: "audio_ended" })
      const producer = yield* Effect.forkChild(box.data({ type: "audio_ended" }))
      yield* Effect.yieldNow
      box.close()
      assert.isFalse(yield* Fiber.join(producer))
    }))
})

describe("ring", () => {
  it("keeps the order over any number of turns, and holds no more than its capacity", () => {
    const ring = new Ring<number>(3)
    let put = 0
    let got = 0
    for (let round = 0; round < 100; round++) {
      while (ring.offer(put)) put++
      assert.strictEqual(ring.size, 3)
      for (let i = 0; i <= round % 3; i++) assert.strictEqual(ring.take(), got++)
    }
  })
})

describe("loss count", () => {
  it("tells every loss once, with where it began and ended", () => {
    const loss = new LossCount()
    const told: Array<unknown> = []
    loss.tell((lost) => told.push(lost))
    loss.lost(320)
    loss.lost(960)
    loss.tell((lost) => told.push(lost))
    loss.tell((lost) => told.push(lost))
    assert.deepStrictEqual(told, [{ count: 2, first: 320, last: 960 }])
  })
})
