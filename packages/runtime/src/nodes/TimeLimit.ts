import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { Fiber } from "effect"

/**
 * The one time limit of a node at work: armed for a phase, paused while the node waits for others. One fiber watches it
 * from outside of the node's own, so that it also holds for work that cannot be interrupted.
 */
export interface TimeLimit {
  /** From now on so many ms; replaces what was armed. `due` is called at most once for it. */
  readonly arm: (ms: number, due: () => void) => void
  /** The time does not count, until `resume`. */
  readonly pause: () => void
  readonly resume: () => void
  readonly remainingMs: () => number | undefined
  /** Nothing is limited any more, for good. */
  readonly close: () => void
}

export const makeTimeLimit = (
  nowMs: () => number,
  fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
): TimeLimit => {
  const changed = Latch.makeUnsafe(false)
  let current: { readonly due: () => void; leftMs: number; sinceMs: number | undefined } | undefined
  let watcher: Fiber.Fiber<void> | undefined
  /** When the watcher wakes up, if it sleeps. */
  let wakesMs: number | undefined
  let closed = false

  const remainingMs = () =>
    current === undefined
      ? undefined
      : current.sinceMs === undefined
      ? current.leftMs
      : Math.max(0, current.leftMs - (nowMs() - current.sinceMs))

  const watch: Effect.Effect<void> = Effect.gen(function*() {
    while (!closed) {
      if (current === undefined || current.sinceMs === undefined) {
        changed.closeUnsafe()
        yield* changed.await
        continue
      }
      const left = remainingMs() ?? 0
      if (left > 0) {
        wakesMs = nowMs() + left
        yield* Effect.sleep(left)
        wakesMs = undefined
        continue
      }
      const { due } = current
      current = undefined
      due()
    }
  })

  return {
    arm: (ms, due) => {
      if (closed) return
      current = { due, leftMs: ms, sinceMs: nowMs() }
      // A watcher that sleeps for something earlier looks again when it wakes up.
      if (wakesMs !== undefined && nowMs() + ms < wakesMs) {
        watcher?.interruptUnsafe()
        watcher = undefined
        wakesMs = undefined
      }
      watcher ??= fork(watch)
      changed.openUnsafe()
    },
    pause: () => {
      if (current?.sinceMs === undefined) return
      current.leftMs = remainingMs() ?? 0
      current.sinceMs = undefined
    },
    resume: () => {
      if (current === undefined || current.sinceMs !== undefined) return
      current.sinceMs = nowMs()
      changed.openUnsafe()
    },
    remainingMs,
    close: () => {
      closed = true
      current = undefined
      watcher?.interruptUnsafe()
      watcher = undefined
    }
  }
}
