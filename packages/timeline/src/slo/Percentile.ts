/**
 * The percentile by nearest rank: the smallest value that at least this part of all values does not exceed. It is always
 * one of the values, and nothing is interpolated; undefined where there is no value.
 */
export const nearestRank = (sorted: ReadonlyArray<number>, part: number): number | undefined =>
  sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)]

/** How values lie. */
export interface Spread {
  readonly p50_ms: number
  readonly p95_ms: number
  readonly max_ms: number
}

/** Undefined where there is no value: a missing time is never 0. */
export const spreadOf = (values: ReadonlyArray<number>): Spread | undefined => {
  const sorted = values.toSorted((a, b) => a - b)
  const [p50_ms, p95_ms, max_ms] = [nearestRank(sorted, 0.5), nearestRank(sorted, 0.95), nearestRank(sorted, 1)]
  return p50_ms === undefined || p95_ms === undefined || max_ms === undefined ? undefined : { p50_ms, p95_ms, max_ms }
}
