import * as Effect from "effect/Effect"
import { Scheduler } from "effect/Scheduler"
import { dispatcherOf } from "./TaskDispatcher.ts"
import type { TaskDispatcher } from "./TaskDispatcher.ts"

/**
 * Wakes one waiting fiber. Ringing is synchronous and never runs the waiter: it runs as a task of its own, so that who
 * rings is never in the middle of something. Any number of rings before the waiter looks count as one.
 */
export class Bell {
  readonly #dispatcher: TaskDispatcher
  #rung = false
  #scheduled = false
  #scheduledFirst = false
  #answering = false
  #waiter: ((effect: Effect.Effect<void>) => void) | undefined
  #answer: (() => boolean) | undefined

  private constructor(dispatcher: TaskDispatcher) {
    this.#dispatcher = dispatcher
  }

  /** A bell whose waiter is woken by the scheduler of the fiber that makes it. */
  static readonly make: Effect.Effect<Bell> = Effect.withFiber((fiber) =>
    Effect.succeed(new Bell(dispatcherOf(fiber.getRef(Scheduler))))
  )

  ring(): void {
    if (this.#rung) return
    this.#rung = true
    if (this.#waits) this.#schedule()
  }

  /** As `ring`, but whoever waits comes before everything that was rung for without haste, here and at other bells. */
  ringFirst(): void {
    const { scheduleFirst } = this.#dispatcher
    if (scheduleFirst === undefined) return this.ring()
    this.#rung = true
    if (this.#scheduledFirst || !this.#waits) return
    this.#scheduledFirst = true
    scheduleFirst(this.#wakeFirst)
  }

  get #waits(): boolean {
    return !this.#answering && (this.#waiter !== undefined || this.#answer !== undefined)
  }

  /**
   * Calls `answer` at once, and then for rings, as a task of its own each, until it is given another or none. While it
   * returns true it has more to do than one task may take, and is called again, as the next task.
   *
   * Cheaper than a fiber that waits: nothing is suspended and resumed for each ring. Rings that come while it answers
   * are answered before the task ends. It must not throw.
   */
  answerWith(answer: (() => boolean) | undefined): void {
    this.#answer = answer
    if (answer === undefined) return
    this.#rung = true
    if (!this.#answering) this.#serve()
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

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    this.#dispatcher.schedule(this.#wakeInTurn)
  }

  #serve(): void {
    this.#answering = true
    let more = false
    while (this.#rung && !more && this.#answer !== undefined) {
      this.#rung = false
      more = this.#answer()
    }
    this.#answering = false
    if (!more) return
    this.#rung = true
    this.#schedule()
  }

  readonly #wakeInTurn = (): void => {
    this.#scheduled = false
    this.#wake()
  }

  readonly #wakeFirst = (): void => {
    this.#scheduledFirst = false
    this.#wake()
  }

  #wake(): void {
    if (this.#answer !== undefined) return this.#serve()
    const waiter = this.#waiter
    if (waiter === undefined || !this.#rung) return
    this.#waiter = undefined
    this.#rung = false
    waiter(Effect.void)
  }
}
