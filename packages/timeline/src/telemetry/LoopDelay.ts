import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Meter } from "./Meter.ts"

/** How often the event loop is asked to come back, ms: one timer, whatever runs. */
export const loopTimerMs = 100

const running = new WeakMap<Meter, { users: number; readonly timer: NodeJS.Timeout }>()

const start = (meter: Meter): NodeJS.Timeout => {
  let dueMs = performance.now() + loopTimerMs
  const timer = setInterval(() => {
    const now = performance.now()
    meter.observe("loopDelay", {}, Math.max(0, now - dueMs))
    dueMs = now + loopTimerMs
  }, loopTimerMs)
  timer.unref()
  return timer
}

/** Measures how late the event loop is, while anybody wants it; once for a process, however many do. */
export const measureLoopDelay = (meter: Meter): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(Effect.acquireRelease(
    Effect.sync(() => {
      const known = running.get(meter) ?? { users: 0, timer: start(meter) }
      known.users++
      running.set(meter, known)
      return known
    }),
    (known) =>
      Effect.sync(() => {
        known.users--
        if (known.users > 0) return
        clearInterval(known.timer)
        running.delete(meter)
      })
  ))
