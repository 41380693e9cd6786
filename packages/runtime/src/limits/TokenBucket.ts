/** Milliseconds of a minute: what one token is worth in the bucket's own unit. */
const minuteMs = 60_000

/**
 * A rate a minute, counted on the times that it is given: as many as the rate may come at once, and each comes back in
 * its part of a minute. Whole numbers only, so that it is the same everywhere. The rate may change from call to call.
 */
export class TokenBucket {
  /** What was taken and has not come back, in tokens × 60000. */
  #taken = 0
  #atMs = 0

  has(perMinute: number, nowMs: number): boolean {
    this.#refill(perMinute, nowMs)
    return this.#taken + minuteMs <= perMinute * minuteMs
  }

  take(perMinute: number, nowMs: number): void {
    this.#refill(perMinute, nowMs)
    this.#taken += minuteMs
  }

  #refill(perMinute: number, nowMs: number): void {
    this.#taken = Math.max(0, this.#taken - Math.max(0, nowMs - this.#atMs) * perMinute)
    this.#atMs = nowMs
  }
}
