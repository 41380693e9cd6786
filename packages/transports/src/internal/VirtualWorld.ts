import type { Fiber, Scheduler } from "effect"
import { type Timer, TimerHeap } from "./TimerHeap.ts"

/** How long the run-queue may keep the event loop to itself before it lets real I/O in, in ms. */
const sliceMs = 8

/** Tasks between two looks at the slice's end. */
const sliceTasks = 256

/** Spinning for unmeasured I/O gives way to 1 ms naps after this long, in ms. */
const spinMs = 1

/** A fiber that has run this many tasks without the clock moving, for the whole stall time, is a spin. */
const spinTasks = 1_000_000

export interface WorldOptions {
  readonly stallAfterMs: number
  readonly patienceMs: number
  /** The real clock, in ms. */
  readonly realNow: () => number
  /** Called once, with what is wrong. */
  readonly onStall: (message: string) => void
}

/** Work outside of the virtual world. The clock may not pass {@link limitNs} while it runs. */
export interface WorldHold {
  readonly limitNs: () => number
}

/**
 * One run-queue, one set of timers, one clock.
 *
 * Invariants:
 * - V1. Time moves only when the run-queue is empty and the event loop has turned once since the last task, so that
 *   every promise chain has come to rest; and then straight to the earliest timer.
 * - V2. Time never passes the limit of a hold.
 * - V3. Real I/O is never starved: between two drains of the queue the event loop turns.
 * - V4. Time does not move while the process has an immediate or a file-system request in flight, for at most
 *   `patienceMs` of real time; what takes longer counts as background until it has gone.
 */
export class VirtualWorld {
  /** Nanoseconds since the start: an integer, safe for 104 days. */
  nowNs = 0

  readonly scheduler: Scheduler.Scheduler

  private readonly options: WorldOptions
  private readonly timers = new TimerHeap()
  private readonly holds = new Set<WorldHold>()

  private urgent: Array<{ readonly priority: number; readonly task: () => void }> = []
  private tasks: Array<() => void> = []
  private lazy: Array<{ readonly priority: number; readonly task: () => void }> = []

  private armed = false
  private pumping = false
  private closed = false
  private nap: NodeJS.Timeout | undefined
  private background = 0
  private waitingSince: number | undefined

  private activity = 0
  private tasksSinceMove = 0
  private seenActivity = 0
  private quietSince: number
  private movedAt: number
  private seenNs = 0
  private stalled = false
  private readonly watchdog: NodeJS.Timeout

  constructor(options: WorldOptions) {
    this.options = options
    const dispatcher: Scheduler.SchedulerDispatcher = {
      scheduleTask: (task, priority) => this.schedule(task, priority),
      flush: () => {
        while (this.hasTasks()) this.runBatch()
      }
    }
    this.scheduler = {
      executionMode: "async",
      shouldYield: (fiber: Fiber.Fiber<unknown, unknown>) => fiber.currentOpCount >= fiber.cache.maxOpsBeforeYield,
      makeDispatcher: () => dispatcher
    }
    this.quietSince = this.movedAt = options.realNow()
    // It also keeps the process alive while fibers wait for something that holds no handle.
    this.watchdog = setInterval(() => this.watch(), Math.max(10, Math.min(500, options.stallAfterMs / 4)))
  }

  /** Wakes `fire` at `atNs`, or as soon as possible when that has passed. */
  addTimer(atNs: number, fire: () => void): Timer {
    const timer = this.timers.add(Math.max(atNs, this.nowNs), fire)
    this.arm()
    return timer
  }

  cancelTimer(timer: Timer): void {
    this.timers.cancel(timer)
  }

  addHold(hold: WorldHold): void {
    this.holds.add(hold)
  }

  removeHold(hold: WorldHold): void {
    this.holds.delete(hold)
    this.arm()
  }

  /** The world ends: tasks that still come are run, but time stands still. */
  close(): void {
    this.closed = true
    clearInterval(this.watchdog)
    clearTimeout(this.nap)
  }

  private schedule(task: () => void, priority: number): void {
    if (priority === 0) this.tasks.push(task)
    else insert(priority < 0 ? this.urgent : this.lazy, task, priority)
    this.arm()
  }

  private hasTasks(): boolean {
    return this.tasks.length > 0 || this.urgent.length > 0 || this.lazy.length > 0
  }

  private arm(): void {
    if (this.armed || this.pumping) return
    this.armed = true
    setImmediate(this.pump)
  }

  private readonly pump = (): void => {
    this.armed = false
    if (this.nap !== undefined) {
      clearTimeout(this.nap)
      this.nap = undefined
    }
    this.pumping = true
    let again: boolean
    try {
      again = this.drain() || (!this.closed && this.move())
    } finally {
      this.pumping = false
    }
    if (again || this.hasTasks()) this.arm()
  }

  /** Runs what is runnable, for one slice. True when something ran. */
  private drain(): boolean {
    if (!this.hasTasks()) return false
    const until = performance.now() + sliceMs
    let ran = 0
    while (this.hasTasks()) {
      ran += this.runBatch()
      if (ran >= sliceTasks) {
        this.count(ran)
        ran = 0
        if (performance.now() > until) break
      }
    }
    this.count(ran)
    return true
  }

  private count(ran: number): void {
    this.activity++
    this.tasksSinceMove += ran
  }

  /** Runs the tasks that are queued now, lower priority numbers first, equal ones in order. */
  private runBatch(): number {
    const { lazy, tasks, urgent } = this
    this.tasks = []
    if (urgent.length > 0) this.urgent = []
    if (lazy.length > 0) this.lazy = []
    for (const { task } of urgent) task()
    for (const task of tasks) task()
    if (lazy !== this.lazy) { for (const { task } of lazy) task() }
    return urgent.length + tasks.length + lazy.length
  }

  /** Moves time to the next timer if it may. True when the event loop should turn and come back. */
  private move(): boolean {
    const next = this.timers.peek()
    if (next === undefined) return false
    if (this.holds.size === 0) {
      if (this.unmeasured()) {
        if (this.options.realNow() - this.waitingSince! < spinMs) return true
        this.rest(1)
        return false
      }
    } else {
      let limitNs = Infinity
      for (const hold of this.holds) limitNs = Math.min(limitNs, hold.limitNs())
      if (next.atNs > limitNs) {
        // The end of the hold wakes the world, or its limit has moved on by then.
        this.rest(Math.min(1000, Math.max(1, (next.atNs - limitNs) / 1e6)))
        return false
      }
    }
    if (next.atNs > this.nowNs) {
      this.nowNs = next.atNs
      this.tasksSinceMove = 0
    }
    this.activity++
    for (let due = this.timers.take(this.nowNs); due !== undefined; due = this.timers.take(this.nowNs)) {
      const fire = due.fire
      due.fire = undefined
      fire?.()
    }
    this.drain()
    return true
  }

  private rest(ms: number): void {
    this.nap ??= setTimeout(this.pump, ms)
  }

  /** V4. */
  private unmeasured(): boolean {
    let count = 0
    for (const resource of process.getActiveResourcesInfo()) {
      if (resource === "Immediate" || resource.startsWith("FSReq")) count++
    }
    if (count <= this.background) {
      this.background = count
      this.waitingSince = undefined
      return false
    }
    const now = this.options.realNow()
    this.waitingSince ??= now
    if (now - this.waitingSince <= this.options.patienceMs) return true
    this.background = count
    this.waitingSince = undefined
    return false
  }

  private watch(): void {
    const now = this.options.realNow()
    const { stallAfterMs } = this.options
    if (this.nowNs !== this.seenNs || this.holds.size > 0) {
      this.seenNs = this.nowNs
      this.movedAt = now
    }
    if (this.activity !== this.seenActivity || this.holds.size > 0) {
      this.seenActivity = this.activity
      this.quietSince = now
    }
    const at = `at ${(this.nowNs / 1e6).toFixed(3)} ms of virtual time`
    if (now - this.quietSince > stallAfterMs && this.timers.peek() === undefined) {
      this.stall(
        `Nothing can run ${at}: no fiber is runnable, no timer is set and no measured work is outstanding, for ${
          Math.round(now - this.quietSince)
        } ms. Something waits for an event that does not come; real waiting must be wrapped in MeasuredWork.`
      )
    } else if (now - this.movedAt > stallAfterMs && this.tasksSinceMove > spinTasks) {
      this.stall(
        `The clock cannot move ${at}: fibers have been running without a pause for ${
          Math.round(now - this.movedAt)
        } ms (${this.tasksSinceMove} tasks). A loop that yields without sleeping stops virtual time.`
      )
    }
  }

  private stall(message: string): void {
    const now = this.options.realNow()
    this.quietSince = this.movedAt = now
    // The first stall interrupts; a second one gives the fiber up: its finalizers hang as well.
    this.options.onStall(this.stalled ? `${message} Its finalizers hang too.` : message)
    this.stalled = true
  }
}

const insert = (
  into: Array<{ readonly priority: number; readonly task: () => void }>,
  task: () => void,
  priority: number
): void => {
  let i = into.length
  while (i > 0 && into[i - 1]!.priority > priority) i--
  into.splice(i, 0, { priority, task })
}
