import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/**
 * The one timebase of a session (RK-18).
 *
 * `nowMs` is whole milliseconds since the session started, from the monotonic clock; it never runs backwards and is
 * never mixed with wall time. `wallClockStartMs` is the Unix time of the start, read once.
 */
export interface SessionTimebase {
  readonly wallClockStartMs: number
  readonly nowMs: () => number
}

/**
 * Timebase (RK-18): starts a session's clock on Effect's `Clock`, so that a virtual clock, a TestClock or a replay
 * clock serves without a change.
 */
export class Timebase extends Context.Service<Timebase, {
  readonly start: Effect.Effect<SessionTimebase>
}>()("rspp/Timebase") {
  static readonly layer = Layer.succeed(Timebase, {
    start: Effect.clockWith((clock) =>
      Effect.sync((): SessionTimebase => {
        const origin = clock.monotonicTimeNanosUnsafe()
        return {
          wallClockStartMs: Math.floor(clock.currentTimeMillisUnsafe()),
          // Exact as a double for 104 days.
          nowMs: () => Math.floor(Number(clock.monotonicTimeNanosUnsafe() - origin) / 1e6)
        }
      })
    )
  })
}
