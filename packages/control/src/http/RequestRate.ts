import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RateLimiter from "effect/persistence/RateLimiter"
import type { Principal } from "../Permissions.ts"
import { OverloadedProblem } from "./Problems.ts"

/** How fast an API key may ask. */
export interface RequestRateOptions {
  /** Requests a second, in the long run; at most {@link maxPerSecond}. */
  readonly perSecond: number
  /** Requests at once, after a time without any. */
  readonly burst: number
}

/** A bucket is counted in ms: faster than this it would be no limit. */
export const maxPerSecond = 1000

/**
 * How fast each API key may ask this control plane: a token bucket for each key, which holds `burst` requests and gets
 * `perSecond` back each second. By default there is no limit.
 *
 * Guarantees:
 * - **Q2** in any time `t` no key is let through more than `burst + perSecond · t` times; what is refused costs no token,
 *   and is told after which time it may come again. Keys do not share: one that asks too much takes nothing from another.
 *
 * Each process counts for itself: behind several of them a key has as many times the rate. Requests without a valid key
 * are not counted here. One entry of about 100 bytes is kept for each key that has asked.
 */
export const RequestRate = Context.Reference<{
  /** Takes a token of the key, or fails with 429. */
  readonly take: (principal: Pick<Principal, "key_id" | "role">) => Effect.Effect<void, OverloadedProblem>
}>("rspp/http/RequestRate", { defaultValue: () => ({ take: () => Effect.void }) })

/** A limit for each key; `runtime` for keys of that role, which ask for each session that they run. */
export const layerRequestRate = (options: RequestRateOptions, runtime = options): Layer.Layer<never> =>
  Layer.effect(
    RequestRate,
    Effect.gen(function*() {
      for (const { burst, perSecond } of [options, runtime]) {
        if (perSecond > 0 && perSecond <= maxPerSecond && Number.isInteger(burst) && burst >= 1) continue
        throw new Error(
          `a rate has more than 0 and at most ${maxPerSecond} requests a second and a burst of at least 1, not ${perSecond} and ${burst}`
        )
      }
      const limiter = yield* RateLimiter.RateLimiter
      const clock = yield* Clock.Clock
      // time of day that is put back would give no token for as long
      const nowMs = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
      const steady: Clock.Clock = Object.assign(Object.create(clock) as Clock.Clock, { currentTimeMillisUnsafe: nowMs })
      return {
        take: ({ key_id, role }) => {
          const { burst, perSecond } = role === "runtime" ? runtime : options
          // what an empty bucket takes to fill
          const window = Duration.millis(burst / perSecond * 1000)
          return limiter.consume({ algorithm: "token-bucket", onExceeded: "fail", limit: burst, window, key: key_id })
            .pipe(
              Effect.provideService(Clock.Clock, steady),
              Effect.asVoid,
              Effect.catchTag("RateLimiterError", ({ reason }) =>
                // memory does not fail
                reason._tag === "RateLimitStoreError"
                  ? Effect.void
                  : Effect.fail(tooFast(reason.retryAfter, perSecond)))
            )
        }
      }
    })
  ).pipe(Layer.provide(RateLimiter.layer), Layer.provide(RateLimiter.layerStoreMemory))

const tooFast = (retryAfter: Duration.Duration, perSecond: number): OverloadedProblem => {
  const retry_after_ms = Math.max(1, Math.ceil(Duration.toMillis(retryAfter)))
  return new OverloadedProblem({
    code: "too_many_requests",
    detail: `this key asks more than ${perSecond} times a second; ask again in ${retry_after_ms} ms`,
    retry_after_ms
  })
}
