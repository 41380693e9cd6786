import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Scope } from "effect"
import { TestClock } from "effect/testing"
import { SessionTimers } from "../src/session/SessionTimers.ts"

const opened = Effect.fnUntraced(function*() {
  const clock = yield* Clock.Clock
  const fired: Array<string> = []
  const nowMs = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n) - start
  const start = Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  const timers = yield* SessionTimers.open({
    nowMs,
    fire: (timer, generation) => fired.push(`${timer}/${generation} at ${nowMs()}`)
  })
  return { fired, timers }
})

describe("SessionTimers", () => {
  it.effect("fire each at its time, also one that is armed later and due earlier", () =>
    Effect.gen(function*() {
      const { fired, timers } = yield* opened()
      timers.arm("late", 1, 100)
      timers.settle()
      yield* TestClock.adjust(10)
      timers.arm("early", 2, 30)
      timers.arm("now", 3, 5)
      timers.settle()
      yield* TestClock.adjust(90)
      assert.deepStrictEqual(fired, ["now/3 at 10", "early/2 at 30", "late/1 at 100"])
    }))

  it.effect("fire in the order in which they were armed when they are due together", () =>
    Effect.gen(function*() {
      const { fired, timers } = yield* opened()
      for (const [i, name] of ["c", "a", "b"].entries()) timers.arm(name, i, 20)
      timers.settle()
      yield* TestClock.adjust(20)
      assert.deepStrictEqual(fired, ["c/0 at 20", "a/1 at 20", "b/2 at 20"])
    }))

  it.effect("do not fire once they are disarmed or replaced, not even by one that fires in the same instant", () =>
    Effect.gen(function*() {
      const { fired, timers } = yield* opened()
      const push = fired.push.bind(fired)
      timers.arm("replaced", 1, 10)
      timers.arm("disarmed", 2, 10)
      timers.disarm("disarmed")
      timers.disarm("replaced")
      timers.arm("replaced", 3, 40)
      timers.arm("first", 4, 20)
      timers.arm("second", 5, 20)
      fired.push = (...items) => {
        timers.disarm("second")
        return push(...items)
      }
      timers.settle()
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(fired, ["first/4 at 20", "replaced/3 at 40"])
    }))

  it.effect("never fire again, and none after the scope has closed", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { fired, timers } = yield* Scope.provide(opened(), scope)
      timers.arm("once", 1, 10)
      timers.arm("never", 2, 50)
      timers.settle()
      yield* TestClock.adjust(20)
      timers.settle()
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(fired, ["once/1 at 10"])
    }))
})
