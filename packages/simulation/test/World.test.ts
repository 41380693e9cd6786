// Holds W-SAME, W-TIME, W-PICK, W-CLOSED, W-END.
import { assert, describe, it } from "@effect/vitest"
import { named } from "@rspp/runtime/determinism/FiberName"
import { AmbientUse } from "@rspp/simulation/Ambient"
import { RandomStreams } from "@rspp/simulation/RandomStreams"
import { Deadlock, Overrun, World } from "@rspp/simulation/World"
import { Clock, Deferred, Effect, Exit, Fiber, Latch, Queue, Random, Ref } from "effect"

const seeds = Array.from({ length: 60 }, (_, seed) => seed)
const valueOf = <A>(exit: Exit.Exit<A, unknown>): A => {
  if (Exit.isFailure(exit)) throw new Error("the program failed")
  return exit.value
}
const thrown = (run: () => unknown): unknown => {
  try {
    run()
  } catch (error) {
    return error
  }
  return undefined
}

/** Five fibers that each add 1 to a counter three times, forgetting that somebody may come between reading and writing. */
const lostUpdate = Effect.gen(function*() {
  const counter = yield* Ref.make(0)
  const add = Effect.gen(function*() {
    for (let i = 0; i < 3; i++) {
      yield* Effect.sleep(10)
      const read = yield* Ref.get(counter)
      yield* Effect.yieldNow
      yield* Ref.set(counter, read + 1)
    }
  })
  yield* Effect.all([add, add, add, add, add], { concurrency: "unbounded" })
  return yield* Ref.get(counter)
})

/** A race that only shows when one of two timers that are due together is late for the other: with FIFO it never does. */
const tie = Effect.gen(function*() {
  const order: Array<string> = []
  const at = (name: string) => Effect.andThen(Effect.sleep(10), Effect.sync(() => order.push(name)))
  yield* Effect.all([at("fence"), at("frame")], { concurrency: "unbounded" })
  return order.join()
})

describe("the seeded world", () => {
  it("runs the same seed the same way, and different seeds differently", () => {
    const log = (seed: number) => {
      const world = new World({ seed, preemptOps: 20 })
      const lines: Array<string> = []
      const worker = (id: number) =>
        Effect.gen(function*() {
          for (let i = 0; i < 5; i++) {
            yield* Effect.sleep(((id * 7 + i * 3) % 5) * 10)
            lines.push(`${id}.${i}@${yield* Clock.currentTimeMillis}/${(yield* Random.nextInt) % 1000}`)
          }
        })
      world.run(Effect.all(Array.from({ length: 8 }, (_, id) => worker(id)), { concurrency: "unbounded" }))
      return lines.join(" ")
    }
    for (const seed of seeds) assert.strictEqual(log(seed), log(seed))
    assert.isAbove(new Set(seeds.map(log)).size, 55)
  })

  it("finds a lost update that first-in-first-out never shows in this form", () => {
    const outcomes = (order: "fifo" | "random") =>
      new Set(seeds.map((seed) => valueOf(new World({ seed, order }).run(tie).exit)))
    assert.deepStrictEqual([...outcomes("fifo")], ["fence,frame"])
    assert.sameMembers([...outcomes("random")], ["fence,frame", "frame,fence"])
    const counts = (order: "fifo" | "random") =>
      new Set(seeds.map((seed) => valueOf(new World({ seed, order }).run(lostUpdate).exit)))
    assert.strictEqual(counts("fifo").size, 1)
    assert.isAbove(counts("random").size, 2)
  })

  it("pre-empts fibers where the seed says: a race between two operations is found", () => {
    const race = Effect.gen(function*() {
      const counter = { value: 0 }
      const add = Effect.gen(function*() {
        const read = yield* Effect.sync(() => counter.value)
        yield* Effect.sync(() => {
          counter.value = read + 1
        })
      })
      yield* Effect.all([add, add], { concurrency: "unbounded" })
      return counter.value
    })
    const values = (preemptOps: number) =>
      new Set(seeds.map((seed) => valueOf(new World({ seed, preemptOps }).run(race).exit)))
    assert.deepStrictEqual([...values(2048)], [2])
    assert.sameMembers([...values(2)], [1, 2])
  })

  it("leaves interrupted what was interrupted before it began, however often fibers are pre-empted", () => {
    const began = Effect.gen(function*() {
      const done: Array<string> = []
      const fiber = yield* Effect.forkChild(Effect.andThen(Effect.sleep(10), Effect.sync(() => done.push("slept"))))
      yield* Fiber.interrupt(fiber)
      return done
    })
    for (const seed of seeds) {
      const { exit, simulatedMs } = new World({ seed, preemptOps: 1 }).run(began)
      assert.deepStrictEqual([valueOf(exit), simulatedMs], [[], 0])
    }
  })

  it("moves time only when nothing can run, and straight to the next timer", () => {
    const world = new World({ seed: 1, startMillis: 1000 })
    const { exit, simulatedMs } = world.run(Effect.gen(function*() {
      const began = yield* Clock.currentTimeMillis
      yield* Effect.sleep("2 hours")
      for (let i = 0; i < 1000; i++) yield* Effect.yieldNow
      return [began, yield* Clock.currentTimeMillis]
    }))
    assert.deepStrictEqual(valueOf(exit), [1000, 7_201_000])
    assert.strictEqual(simulatedMs, 7_200_000)
  })

  it("fires timers late when the process is late, all that are due together", () => {
    const world = new World({ seed: 1 })
    world.lateness = () => world.nowMs < 5 ? 50e6 : 0
    const { exit } = world.run(Effect.gen(function*() {
      const times: Array<number> = []
      const at = (ms: number) =>
        Effect.andThen(Effect.sleep(ms), Effect.map(Clock.currentTimeMillis, (now) => times.push(now)))
      yield* Effect.all([at(10), at(20), at(40), at(100)], { concurrency: "unbounded" })
      return times
    }))
    assert.deepStrictEqual(valueOf(exit), [60, 60, 60, 100])
  })

  it("names the fibers that wait when nothing can go on", () => {
    const stuck = Effect.gen(function*() {
      const never = yield* Deferred.make<void>()
      const queue = yield* Queue.bounded<number>(1)
      yield* Effect.forkChild(named("reader of the empty queue")(Queue.take(queue)))
      yield* Effect.forkChild(named("sleeper")(Effect.sleep(25)))
      yield* Deferred.await(never)
    }).pipe(named("main"))
    const error = thrown(() => new World({ seed: 3 }).run(stuck))
    assert.instanceOf(error, Deadlock)
    assert.sameMembers(
      error.waiting.map((line) => line.replace(/ \(since .*$/u, "")),
      ["main", "reader of the empty queue"]
    )
    assert.match(error.message, /^at 25 ms/u)
  })

  it("names a program that goes on past the horizon, and one that never sleeps", () => {
    const ticking = named("ticker")(Effect.forever(Effect.sleep(1000)))
    const late = thrown(() => new World({ seed: 1, horizonMs: 60_000 }).run(ticking))
    assert.instanceOf(late, Overrun)
    assert.match(late.message, /past 60000 ms.*ticker/u)
    const spinning = named("spinner")(Effect.forever(Effect.yieldNow))
    const spin = thrown(() => new World({ seed: 1 }).run(spinning))
    assert.instanceOf(spin, Overrun)
    assert.match(spin.message, /time stood still.*spinner/u)
  })

  it("names a fiber that loops and never lets go", () => {
    const loop: Effect.Effect<never> = Effect.suspend(() => Effect.andThen(Effect.void, loop))
    const error = thrown(() => new World({ seed: 1 }).run(named("looper")(loop)))
    assert.instanceOf(error, Overrun)
    assert.match(error.message, /operations ran while time stood still.*looper/u)
  }, 60_000)

  it("reports what a program leaves behind", () => {
    const leaky = Effect.gen(function*() {
      const latch = Latch.makeUnsafe(false)
      yield* Effect.forkDetach(named("forgotten waiter")(latch.await))
      yield* Effect.forkDetach(named("forgotten sleeper")(Effect.sleep(1000)))
      yield* Effect.sleep(1)
    })
    const { leaks } = new World({ seed: 1 }).run(leaky)
    assert.match(leaks.toSorted().join("; "), /1 timers left.*forgotten sleeper.*forgotten waiter/u)
    const tidy = Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(Effect.sleep(1000))
      yield* Effect.sleep(1)
      yield* Fiber.interrupt(fiber)
    })
    assert.deepStrictEqual(new World({ seed: 1 }).run(tidy).leaks, [])
  })

  describe("is closed to the real machine: it names who", () => {
    const culprits: ReadonlyArray<readonly [what: string, use: Effect.Effect<unknown>]> = [
      ["Date.now", Effect.sync(() => Date.now())],
      ["new Date()", Effect.sync(() => new Date())],
      ["performance.now", Effect.sync(() => performance.now())],
      ["Math.random", Effect.sync(() => Math.random())],
      ["setTimeout", Effect.sync(() => setTimeout(() => {}, 1))],
      ["setImmediate", Effect.sync(() => setImmediate(() => {}))],
      ["queueMicrotask", Effect.sync(() => queueMicrotask(() => {}))],
      ["process.nextTick", Effect.sync(() => process.nextTick(() => {}))],
      ["process.hrtime.bigint", Effect.sync(() => process.hrtime.bigint())],
      ["crypto.randomUUID", Effect.sync(() => crypto.randomUUID())],
      ["a promise", Effect.promise(() => Promise.resolve(1))]
    ]
    it.each(culprits)("%s", (what, use) => {
      const error = thrown(() => new World({ seed: 1 }).run(Effect.andThen(Effect.sleep(5), use)))
      assert.instanceOf(error, AmbientUse)
      assert.strictEqual(error.what, what)
      if (what !== "a promise") assert.include(error.culprit, "World.test.ts")
    })

    it("even when the user catches it", () => {
      const hidden = Effect.catchDefect(Effect.sync(() => Date.now()), () => Effect.succeed(0))
      assert.instanceOf(thrown(() => new World({ seed: 1 }).run(hidden)), AmbientUse)
    })

    it("and leaves the machine as it was", () => {
      const machine = () => [
        Date,
        ...[[Date, "now"], [globalThis, "setTimeout"], [performance, "now"], [Promise.prototype, "then"]].map(
          ([owner, key]) => Reflect.get(owner as object, key as string) as unknown
        )
      ]
      const before = machine()
      new World({ seed: 1 }).run(Effect.sleep(1))
      assert.isTrue(machine().every((value, i) => value === before[i]))
      assert.isAbove(Date.now(), 1_700_000_000_000)
      assert.strictEqual(new Date(0).getTime(), 0)
    })

    it("but not to arithmetic with dates", () => {
      const { exit } = new World({ seed: 1 }).run(Effect.sync(() => new Date(86_400_000).toISOString()))
      assert.strictEqual(valueOf(exit), "1970-01-02T00:00:00.000Z")
    })
  })
})

describe("random streams", () => {
  it("are independent of one another: a new draw in one place shifts nothing elsewhere", () => {
    const a = new RandomStreams(7)
    const b = new RandomStreams(7)
    b.of("something new").next()
    assert.deepStrictEqual([a.of("x").next(), a.of("x").next()], [b.of("x").next(), b.of("x").next()])
    assert.notStrictEqual(new RandomStreams(7).of("x").next(), new RandomStreams(8).of("x").next())
    assert.notStrictEqual(a.within("s").of("x").next(), a.within("t").of("x").next())
  })

  it("are fair enough: no bucket of ten is off by more than 5 % in 100 000 draws", () => {
    const stream = new RandomStreams(1).of("fair")
    const buckets = Array.from({ length: 10 }, () => 0)
    for (let i = 0; i < 100_000; i++) buckets[stream.below(10)]!++
    for (const count of buckets) assert.closeTo(count, 10_000, 500)
  })
})
