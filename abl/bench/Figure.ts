/** One measured line. */
export interface Figure {
  readonly name: string
  readonly value: number
  readonly unit: string
  /** What the same work takes in the bare loop of the same run: plain queues, no guarantees. */
  readonly bare?: number
  /** What `bare` is, where it is not the bare loop. */
  readonly against?: string
  /** What issue 3 or DESIGN.md asks for. */
  readonly bound?: { readonly atMost: number } | { readonly atLeast: number }
  /** What one must know to read the figure. */
  readonly note?: string
}

/** One benchmark: it runs in a process of its own and tells how far it is. */
export interface Measure {
  /** One sentence: what is measured, and how. */
  readonly about: string
  readonly run: (tell: (progress: string) => void) => Promise<ReadonlyArray<Figure>>
}

export const percentile = (values: ArrayLike<number>, p: number): number => {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? 0
}

/** Whether the figure keeps its bound; undefined when it has none. */
export const isKept = ({ bound, value }: Figure): boolean | undefined => {
  if (bound === undefined) return undefined
  return "atMost" in bound ? value <= bound.atMost : value >= bound.atLeast
}

/** p50 and p99 of the same thing, with those of the bare loop. */
export const percentiles = (
  name: string,
  unit: string,
  values: ArrayLike<number>,
  bare: ArrayLike<number> | undefined,
  atMost: { readonly p50?: number; readonly p99?: number }
): ReadonlyArray<Figure> =>
  ([["p50", 0.5], ["p99", 0.99]] as const).map(([label, p]) => {
    const bound = atMost[label]
    return {
      name: `${name}, ${label}`,
      value: percentile(values, p),
      unit,
      ...(bare === undefined ? {} : { bare: percentile(bare, p) }),
      ...(bound === undefined ? {} : { bound: { atMost: bound } })
    }
  })

/** Collects garbage, when the process was started with --expose-gc, and returns what is left, in bytes. */
export const heapAfterCollection = (): number => {
  const collect = globalThis.gc
  if (collect === undefined) throw new Error("start node with --expose-gc: without a collection the heap means nothing")
  collect()
  collect()
  const { arrayBuffers, external, heapUsed } = process.memoryUsage()
  // `external` has the array buffers in it.
  return heapUsed + Math.max(external, arrayBuffers)
}
