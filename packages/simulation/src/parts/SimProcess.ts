import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"
import type { WorldTimer } from "../TimerQueue.ts"
import type { World } from "../World.ts"

/**
 * One process among several of a world, which can stand still by itself: nothing of it runs then, no fiber and no timer,
 * while the world and its clocks go on. When it goes on, everything that was due meanwhile takes its chance at once. A
 * process that is killed is one that does not go on before nobody looks any more: no finalizer of it has run by then.
 */
export class SimProcess {
  /** The world as the parts of this process see it: the same time, and timers that wait while it stands still. */
  readonly world: World
  readonly #world: World
  readonly #held: Array<() => void> = []
  #halted = false

  constructor(world: World) {
    this.#world = world
    const calledOff = new WeakSet<WorldTimer>()
    // Reads through to the world; what schedules is the process's own.
    this.world = Object.create(world, {
      after: {
        value: (ns: number, fire: () => void): WorldTimer => {
          const timer = world.after(ns, () =>
            this.#run(() => {
              // It may have been called off by what ran before it when the process went on.
              if (!calledOff.has(timer)) fire()
            }))
          return timer
        }
      },
      soon: { value: (fire: () => void) => world.soon(() => this.#run(fire)) },
      callOff: {
        value: (timer: WorldTimer) => {
          calledOff.add(timer)
          world.callOff(timer)
        }
      },
      outside: { value: (what: () => void) => world.outside(what) }
    }) as World
  }

  /** Stands still from now on, for so long in ms. */
  halt(forMs: number): void {
    if (this.#halted) return
    this.#halted = true
    this.#world.after(forMs * 1e6, () => {
      this.#halted = false
      for (const task of this.#held.splice(0)) this.#world.soon(() => this.#run(task))
    })
  }

  /** Runs a program in this process. */
  readonly run = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(Effect.forkChild(program), Fiber.join).pipe(
      Effect.provideService(Scheduler.Scheduler, this.#scheduler()),
      Effect.provideService(Clock.Clock, this.#clock())
    )

  #run(task: () => void): void {
    if (this.#halted) this.#held.push(task)
    else task()
  }

  #scheduler(): Scheduler.Scheduler {
    const outer = Context.get(this.#world.context, Scheduler.Scheduler)
    return {
      executionMode: outer.executionMode,
      shouldYield: (fiber) => outer.shouldYield(fiber),
      makeDispatcher: () => {
        const dispatcher = outer.makeDispatcher()
        return {
          scheduleTask: (task, priority) => dispatcher.scheduleTask(() => this.#run(task), priority),
          flush: () => dispatcher.flush()
        }
      }
    }
  }

  #clock(): Clock.Clock {
    const outer = Context.get(this.#world.context, Clock.Clock)
    return {
      currentTimeMillisUnsafe: () => outer.currentTimeMillisUnsafe(),
      currentTimeMillis: outer.currentTimeMillis,
      currentTimeNanosUnsafe: () => outer.currentTimeNanosUnsafe(),
      currentTimeNanos: outer.currentTimeNanos,
      monotonicTimeNanosUnsafe: () => outer.monotonicTimeNanosUnsafe(),
      monotonicTimeNanos: outer.monotonicTimeNanos,
      sleep: (duration) => {
        const ns = Math.round(Duration.toMillis(duration) * 1e6)
        if (!(ns > 0)) return Effect.yieldNow
        if (!Number.isSafeInteger(this.#world.nowNs + ns)) return Effect.never
        return Effect.callback<void>((resume) => {
          const timer = this.world.after(ns, () => resume(Effect.void))
          return Effect.sync(() => this.world.callOff(timer))
        })
      }
    }
  }
}
