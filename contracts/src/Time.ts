import { Natural, Positive } from "./Quantity.ts"

/** A moment or a duration in milliseconds, an integer ≥ 0. Every field named `*_ms` is one. */
export const Milliseconds = Natural

/** A duration that cannot be zero: budgets, bounds, time to live. */
export const PositiveMilliseconds = Positive

/** Audio that egress may hold in its own queue; generation is complete when the last segment has entered it (CONTRACT section 4). */
export const egressQueueMaxMs = 200
