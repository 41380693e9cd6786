import * as Effect from "effect/Effect"
import type { Scope } from "effect"

/** Listeners by session. Telling them is synchronous, in the order in which they came. */
export interface Subscribers<A> {
  /** Until the scope closes. The listener first gets what `known` gives, in the same synchronous step: no gap, no repeat. */
  readonly add: (
    session_id: string,
    listener: (value: A) => void,
    known?: () => Iterable<A>
  ) => Effect.Effect<void, never, Scope.Scope>
  readonly publish: (session_id: string, value: A) => void
}

/** Most listeners of one session (the runtime, the routing view, a monitor or two); more is a leak of subscriptions. */
const maxListeners = 16

export const makeSubscribers = <A>(): Subscribers<A> => {
  const bySession = new Map<string, Set<(value: A) => void>>()
  return {
    add: (session_id, listener, known) =>
      Effect.asVoid(Effect.acquireRelease(
        Effect.sync(() => {
          const listeners = bySession.get(session_id) ?? new Set()
          if (listeners.size >= maxListeners) {
            throw new Error(`session ${session_id} has more than ${maxListeners} subscribers`)
          }
          // wrapped, so that one function can listen twice and each scope takes away its own
          const own = (value: A) => listener(value)
          bySession.set(session_id, listeners.add(own))
          for (const value of known?.() ?? []) own(value)
          return own
        }),
        (own) =>
          Effect.sync(() => {
            const listeners = bySession.get(session_id)
            listeners?.delete(own)
            if (listeners?.size === 0) bySession.delete(session_id)
          })
      )),
    publish: (session_id, value) => {
      for (const listener of [...(bySession.get(session_id) ?? [])]) listener(value)
    }
  }
}
