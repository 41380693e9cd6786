import * as Duration from "effect/Duration"
import { NamedRandom } from "../determinism/NamedRandom.ts"

/**
 * How a failed call is tried again. The first wait is half to all of 100 ms, the second half to all of 200 ms, and so on,
 * never more than 1 s of its own: what is over for a caller after two seconds has no use for longer ones. The least time
 * for the new call is what the fastest hosted models take to a first result; with less left, trying again is a wait for
 * nothing.
 */
export const retryPolicy = {
  /** Calls that may be made of one piece of work, the first one included. */
  attempts: 3,
  base: Duration.millis(100),
  factor: 2,
  cap: Duration.seconds(1),
  leastCall: Duration.millis(200)
} as const

if (Duration.isLessThan(retryPolicy.cap, retryPolicy.base) || retryPolicy.factor < 1) {
  throw new Error("the waits between attempts must not shrink")
}

/** What a wait follows from. */
export interface FailedAttempt {
  readonly seed: number
  /** Names the random stream: the session and the call that failed. */
  readonly name: string
  /** Which attempt failed, from 1. */
  readonly attempt: number
  /** What the vendor asked for. */
  readonly retryAfter: Duration.Duration | undefined
}

/**
 * How long to wait before the next attempt: an exponential step with equal jitter, so that many sessions that met the
 * same overload do not come back together, and behind what the vendor asked for, if it asked for anything.
 *
 * Each failed call has a random stream of its own, so that a wait more or less shifts no other.
 */
export const backoffOf = ({ attempt, name, retryAfter = Duration.zero, seed }: FailedAttempt): Duration.Duration => {
  const { base, cap, factor } = retryPolicy
  const step = Duration.min(cap, Duration.times(base, factor ** (attempt - 1)))
  const share = 0.5 + new NamedRandom(seed, `retry/${name}`).next() / 2
  return Duration.sum(retryAfter, Duration.millis(Math.ceil(Duration.toMillis(step) * share)))
}
