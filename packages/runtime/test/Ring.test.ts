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

describe("a bell that is answered", () => {
  it.effect("is answered at once, then for each ring as a task of its own, and for rings that come meanwhile", () =>
    Effect.gen(function*() {
      const bell = yield* Bell.make
      let answers = 0
      let ringAgain = 0
      bell.answerWith(() => {
        answers++
        if (ringAgain-- > 0) bell.ring()
        return false
      })
      assert.strictEqual(answers, 1)
      bell.ring()
      bell.ring()
      assert.strictEqual(answers, 1)
      yield* Effect.yieldNow
      yield* Effect.yieldNow
      assert.strictEqual(answers, 2)
      ringAgain = 3
      bell.ring()
      yield* Effect.yieldNow
      yield* Effect.yieldNow
      assert.strictEqual(answers, 6)
      bell.answerWith(undefined)
      bell.ring()
      yield* Effect.yieldNow
      yield* Effect.yieldNow
      assert.strictEqual(answers, 6)
    }))

  it.effect("is asked again, as the next task, while there is more than one task may take", () =>
    Effect.gen(function*() {
      const bell = yield* Bell.make
      let left = 3
      bell.answerWith(() => --left > 0)
      assert.strictEqual(left, 2)
      yield* Effect.yieldNow
      yield* Effect.yieldNow
      yield* Effect.yieldNow
      yield* Effect.yieldNow
      assert.strictEqual(left, 0)
    }))

  it.effect("may be taken over in the middle of an answer", () =>
    Effect.gen(function*() {
      const bell = yield* Bell.make
      const order: Array<string> = []
      bell.answerWith(() => {
        order.push("first begins")
        bell.answerWith(() => {
          order.push("second")
          return false
        })
        order.push("first ends")
        return false
      })
      assert.deepStrictEqual(order, ["first begins", "first ends", "second"])
    }))
})
