import * as NodeServices from "@effect/platform-node/NodeServices"
import { measured } from "@rspp/runtime/ports/MeasuredWork"
import * as VirtualTime from "@rspp/transports/loopback/VirtualTime"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Exit, Fiber, FileSystem, Queue } from "effect"
import { webcrypto } from "node:crypto"
import { Worker } from "node:worker_threads"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

/** Leaves in the heap what is still held, so that what it measures does not hang on when the collector last ran. */
const collectGarbage = (): void => {
  setFlagsFromString("--expose-gc")
  ;(runInNewContext("gc") as () => void)()
}

/** Work outside of Effect's clock: `ms` of real time. */
const real = (ms: number) => Effect.promise(() => new Promise<void>((done) => setTimeout(done, ms)))

const nowMs = Effect.map(Clock.monotonicTimeNanos, (ns) => Number(ns) / 1e6)

/** Runs `body` in virtual time with a log of (what, when). */
const logged = <E>(
  body: (log: (what: string) => Effect.Effect<void>) => Effect.Effect<void, E>,
  options?: VirtualTime.VirtualTimeOptions
) =>
  VirtualTime.run(
    Effect.gen(function*() {
      const lines: Array<readonly [what: string, atMs: number]> = []
      yield* body((what) => Effect.map(nowMs, (at) => void lines.push([what, at])))
      return lines
    }),
    options
  )

const names = (lines: ReadonlyArray<readonly [string, number]>) => lines.map(([what]) => what)
const at = (lines: ReadonlyArray<readonly [string, number]>, what: string) => lines.find(([name]) => name === what)![1]

describe("VirtualTime", () => {
  it.live("moves straight to the next timer, to the nanosecond", () =>
    Effect.gen(function*() {
      const lines = yield* logged((log) =>
        Effect.all([
          Effect.andThen(Effect.sleep("1 hour"), log("hour")),
          Effect.andThen(Effect.sleep("1500 micros"), log("1.5 ms")),
          Effect.andThen(Effect.sleep("20 millis"), log("20 ms"))
        ], { concurrency: "unbounded", discard: true })
      )
      assert.deepStrictEqual(lines, [["1.5 ms", 1.5], ["20 ms", 20], ["hour", 3_600_000]])
    }))

  it.live("starts at the wall clock that it is given; millis are whole, as the real clock's", () =>
    VirtualTime.run(
      Effect.gen(function*() {
        const clock = yield* Clock.Clock
        assert.strictEqual(yield* Clock.currentTimeMillis, 1_790_000_000_000)
        yield* Effect.sleep("1500 micros")
        assert.strictEqual(clock.currentTimeMillisUnsafe(), 1_790_000_000_001)
        assert.strictEqual(yield* Clock.currentTimeNanos, 1_790_000_000_001_500_000n)
        assert.strictEqual(clock.monotonicTimeNanosUnsafe(), 1_500_000n)
      }),
      { startMillis: 1_790_000_000_000 }
    ))

  it.live("fires timers that are due together in the order in which they were set", () =>
    Effect.gen(function*() {
      const lines = yield* logged((log) =>
        Effect.forEach(
          Array.from({ length: 200 }, (_, i) => i),
          (i) => Effect.andThen(Effect.sleep(10 + (i * 7) % 3), log(`${(i * 7) % 3}:${i}`)),
          { concurrency: "unbounded", discard: true }
        )
      )
      const expected = [0, 1, 2].flatMap((late) =>
        Array.from({ length: 200 }, (_, i) => i).filter((i) => (i * 7) % 3 === late).map((i) => `${late}:${i}`)
      )
      assert.deepStrictEqual(names(lines), expected)
    }))

  it.live("waits for runnable fibers and for promise chains before it moves", () =>
    Effect.gen(function*() {
      const lines = yield* logged((log) =>
        Effect.gen(function*() {
          const queue = yield* Queue.unbounded<number>()
          yield* Effect.forkChild(Effect.andThen(Effect.sleep(1), log("timer")))
          yield* Effect.forkChild(Effect.gen(function*() {
            for (let i = 0; i < 1_000; i++) yield* Queue.take(queue)
            yield* log("queue")
          }))
          for (let i = 0; i < 1_000; i++) {
            yield* Queue.offer(queue, i)
            yield* Effect.yieldNow
          }
          for (let i = 0; i < 100; i++) yield* Effect.promise(() => Promise.resolve().then(() => i))
          yield* log("promises")
          yield* Effect.sleep(2)
        })
      )
      assert.deepStrictEqual(lines, [["queue", 0], ["promises", 0], ["timer", 1]])
    }))

  it.live("waits for file-system requests that nobody measures", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const path = yield* fs.makeTempFileScoped()
      yield* VirtualTime.run(
        Effect.gen(function*() {
          yield* Effect.forkChild(Effect.forever(Effect.sleep(1)))
          for (let i = 0; i < 20; i++) yield* fs.writeFileString(path, `${i}`)
          assert.strictEqual(yield* fs.readFileString(path), "19")
          assert.strictEqual(yield* nowMs, 0)
          // Patient enough for a busy machine: how long time waits is not what this is about.
        }),
        { patienceMs: 10_000 }
      )
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))

  it.live("gives measured work its real duration: earlier timers fire first, the result comes at its time", () =>
    Effect.gen(function*() {
      const lines = yield* logged((log) =>
        Effect.all([
          Effect.andThen(measured(real(60)), log("work 60")),
          Effect.andThen(measured(real(20)), log("work 20")),
          Effect.andThen(Effect.sleep(5), log("timer 5")),
          Effect.andThen(Effect.sleep(10_000), log("timer 10 s"))
        ], { concurrency: "unbounded", discard: true })
      )
      assert.deepStrictEqual(names(lines), ["timer 5", "work 20", "work 60", "timer 10 s"])
      assert.strictEqual(at(lines, "timer 5"), 5)
      assert.isAtLeast(at(lines, "work 20"), 18)
      assert.isAtLeast(at(lines, "work 60"), 58)
      assert.isBelow(at(lines, "work 60"), 2_000)
      assert.strictEqual(at(lines, "timer 10 s"), 10_000)
    }))

  it.live("measures work in a worker thread, and in the thread pool", () =>
    Effect.gen(function*() {
      const inWorker = Effect.callback<number>((resume) => {
        const worker = new Worker(
          "const end = Date.now() + 40; while (Date.now() < end); require('node:worker_threads').parentPort.postMessage(7)",
          { eval: true }
        )
        worker.once("message", (value: number) => resume(Effect.succeed(value)))
        return Effect.promise(() => worker.terminate()).pipe(Effect.asVoid)
      })
      const digest = Effect.promise(() => webcrypto.subtle.digest("SHA-256", new Uint8Array(8_000_000)))
      const lines = yield* logged((log) =>
        Effect.gen(function*() {
          yield* Effect.forkChild(Effect.forever(Effect.sleep(1)))
          assert.strictEqual(yield* measured(inWorker), 7)
          yield* log("worker")
          assert.strictEqual((yield* measured(digest)).byteLength, 32)
          yield* log("digest")
        })
      )
      assert.isAtLeast(at(lines, "worker"), 39)
      assert.isAbove(at(lines, "digest"), at(lines, "worker"))
    }))

  it.live("delivers failures at their time too", () =>
    Effect.gen(function*() {
      const lines = yield* logged((log) =>
        measured(Effect.andThen(real(20), Effect.fail("broken"))).pipe(Effect.catch((error) => log(error)))
      )
      assert.isAtLeast(at(lines, "broken"), 18)
    }))

  it.live("lets a timeout end measured work that hangs, at the timeout's time", () =>
    Effect.gen(function*() {
      let cancelled = false
      const hang = Effect.callback<never>(() => Effect.sync(() => void (cancelled = true)))
      const lines = yield* logged((log) =>
        measured(hang).pipe(Effect.timeout(80), Effect.catchTag("TimeoutError", () => log("timeout")))
      )
      assert.deepStrictEqual(lines, [["timeout", 80]])
      assert.isTrue(cancelled)
    }))

  it.live("lets a timeout win against work that took longer, though its result is there", () =>
    Effect.gen(function*() {
      const lines = yield* logged((log) =>
        Effect.andThen(
          measured(Effect.sync(() => {
            const end = performance.now() + 60
            while (performance.now() < end);
          })),
          log("done")
        ).pipe(Effect.timeout(30), Effect.catchTag("TimeoutError", () => log("timeout")))
      )
      assert.deepStrictEqual(lines, [["timeout", 30]])
    }))

  it.live("runs the clock in real time inside measured work", () =>
    Effect.gen(function*() {
      const lines = yield* logged((log) =>
        Effect.gen(function*() {
          yield* Effect.sleep(1_000)
          yield* measured(Effect.gen(function*() {
            yield* log("in")
            yield* Effect.sleep(30)
            yield* log("slept")
            yield* measured(real(10))
            yield* log("nested")
          }))
          yield* log("out")
        })
      )
      assert.deepStrictEqual(names(lines), ["in", "slept", "nested", "out"])
      assert.isAtLeast(at(lines, "in"), 1_000)
      assert.isAtLeast(at(lines, "slept"), 1_028)
      assert.isAtLeast(at(lines, "nested"), at(lines, "slept") + 8)
      assert.isAtLeast(at(lines, "out"), at(lines, "nested"))
    }))

  it.live("takes over the sleeps of fibers that measured work leaves behind", () =>
    Effect.gen(function*() {
      const started = performance.now()
      const lines = yield* logged((log) =>
        Effect.gen(function*() {
          const left = yield* measured(Effect.gen(function*() {
            const fiber = yield* Effect.forkDetach(Effect.andThen(Effect.sleep("1 hour"), log("left behind")))
            yield* real(10)
            return fiber
          }))
          yield* Fiber.join(left)
        })
      )
      assert.closeTo(at(lines, "left behind"), 3_600_000, 100)
      assert.isBelow(performance.now() - started, 5_000)
    }))

  it.live("lets go of the clock when measured work is interrupted", () =>
    Effect.gen(function*() {
      let cancelled = false
      const lines = yield* logged((log) =>
        Effect.gen(function*() {
          const work = yield* Effect.forkChild(
            measured(Effect.callback<void>(() => Effect.sync(() => void (cancelled = true))))
          )
          yield* Effect.sleep(20)
          yield* Fiber.interrupt(work)
          assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(work)))
          yield* log("interrupted")
          yield* Effect.sleep("1 day")
          yield* log("next day")
        })
      )
      assert.isTrue(cancelled)
      assert.deepStrictEqual(lines, [["interrupted", 20], ["next day", 86_400_020]])
    }))

  it.live("drops the result of measured work that is interrupted while its time has not come", () =>
    Effect.gen(function*() {
      const lines = yield* logged((log) =>
        Effect.gen(function*() {
          const ended = yield* Deferred.make<void>()
          const work = yield* Effect.forkChild(
            Effect.andThen(measured(Effect.ensuring(real(50), Deferred.succeed(ended, undefined))), log("result"))
          )
          yield* Effect.yieldNow
          yield* Effect.sleep(10)
          yield* Fiber.interrupt(work)
          yield* log("interrupted")
          yield* Effect.sleep(1_000)
        })
      )
      assert.deepStrictEqual(lines, [["interrupted", 10]])
    }))

  it.live("holds the clock for its own disk work and charges nothing", () =>
    Effect.gen(function*() {
      const lines = yield* logged((log) =>
        Effect.gen(function*() {
          yield* Effect.forkChild(Effect.andThen(Effect.sleep(1), log("timer")))
          yield* VirtualTime.held(real(30))
          yield* log("written")
          yield* Effect.sleep(5)
        })
      )
      assert.deepStrictEqual(lines, [["written", 0], ["timer", 1]])
    }))

  it.live("does the same in the same order when the work takes the same time", () =>
    Effect.gen(function*() {
      // A stopwatch that ticks by the calls: the same durations in each run.
      const once = Effect.suspend(() => {
        let ticks = 0
        return logged((log) =>
          Effect.forEach(Array.from({ length: 30 }, (_, i) => i), (i) =>
            Effect.gen(function*() {
              for (let k = 0; k < 10; k++) {
                yield* Effect.sleep(1 + (i * 13 + k * 7) % 11)
                yield* measured(Effect.promise(() => Promise.resolve()))
                yield* log(`${i}.${k}`)
              }
            }), { concurrency: "unbounded", discard: true }), { realNow: () => ticks++ / 16 })
      })
      const first = yield* once
      assert.strictEqual(first.length, 300)
      for (let run = 0; run < 5; run++) assert.deepStrictEqual(yield* once, first)
    }))

  it.live("reports a stall: nothing can run any more", () =>
    Effect.gen(function*() {
      let finalized = false
      const error = yield* Effect.flip(VirtualTime.run(
        Effect.andThen(Effect.sleep(40), Effect.never).pipe(
          Effect.ensuring(Effect.sync(() => void (finalized = true)))
        ),
        { stallAfterMs: 100 }
      ))
      assert.strictEqual(error._tag, "VirtualTimeStall")
      assert.match(error.message, /Nothing can run at 40\.000 ms of virtual time/)
      assert.isTrue(finalized)
    }))

  it.live("reports a stall even when the finalizers hang as well", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        VirtualTime.run(Effect.ensuring(Effect.never, Effect.never), { stallAfterMs: 50 })
      )
      assert.match(error.message, /finalizers hang too/)
    }))

  it.live("reports fibers that spin without sleeping", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        VirtualTime.run(Effect.forever(Effect.yieldNow), { stallAfterMs: 200 })
      )
      assert.match(error.message, /The clock cannot move at 0\.000 ms/)
    }))

  it.live("does not take long measured work for a stall", () =>
    Effect.gen(function*() {
      yield* VirtualTime.run(measured(real(300)), { stallAfterMs: 50 })
    }))

  it.live("passes interruption on, and waits for finalizers that take virtual time", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const fiber = yield* Effect.forkChild(VirtualTime.run(
        Effect.ensuring(
          measured(Effect.never),
          Effect.andThen(Effect.sleep("1 hour"), Effect.sync(() => lines.push("closed")))
        )
      ))
      yield* real(30)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(lines, ["closed"])
    }))

  it.live("passes on successes, failures and the services around it", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* VirtualTime.run(Effect.succeed(1)), 1)
      assert.strictEqual(yield* Effect.flip(VirtualTime.run(Effect.fail("no"))), "no")
      const exists = yield* VirtualTime.run(Effect.flatMap(FileSystem.FileSystem, (fs) => fs.exists("/")))
      assert.isTrue(exists)
    }).pipe(Effect.provide(NodeServices.layer)))

  it.live("keeps no cancelled timers: a timeout per step costs no memory", () =>
    Effect.gen(function*() {
      collectGarbage()
      const before = process.memoryUsage().heapUsed
      yield* VirtualTime.run(Effect.gen(function*() {
        for (let i = 0; i < 50_000; i++) yield* Effect.timeout(Effect.sleep("1 micros"), "1 hour")
        // Here, while the world still stands: what it holds is what is measured.
        collectGarbage()
        assert.isBelow(process.memoryUsage().heapUsed - before, 10_000_000)
      }))
    }))

  it.live("does not starve real I/O while fibers are busy", () =>
    Effect.gen(function*() {
      let turns = 0
      const timer = setInterval(() => turns++, 1)
      yield* VirtualTime.run(Effect.gen(function*() {
        for (let i = 0; i < 200_000; i++) yield* Effect.yieldNow
      }))
      clearInterval(timer)
      assert.isAbove(turns, 2)
    }))
})
