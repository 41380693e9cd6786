import { FiberName } from "@rspp/runtime/determinism/FiberName"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Random from "effect/Random"
import * as Scheduler from "effect/Scheduler"
import type { Exit, Fiber } from "effect"
import { AmbientGuard } from "./Ambient.ts"
import { RandomStreams } from "./RandomStreams.ts"
import type { RandomStream } from "./RandomStreams.ts"
import { TimerQueue } from "./TimerQueue.ts"
import type { WorldTimer } from "./TimerQueue.ts"

/** Nothing can run any more, but the program has not ended: some fiber waits for what never comes. */
export class Deadlock extends Error {
  override readonly name = "Deadlock"
  readonly waiting: ReadonlyArray<string>

  constructor(nowMs: number, waiting: ReadonlyArray<string>) {
    super(`at ${nowMs} ms no fiber can run and no timer is set; waiting: ${waiting.join("; ") || "nobody"}`)
    this.waiting = waiting
  }
}

/** The program went on past the horizon of the run, or ran without a pause while time stood still. */
export class Overrun extends Error {
  override readonly name = "Overrun"
  readonly waiting: ReadonlyArray<string>

  constructor(what: string, waiting: ReadonlyArray<string>) {
    super(`${what}; alive: ${waiting.join("; ") || "nobody"}`)
    this.waiting = waiting
  }
}

export interface WorldOptions {
  readonly seed: number
  /** `random` (the default) picks among the fibers that are ready; `fifo` takes them as they come, and finds few races. */
  readonly order?: "random" | "fifo"
  /** Operations between two pre-emptions of a fiber, on average; 2048 (Effect's own) by default. */
  readonly preemptOps?: number
  /** Unix time at which the world starts, in ms. */
  readonly startMillis?: number
  /** Time past which the run counts as hanging, in ms; a day by default. */
  readonly horizonMs?: number
  /** Fibers of these names may live on when the program has ended, for so many ms; nobody by default. */
  readonly survivors?: { readonly named: RegExp; readonly ms: number }
}

/** Tasks that may run at one instant; more is a loop that never sleeps. */
const tasksPerInstant = 1_000_000

/** Operations of fibers that may run at one instant: a fiber may loop within few tasks. About two seconds of real time. */
const opsPerInstant = 10_000_000

/** Log lines that a world keeps. */
const keptLogs = 1000

/** Registered fibers between two sweeps of those that have ended. */
const sweepFibers = 512

/** How a run ended. */
export interface WorldRun<A, E> {
  readonly exit: Exit.Exit<A, E>
  /** Simulated time that it took, in ms. */
  readonly simulatedMs: number
  readonly tasks: number
  /** What the program left behind: fibers that still wait, timers that are still set. Empty is right. */
  readonly leaks: ReadonlyArray<string>
}

/**
 * The seeded world: one run queue, one virtual clock and named random streams, under Effect's own `Scheduler`, `Clock`
 * and `Random` references. It runs an ordinary program, synchronously, as a discrete-event simulation.
 *
 * Guarantees:
 * - **W-SAME** the same seed, options and program give the same run: the same tasks in the same order at the same times.
 * - **W-TIME** time moves only when nothing can run, straight to the next timer; all timers that are due then are
 *   released together and take their chance with everything else that is ready.
 * - **W-PICK** among ready tasks of the most urgent priority the seed picks; a fiber is pre-empted where the seed says.
 * - **W-CLOSED** the real clock, chance, timers, microtasks and promises are shut: the first use is thrown at the user,
 *   kept, and fails the run with {@link AmbientUse} that names it.
 * - **W-END** a run that cannot go on fails with {@link Deadlock}, one that does not end with {@link Overrun}; both name
 *   the fibers that are alive (by {@link FiberName}).
 *
 * It holds no handle of the process and leaves no trace in it. It does not simulate threads: code between two Effect
 * operations is atomic, as it is in production.
 */
export class World {
  readonly seed: number
  readonly streams: RandomStreams
  readonly context: Context.Context<never>
  /** What the program logged, with the world's time; the first {@link keptLogs}. */
  readonly logs: Array<{ readonly atMs: number; readonly level: string; readonly message: string }> = []
  /** Nanoseconds since the start: an integer, safe for 104 days. */
  nowNs = 0
  /**
   * How late the next timers fire, in ns: what an event loop that is busy, or a process that was stopped, does to them.
   * Asked once each time the clock moves.
   */
  lateness: (() => number) | undefined
  /** How far the wall clock was set, in ms: an operator, or a time server, moved it. The monotonic clock knows nothing of it. */
  wallOffsetMs = 0

  readonly #order: "random" | "fifo"
  readonly #picks: RandomStream
  readonly #preemptions: RandomStream
  readonly #guard = new AmbientGuard()
  readonly #timers = new TimerQueue()
  readonly #horizonNs: number
  readonly #survivors: WorldOptions["survivors"]
  readonly #startMillis: number
  readonly #startNs: bigint
  readonly #fibers = new Map<Fiber.Fiber<unknown, unknown>, number>()
  #nextSweep = sweepFibers
  #tasks: Array<() => void> = []
  #others: Array<{ readonly priority: number; readonly task: () => void }> = []
  #preemptOps: number
  #opsLeft: number
  #count = 0
  /** Tasks that had run when this instant began. */
  #instantStart = 0
  /** Operations of fibers at this instant. */
  #ops = 0
  #monotonic = 0n
  #monotonicOf = 0

  constructor(options: WorldOptions) {
    this.seed = options.seed
    this.streams = new RandomStreams(options.seed)
    this.#order = options.order ?? "random"
    this.#picks = this.streams.of("world/pick")
    this.#preemptions = this.streams.of("world/preempt")
    this.#preemptOps = options.preemptOps ?? 2048
    this.#opsLeft = this.#nextPreemption()
    this.#horizonNs = (options.horizonMs ?? 86_400_000) * 1e6
    this.#survivors = options.survivors
    this.#startMillis = options.startMillis ?? 0
    this.#startNs = BigInt(this.#startMillis) * 1_000_000n
    const values = this.streams.of("effect/Random")
    this.context = Context.empty().pipe(
      Context.add(Scheduler.Scheduler, this.#scheduler()),
      Context.add(Clock.Clock, this.#clock()),
      Context.add(Random.Random, {
        nextDoubleUnsafe: () => values.unit(),
        nextIntUnsafe: () => Math.floor(values.unit() * 2 ** 53)
      }),
      Context.add(Logger.CurrentLoggers, new Set([this.#logger()]))
    )
  }

  /** The world's time in ms, with its fraction. */
  get nowMs(): number {
    return this.nowNs / 1e6
  }

  /** Calls `fire` after `ns`, as a task of its own. Cheaper than a fiber that sleeps; for parts that tick. */
  after(ns: number, fire: () => void): WorldTimer {
    return this.#timers.add(this.nowNs + Math.max(0, Math.ceil(ns)), fire)
  }

  /** Calls `fire` at this instant, as a task that takes its chance with everything else that is ready. */
  soon(fire: () => void): void {
    this.#tasks.push(fire)
  }

  callOff(timer: WorldTimer): void {
    this.#timers.callOff(timer)
  }

  /** Changes how often fibers are pre-empted, from the next pre-emption on. */
  preemptEvery(ops: number): void {
    this.#preemptOps = ops
    this.#opsLeft = Math.min(this.#opsLeft, this.#nextPreemption())
  }

  /** Lets something that is no part of the world, such as a live trace, use the real machine. What it does must not come back. */
  outside(what: () => void): void {
    this.#guard.open()
    try {
      what()
    } finally {
      this.#guard.close()
    }
  }

  /** Fibers that have started and not ended, with what they are for and since when they wait. */
  alive(): ReadonlyArray<string> {
    this.#sweep()
    const names = new Map<string, { count: number; sinceNs: number }>()
    for (const [fiber, ranNs] of this.#fibers) {
      const name = Context.get(fiber.context, FiberName) || "a fiber without a name"
      const known = names.get(name)
      if (known === undefined) names.set(name, { count: 1, sinceNs: ranNs })
      else {
        known.count++
        known.sinceNs = Math.min(known.sinceNs, ranNs)
      }
    }
    return [...names].map(([name, { count, sinceNs }]) =>
      `${count > 1 ? `${count} × ` : ""}${name} (since ${(sinceNs / 1e6).toFixed(3)} ms)`
    )
  }

  /**
   * Runs the program to its end. A world runs one program; what it forks as daemons belongs to it.
   *
   * Throws {@link AmbientUse}, {@link Deadlock} or {@link Overrun}.
   */
  run<A, E>(program: Effect.Effect<A, E>): WorldRun<A, E> {
    this.#guard.close()
    try {
      const root = Effect.runForkWith(this.context)(program)
      for (;;) {
        this.#drain()
        if (this.#guard.first !== undefined) throw this.#guard.first
        const exit = root.pollUnsafe()
        if (exit !== undefined) {
          const { nowMs } = this
          return { exit, simulatedMs: nowMs, leaks: this.#leaks(), tasks: this.#count }
        }
        this.#move()
      }
    } finally {
      this.#guard.open()
    }
  }

  /** Runs everything that can run at this instant. */
  #drain(): void {
    const until = this.#instantStart + tasksPerInstant
    for (;;) {
      const task = this.#next()
      if (task === undefined) return
      task()
      if (this.#guard.first !== undefined) throw this.#guard.first
      if (++this.#count > until) {
        throw new Overrun(`at ${this.nowMs} ms ${tasksPerInstant} tasks ran while time stood still`, this.alive())
      }
      if (this.#ops > opsPerInstant) {
        throw new Overrun(`at ${this.nowMs} ms ${opsPerInstant} operations ran while time stood still`, this.alive())
      }
    }
  }

  #next(): (() => void) | undefined {
    if (this.#others.length > 0) return this.#nextOfOthers()
    const tasks = this.#tasks
    const count = tasks.length
    if (count <= 1) return tasks.pop()
    if (this.#order === "fifo") return tasks.shift()
    const at = this.#picks.below(count)
    const task = tasks[at] as () => void
    const last = tasks.pop() as () => void
    if (at < count - 1) tasks[at] = last
    return task
  }

  /** Rare: tasks of another priority than the usual one. */
  #nextOfOthers(): (() => void) | undefined {
    const urgent = this.#others.findIndex(({ priority }) => priority < 0)
    const at = urgent >= 0 ? urgent : this.#tasks.length > 0 ? -1 : 0
    if (at >= 0) return this.#others.splice(at, 1)[0]?.task
    const others = this.#others
    this.#others = []
    const task = this.#next()
    this.#others = others
    return task
  }

  #move(): void {
    const next = this.#timers.nextNs()
    if (next === undefined) throw new Deadlock(this.nowMs, this.alive())
    const now = Math.max(this.nowNs, next) + (this.lateness?.() ?? 0)
    if (now > this.nowNs) {
      this.nowNs = now
      this.#instantStart = this.#count
      this.#ops = 0
    }
    if (this.nowNs > this.#horizonNs) {
      throw new Overrun(`the run goes on past ${this.#horizonNs / 1e6} ms`, this.alive())
    }
    this.#timers.release(this.nowNs, this.#tasks)
  }

  #leaks(): ReadonlyArray<string> {
    const { named, ms } = this.#survivors ?? { named: /^$/u, ms: 0 }
    const left = this.alive().filter((name) => !named.test(name))
    const untilNs = this.nowNs + ms * 1e6
    for (let next = this.#timers.nextNs(); next !== undefined && next <= untilNs; next = this.#timers.nextNs()) {
      this.#move()
      this.#drain()
    }
    const still = this.alive().filter((name) => !left.includes(name))
    const timers = this.#timers.live
    return [
      ...[...left, ...still].map((name) => `fiber left: ${name}`),
      ...(timers === 0 ? [] : [`${timers} timers left`])
    ]
  }

  #sweep(): void {
    for (const fiber of this.#fibers.keys()) {
      if (fiber.pollUnsafe() !== undefined) this.#fibers.delete(fiber)
    }
    this.#nextSweep = Math.max(sweepFibers, this.#fibers.size * 2)
  }

  #nextPreemption(): number {
    const ops = this.#preemptOps
    return ops >= 2048 ? ops : this.#preemptions.between(1, 2 * ops)
  }

  #scheduler(): Scheduler.Scheduler {
    const dispatcher: Scheduler.SchedulerDispatcher = {
      scheduleTask: (task, priority) => {
        if (priority === 0) this.#tasks.push(task)
        else this.#others.push({ priority, task })
      },
      flush: () => this.#drain()
    }
    return {
      executionMode: "sync",
      shouldYield: (fiber) => {
        // The first operation since it went to sleep: this is where the world gets to know its fibers. It is never
        // pre-empted, as it never is by Effect's own scheduler: a fiber that was interrupted before it began would else
        // yield, and then begin (its start is still on the queue) as if nobody had interrupted it.
        const isFirst = fiber.currentOpCount === 1
        if (isFirst) {
          this.#fibers.set(fiber, this.nowNs)
          if (this.#fibers.size > this.#nextSweep) this.#sweep()
        }
        this.#ops++
        if (--this.#opsLeft > 0) return false
        this.#opsLeft = this.#nextPreemption()
        return !isFirst
      },
      makeDispatcher: () => dispatcher
    }
  }

  #logger(): Logger.Logger<unknown, void> {
    return Logger.make(({ logLevel, message }) => {
      if (this.logs.length < keptLogs) this.logs.push({ atMs: this.nowMs, level: logLevel, message: String(message) })
    })
  }

  #clock(): Clock.Clock {
    const millis = () => this.#startMillis + this.wallOffsetMs + Math.floor(this.nowNs / 1e6)
    const monotonic = () => {
      if (this.#monotonicOf !== this.nowNs) {
        this.#monotonicOf = this.nowNs
        this.#monotonic = BigInt(this.nowNs)
      }
      return this.#monotonic
    }
    const wall = () => this.#startNs + BigInt(this.wallOffsetMs) * 1_000_000n + monotonic()
    return {
      currentTimeMillisUnsafe: millis,
      currentTimeMillis: Effect.sync(millis),
      currentTimeNanosUnsafe: wall,
      currentTimeNanos: Effect.sync(wall),
      monotonicTimeNanosUnsafe: monotonic,
      monotonicTimeNanos: Effect.sync(monotonic),
      sleep: (duration) => {
        const ns = Math.round(Duration.toMillis(duration) * 1e6)
        if (!(ns > 0)) return Effect.yieldNow
        if (!Number.isSafeInteger(this.nowNs + ns)) return Effect.never
        return Effect.callback<void>((resume) => {
          const timer = this.after(ns, () => resume(Effect.void))
          return Effect.sync(() => this.callOff(timer))
        })
      }
    }
  }
}

/** The world that a simulated part lives in. */
export class InWorld extends Context.Service<InWorld, World>()("rspp/InWorld") {}
