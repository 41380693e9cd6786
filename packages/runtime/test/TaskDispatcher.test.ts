// Holds I-LANE-ACROSS.
import { assert, describe, it } from "@effect/vitest"
import type { SessionInput } from "@rspp/contracts/SessionInput"
import type { Next } from "@rspp/runtime/events/LaneRouter"
import { LaneRouter } from "@rspp/runtime/events/LaneRouter"
import { dispatcherOf, tasksPerTurn } from "@rspp/runtime/events/TaskDispatcher"
import { Effect } from "effect"
import { MixedScheduler, Scheduler } from "effect/Scheduler"

const open = Effect.flatMap(LaneRouter, (router) => router.open).pipe(Effect.provide(LaneRouter.layer))
const timer: SessionInput = { type: "timer", timer: "t", generation: 1 }
const frame = (n: number) => ({ sampleIndex: n * 320, samples: new Int16Array(320) })

/** Opens so many inboxes, whose readers tell of what they take. */
const readers = (count: number, taken: (session: number, kind: Next["kind"]) => void) =>
  Effect.forEach(Array.from({ length: count }, (_, i) => i), (session) =>
    Effect.map(open, (inbox) => {
      inbox.serveWith(() => {
        for (let next = inbox.next(); next !== undefined; next = inbox.next()) taken(session, next.kind)
        return false
      })
      return inbox
    }))

/** A scheduler of this loop; its turns are counted. */
const counted = () => {
  const turns = { count: 0 }
  const scheduler = new MixedScheduler("async", (task) => {
    const immediate = setImmediate(() => {
      turns.count++
      task()
    })
    return () => clearImmediate(immediate)
  })
  return { scheduler, turns }
}

describe("tasks of many sessions in one process", () => {
  it.live("have a control input of any of them go before the frames of all that wait", () =>
    Effect.gen(function*() {
      const order: Array<string> = []
      const inboxes = yield* readers(200, (session, kind) => order.push(`${session} ${kind}`))
      for (const inbox of inboxes) inbox.frame(frame(0))
      inboxes[170]?.control(timer)
      assert.deepStrictEqual(order, []) // never from within the call
      yield* Effect.promise(() => Promise.resolve())
      // Its own frame came with it, for its reader reads until there is nothing left.
      assert.deepStrictEqual(order, ["170 input", "170 frame"])
      while (order.length < 201) yield* Effect.yieldNow
      assert.strictEqual(order[2], "0 frame")
    }))

  it.live("let a control input that comes of one of them go before the next", () =>
    Effect.gen(function*() {
      const order: Array<string> = []
      const inboxes = yield* readers(20, (session, kind) => {
        order.push(`${session} ${kind}`)
        if (session === 3 && kind === "frame") inboxes[15]?.control(timer)
      })
      for (const inbox of inboxes) inbox.frame(frame(0))
      while (order.length < 21) yield* Effect.yieldNow
      assert.deepStrictEqual(order.slice(3, 7), ["3 frame", "15 input", "15 frame", "4 frame"])
    }))

  it.live("leave the event loop alone after so many of them, and are all run, in order", () =>
    Effect.gen(function*() {
      const { scheduler, turns } = counted()
      const dispatcher = dispatcherOf(scheduler)
      assert.strictEqual(dispatcherOf(scheduler), dispatcher)
      const ran: Array<number> = []
      const turnOf: Array<number> = []
      const count = tasksPerTurn * 4 + 1
      for (let i = 0; i < count; i++) {
        dispatcher.schedule(() => {
          ran.push(i)
          turnOf.push(turns.count)
        })
      }
      while (ran.length < count) yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      assert.deepStrictEqual(ran, Array.from({ length: count }, (_, i) => i))
      for (let turn = 1; turn <= 5; turn++) {
        assert.strictEqual(turnOf.filter((of) => of === turn).length, turn === 5 ? 1 : tasksPerTurn)
      }
    }))

  it.live("go on when new ones come with each that runs", () =>
    Effect.gen(function*() {
      const dispatcher = dispatcherOf(counted().scheduler)
      let left = 1000
      const ran = Effect.callback<void>((resume) => {
        const task = () => {
          if (--left === 0) return resume(Effect.void)
          if (left > 0) dispatcher.schedule(task)
        }
        for (let i = 0; i < 50; i++) dispatcher.schedule(task)
      })
      yield* ran
    }))

  it.live("have what need not be done to decide wait for what all of them decide, a few in each turn", () =>
    Effect.gen(function*() {
      const { scheduler, turns } = counted()
      const { firstWaits, schedule, scheduleAfterFirst, scheduleFirst } = dispatcherOf(scheduler)
      const order: Array<string> = []
      const turnOf: Array<number> = []
      schedule(() => order.push("frame"))
      for (let i = 0; i < 10; i++) {
        scheduleFirst?.(() => {
          order.push(`decision ${i}`)
          assert.strictEqual(firstWaits?.(), i < 9)
          scheduleAfterFirst?.(() => {
            order.push(`call ${i}`)
            turnOf.push(turns.count)
            if (i === 1) scheduleFirst?.(() => order.push("another decision"))
          })
        })
      }
      while (order.length < 22) yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      const numbers = (what: string, from: number, to: number) =>
        Array.from({ length: to - from }, (_, i) => `${what} ${from + i}`)
      assert.deepStrictEqual(order.slice(0, 15), [
        ...numbers("decision", 0, 10),
        "call 0",
        "call 1",
        "another decision",
        "call 2",
        "call 3"
      ])
      assert.deepStrictEqual(order.filter((one) => one.startsWith("call")), numbers("call", 0, 10))
      assert.isBelow(Math.max(...turnOf.map((turn) => turnOf.filter((other) => other === turn).length)), 9)
    }))

  it.effect("are all equal under another scheduler than the event loop's: a simulated world decides by itself", () =>
    Effect.gen(function*() {
      const scheduler = yield* Scheduler
      assert.isUndefined(
        dispatcherOf({
          executionMode: "sync",
          shouldYield: () => false,
          makeDispatcher: () => scheduler.makeDispatcher()
        }).scheduleFirst
      )
      const order: Array<string> = []
      const inboxes = yield* readers(5, (session, kind) => order.push(`${session} ${kind}`))
      for (const inbox of inboxes) inbox.frame(frame(0))
      inboxes[4]?.control(timer)
      for (let i = 0; i < 5; i++) yield* Effect.yieldNow
      assert.deepStrictEqual(order, ["0 frame", "1 frame", "2 frame", "3 frame", "4 input", "4 frame"])
    }))
})
