import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
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
 * that fails is logged and tried again with the next state; a stale epoch ends the writing for good.
 */
export const openStateKeeper = Effect.fnUntraced(
  function*(
    store: SessionStateStoreService,
    seenBefore: ReadonlyArray<string>
  ): Effect.fn.Return<StateKeeper, never, Scope.Scope> {
    const keys = new Set(seenBefore)
    const due = Latch.makeUnsafe(false)
    let next: DurableState | undefined
    let revision = 0
    let fenced = false
    const write = Effect.suspend(() => {
      const state = next
      next = undefined
      if (state === undefined || fenced) return Effect.void
      return store.save(state).pipe(Effect.catchTag("StateStoreFailure", (failure) => {
        fenced ||= failure.reason === "stale_epoch"
        return Effect.logWarning(`the state of the session was not written: ${failure.message}`)
      }))
    })
    yield* Effect.addFinalizer(() => Effect.asVoid(Effect.timeoutOption(write, lastWriteMs)))
    yield* Effect.forkScoped(
      named("session state")(Effect.forever(
        Effect.andThen(due.await, Effect.suspend(() => Effect.andThen(due.close, Effect.uninterruptible(write))))
      ))
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
        due.openUnsafe()
      }
    }
  }
)
