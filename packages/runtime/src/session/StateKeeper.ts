import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Scope } from "effect"
import { rememberedKeys } from "../events/Identity.ts"
import type { DurableState, SessionStateStoreService } from "../ports/SessionStateStore.ts"
import { named } from "../determinism/FiberName.ts"

/** How long the last write may take when the session ends, in ms. */
export const lastWriteMs = 250

/** Keeps the durable state of one session. */
export interface StateKeeper {
  /** Notes an idempotency key that was seen. */
  readonly seen: (key: string | undefined) => void
  /** Has the state written, soon; a state that was not yet written is replaced. */
  readonly keep: (state: Omit<DurableState, "idempotency_keys" | "revision">) => void
}

/**
 * Writes a session's state off the hot path: at most one write is under way and at most one waits, the newest. A write
 * that fails is logged and tried again with the next state; a stale epoch ends the writing for good. When the session
 * ends the last state is written, within {@link lastWriteMs}.
 */
export const openStateKeeper = Effect.fnUntraced(
  function*(
    store: SessionStateStoreService,
    seenBefore: ReadonlyArray<string>
  ): Effect.fn.Return<StateKeeper, never, Scope.Scope> {
    const fork = Effect.runForkWith(yield* Effect.context<never>())
    const keys = new Set(seenBefore)
    let next: DurableState | undefined
    let revision = 0
    let fenced = false
    let writing: Fiber.Fiber<void> | undefined
    const write: Effect.Effect<void> = Effect.suspend(() => {
      const state = next
      next = undefined
      if (state === undefined || fenced) return Effect.void
      const saved = store.save(state).pipe(
        Effect.catchTag("StateStoreFailure", (failure) => {
          fenced ||= failure.reason === "stale_epoch"
          return Effect.logWarning(`the state of the session was not written: ${failure.message}`)
        }),
        // A store that throws is out of order, and no reason for a call to end.
        Effect.catchDefect(() => Effect.logWarning("the store of session state is out of order"))
      )
      return Effect.andThen(saved, write)
    })
    const start = () => {
      const fiber = fork(named("session state")(write))
      writing = fiber
      fiber.addObserver(() => {
        writing = undefined
        if (next !== undefined && !fenced) start()
      })
    }
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        const fiber = writing
        if (fiber === undefined) return Effect.void
        return Effect.flatMap(Effect.timeoutOption(Fiber.await(fiber), lastWriteMs), (ended) =>
          Effect.sync(() => {
            fenced = true
            if (ended._tag === "None") fiber.interruptUnsafe()
          }))
      })
    )
    return {
      seen: (key) => {
        if (key === undefined) return
        keys.add(key)
        if (keys.size <= rememberedKeys) return
        for (const oldest of keys) {
          keys.delete(oldest)
          return
        }
      },
      keep: (state) => {
        next = { ...state, revision: ++revision, idempotency_keys: [...keys] }
        if (writing === undefined) start()
      }
    }
  }
)
