import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/**
 * Tells the session's clock that work outside of it is running.
 *
 * In real time it does nothing. In virtual time (`--speed max`) the clock waits for `work`, begun at t0, and gives its
 * result at t0 + d, where d is what it really took: a call at full speed has the same latencies as one at real time.
 *
 * Providers wrap each wait for a worker, a child process or a network in it: `Effect.flatMap(MeasuredWork, (w) => w(effect))`
 * or, once per stream element, around the pull. Sleeping on Effect's clock must not be wrapped.
 */
export const MeasuredWork = Context.Reference<<A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>>(
  "rspp/MeasuredWork",
  { defaultValue: () => (work) => work }
)

/** {@link MeasuredWork} applied to one effect. */
export const measured = <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(MeasuredWork, (measure) => measure(work))
