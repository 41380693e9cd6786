import { assert, describe, it } from "@effect/vitest"
import { Bell } from "@rspp/runtime/events/Bell"
import { Ring } from "@rspp/runtime/events/Ring"
import { Effect, Fiber } from "effect"

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

describe("bell", () => {
  it.effect("wakes its waiter once for any number of rings, never from within the call that rings", () =>
    Effect.gen(function*() {
      const bell = yield* Bell.make
      let woken = 0
      const waiter = yield* Effect.forkChild(Effect.forever(Effect.andThen(bell.wait, Effect.sync(() => woken++))))
      yield* Effect.yieldNow
      bell.ring()
      bell.ring()
      assert.strictEqual(woken, 0)
      for (let i = 0; i < 5; i++) yield* Effect.yieldNow
      assert.strictEqual(woken, 1)
      yield* Fiber.interrupt(waiter)
      bell.ring()
      yield* bell.wait
    }))
})
