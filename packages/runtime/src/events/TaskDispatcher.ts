import { MixedScheduler } from "effect/Scheduler"
import type { Scheduler, SchedulerDispatcher } from "effect/Scheduler"

/**
 * Ordinary tasks between two looks at the event loop. With some 30 µs each (a frame of one session) they are 1 ms: as long
 * may a socket or a timer wait for the frames of all sessions.
 */
export const tasksPerTurn = 32

/** Of those that come after the first: a provider's first step may take 1 ms, and more. */
export const afterFirstPerTurn = 4

/** Where the sessions of a process have their tasks run. */
export interface TaskDispatcher {
  /** In order of arrival, each as a task of its own. */
  readonly schedule: (task: () => void) => void
  /**
   * Before every task that was scheduled in the other way, of whatever session, and never from within the call. Absent:
   * all tasks are equal here.
   */
  readonly scheduleFirst?: (task: () => void) => void
  /** As `scheduleFirst`, but after everything that was, of all sessions: what need not be done to have decided. */
  readonly scheduleAfterFirst?: (task: () => void) => void
  /** Whether a task that comes first waits for the one that runs now. Absent: none does. */
  readonly firstWaits?: () => boolean
}

/**
 * The event loop of a process, under Effect's own scheduler. What comes first is a microtask: it waits for what runs now,
 * and for nothing else that is ready, be it other sessions' frames or timers that are due.
 *
 * Guarantees: I-LANE-ACROSS a control input of any session is applied before the frames of all others that wait, and
 * {@link tasksPerTurn} of those at most run before the event loop turns.
 */
class LoopDispatcher implements TaskDispatcher {
  readonly #turns: SchedulerDispatcher
  readonly #microtasks: SchedulerDispatcher
  #tasks: Array<() => void> = []
  /** The next of them. */
  #at = 0
  #scheduled = false
  #first: Array<() => void> = []
  #firstAt = 0
  #afterFirst: Array<() => void> = []
  #prompted = false

  constructor(scheduler: Scheduler) {
    this.#turns = scheduler.makeDispatcher()
    this.#microtasks = new MixedScheduler("sync").makeDispatcher()
  }

  readonly schedule = (task: () => void): void => {
    this.#tasks.push(task)
    this.#await()
  }

  readonly scheduleFirst = (task: () => void): void => {
    this.#first.push(task)
    this.#prompt()
  }

  readonly firstWaits = (): boolean => this.#firstAt < this.#first.length

  readonly scheduleAfterFirst = (task: () => void): void => {
    this.#afterFirst.push(task)
    this.#prompt()
  }

  #prompt(): void {
    if (this.#prompted) return
    this.#prompted = true
    this.#microtasks.scheduleTask(this.#runPrompt, 0)
  }

  #await(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    this.#turns.scheduleTask(this.#run, 0)
  }

  /** Everything that comes before the ordinary tasks, and what comes of it. */
  readonly #runPrompt = (): void => {
    this.#prompted = false
    let ran = 0
    for (;;) {
      if (this.#first.length > 0) {
        while (this.#firstAt < this.#first.length) this.#first[this.#firstAt++]?.()
        this.#first = []
        this.#firstAt = 0
      } else if (this.#afterFirst.length === 0) {
        return
      } else if (ran === afterFirstPerTurn) {
        return this.#await()
      } else {
        ran++
        this.#afterFirst.shift()?.()
      }
    }
  }

  readonly #run = (): void => {
    this.#scheduled = false
    if (this.#afterFirst.length > 0) this.#runPrompt()
    const end = Math.min(this.#tasks.length, this.#at + tasksPerTurn)
    while (this.#at < end) {
      if (this.#prompted) this.#runPrompt()
      this.#tasks[this.#at++]?.()
    }
    if (this.#at < this.#tasks.length) {
      // What has run goes when it is half of all, so that each task is moved once at most.
      if (this.#at * 2 >= this.#tasks.length) {
        this.#tasks = this.#tasks.slice(this.#at)
        this.#at = 0
      }
      return this.#await()
    }
    this.#tasks.length = 0
    this.#at = 0
  }
}

/** A simulated world has its own order for everything that is ready, and finds races by shuffling it: nothing comes first there. */
const plainDispatcher = (scheduler: Scheduler): TaskDispatcher => {
  const dispatcher = scheduler.makeDispatcher()
  return { schedule: (task) => dispatcher.scheduleTask(task, 0) }
}

/** One dispatcher for all tasks of a scheduler: a thousand sessions that are rung together cost few turns of its loop. */
const dispatchers = new WeakMap<Scheduler, TaskDispatcher>()

export const dispatcherOf = (scheduler: Scheduler): TaskDispatcher => {
  const known = dispatchers.get(scheduler)
  if (known !== undefined) return known
  const made = scheduler instanceof MixedScheduler && scheduler.executionMode === "async"
    ? new LoopDispatcher(scheduler)
    : plainDispatcher(scheduler)
  dispatchers.set(scheduler, made)
  return made
}
