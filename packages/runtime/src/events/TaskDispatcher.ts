import type { Scheduler, SchedulerDispatcher } from "effect/Scheduler"

/** One dispatcher for all tasks of a scheduler: a thousand sessions that are rung together cost one turn of its loop. */
const dispatchers = new WeakMap<Scheduler, SchedulerDispatcher>()

export const dispatcherOf = (scheduler: Scheduler): SchedulerDispatcher => {
  const known = dispatchers.get(scheduler)
  if (known !== undefined) return known
  const made = scheduler.makeDispatcher()
  dispatchers.set(scheduler, made)
  return made
}
