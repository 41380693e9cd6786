/**
 * Ends of the spans that first-result latencies are counted in, ms; what took longer than the last one is counted too.
 *
 * They lie closest where callers notice a difference (a reply that begins within 300 ms seems immediate, one after a
 * second is late) and reach past every first-result cap that a hosted provider has by default (4 s).
 */
export const latencyBoundsMs = [50, 100, 150, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 4000, 6000, 10_000] as const

/** Numbers in a histogram: one for each bound, and one for what is beyond. */
export const latencySpans = latencyBoundsMs.length + 1

/** How many calls had a latency within each span; {@link latencySpans} numbers, or none at all: nothing was measured. */
export type LatencyCounts = ReadonlyArray<number>

/** The histogram of one latency, ms. A latency on a bound belongs to the span that ends there. */
export const latencyOf = (ms: number): LatencyCounts => {
  const found = latencyBoundsMs.findIndex((bound) => ms <= bound)
  const at = found < 0 ? latencyBoundsMs.length : found
  return Array.from({ length: latencySpans }, (_, span) => span === at ? 1 : 0)
}

/** Both together. */
export const addLatencies = (a: LatencyCounts, b: LatencyCounts): LatencyCounts => {
  if (a.length === 0) return b
  if (b.length === 0) return a
  return a.map((count, span) => count + (b[span] ?? 0))
}

/** Calls that were measured. */
export const measuredOf = (counts: LatencyCounts): number => counts.reduce((sum, count) => sum + count, 0)

/**
 * The latency, ms, that the part `q` of the calls stayed within, to the ms, as if those of a span were spread evenly over
 * it: off by less than the span. In the last span, which has no end, it is where that begins. Undefined: none was
 * measured.
 */
export const quantileMs = (counts: LatencyCounts, q: number): number | undefined => {
  const measured = measuredOf(counts)
  if (measured === 0) return undefined
  const wanted = q * measured
  let before = 0
  for (let span = 0; span < counts.length; span++) {
    const count = counts[span] ?? 0
    if (count > 0 && before + count >= wanted) {
      const from = latencyBoundsMs[span - 1] ?? 0
      const to = latencyBoundsMs[span] ?? from
      return Math.round(from + (to - from) * Math.max(0, wanted - before) / count)
    }
    before += count
  }
  return latencyBoundsMs[latencyBoundsMs.length - 1]
}
