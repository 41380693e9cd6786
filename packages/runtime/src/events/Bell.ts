import * as Effect from "effect/Effect"
import type { Scheduler } from "effect"

/**
 * Wakes one waiting fiber. Ringing is synchronous and never runs the waiter: it runs as a task of its own, so that who
 * rings is never in the middle of something. Any number of rings before the waiter looks count as one.
 */
export class Bell {
  readonly #dispatcher: Scheduler.SchedulerDispatcher
  #rung = false
  #scheduled = false
  #waiter: ((effect: Effect.Effect<void>) => void) | undefined

  private constructor(dispatcher: Scheduler.SchedulerDispatcher) {
    this.#dispatcher = dispatcher
  }

  /** A bell whose waiter is woken by the scheduler of the fiber that makes it. */
  static readonly make: Effect.Effect<Bell> = Effect.withFiber((fiber) =>
    Effect.succeed(new Bell(fiber.currentDispatcher))
  )

  ring(): void {
    if (this.#rung) return
    this.#rung = true
    if (this.#waiter === undefined || this.#scheduled) return
    this.#scheduled = true
    this.#dispatcher.scheduleTask(this.#wake, 0)
  }

  /** Waits for a ring, or takes the one that has come since the last wait. One fiber at a time. */
  readonly wait: Effect.Effect<void> = Effect.callback<void>((resume) => {
    if (this.#rung) {
      this.#rung = false
      return resume(Effect.void)
    }
    this.#waiter = resume
    return this.#forget
  })

  readonly #forget = Effect.sync(() => {
    this.#waiter = undefined
  })

  readonly #wake = (): void => {
    this.#scheduled = false
    const waiter = this.#waiter
    if (waiter === undefined || !this.#rung) return
    this.#waiter = undefined
    this.#rung = false
    waiter(Effect.void)
  }
}
