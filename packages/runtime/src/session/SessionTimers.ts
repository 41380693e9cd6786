import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { Scheduler } from "effect/Scheduler"
import type { Scope } from "effect"
import { FiberName } from "../determinism/FiberName.ts"
import { dispatcherOf } from "../events/TaskDispatcher.ts"
import type { TaskDispatcher } from "../events/TaskDispatcher.ts"

/** What a session's timers are opened with. */
export interface TimerOptions {
  /** Session time, ms. */
  readonly nowMs: () => number
  /** A timer is due. Called as a task of its own, never from `arm`, `disarm` or `settle`. */
  readonly fire: (timer: string, generation: number) => void
}

interface Armed {
  readonly timer: string
  readonly generation: number
  readonly dueMs: number
}

/**
 * The timers of one session: one fiber sleeps until the earliest of them is due, however many there are, for most are
 * disarmed before their time. What was armed in a step is slept for when the step is over (`settle`).
 *
 * Timers that are due together are tasks of their own, in the order in which they were armed: the scheduler decides, as
 * for everything else that is ready. One that is disarmed before its task has run does not fire.
 */
export class SessionTimers {
  readonly #options: TimerOptions
  readonly #dispatcher: TaskDispatcher
  readonly #fork: (sleep: Effect.Effect<void>) => Fiber.Fiber<void>
  readonly #armed = new Map<string, Armed>()
  /** When the earliest is due, or one that has been disarmed since was. */
  #earliestMs = Number.POSITIVE_INFINITY
  /** When the sleeping fiber wakes. */
  #wakesMs = Number.POSITIVE_INFINITY
  #sleeper: Fiber.Fiber<void> | undefined

  private constructor(
    options: TimerOptions,
    dispatcher: TaskDispatcher,
    fork: (sleep: Effect.Effect<void>) => Fiber.Fiber<void>
  ) {
    this.#options = options
    this.#dispatcher = dispatcher
    this.#fork = fork
  }

  /** All are disarmed when the scope closes. */
  static readonly open = (options: TimerOptions): Effect.Effect<SessionTimers, never, Scope.Scope> =>
    Effect.withFiber((fiber) => {
      const fork = Effect.runForkWith(Context.add(fiber.context, FiberName, "timers"))
      const timers = new SessionTimers(options, dispatcherOf(fiber.getRef(Scheduler)), fork)
      return Effect.as(Effect.addFinalizer(() => Effect.sync(() => timers.#close())), timers)
    })

  arm(timer: string, generation: number, dueMs: number): void {
    this.#armed.set(timer, { timer, generation, dueMs })
    if (dueMs < this.#earliestMs) this.#earliestMs = dueMs
  }

  disarm(timer: string): void {
    this.#armed.delete(timer)
  }

  /** Sees to it that somebody wakes in time for what is armed. */
  settle(): void {
    if (this.#earliestMs >= this.#wakesMs) return
    this.#sleeper?.interruptUnsafe()
    this.#sleep()
  }

  #sleep(): void {
    this.#wakesMs = this.#earliestMs
    this.#sleeper = this.#fork(
      Effect.andThen(Effect.sleep(Math.max(0, this.#wakesMs - this.#options.nowMs())), this.#woken)
    )
  }

  readonly #woken = Effect.sync(() => this.#wake())

  #wake(): void {
    // A clock may wake a sleeper a fraction of a millisecond before its time.
    const nowMs = Math.max(this.#options.nowMs(), this.#wakesMs)
    const due: Array<Armed> = []
    this.#earliestMs = Number.POSITIVE_INFINITY
    for (const armed of this.#armed.values()) {
      if (armed.dueMs <= nowMs) due.push(armed)
      else if (armed.dueMs < this.#earliestMs) this.#earliestMs = armed.dueMs
    }
    this.#sleeper = undefined
    this.#wakesMs = Number.POSITIVE_INFINITY
    if (this.#earliestMs < this.#wakesMs) this.#sleep()
    const [only] = due
    if (only !== undefined && due.length === 1) return this.#fire(only)
    for (const armed of due.sort((a, b) => a.dueMs - b.dueMs)) {
      this.#dispatcher.schedule(() => this.#fire(armed))
    }
  }

  #fire(armed: Armed): void {
    if (this.#armed.get(armed.timer) !== armed) return
    this.#armed.delete(armed.timer)
    this.#options.fire(armed.timer, armed.generation)
  }

  #close(): void {
    this.#armed.clear()
    this.#sleeper?.interruptUnsafe()
    this.#sleeper = undefined
  }
}
