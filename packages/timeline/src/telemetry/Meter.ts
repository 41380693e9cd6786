import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import type { MetricEntry, MetricKey } from "./MetricCatalog.ts"
import { maxLabelValues, metricCatalog, otherLabel } from "./MetricCatalog.ts"

/** A queue that says how much waits in it, when it is asked. */
export interface WatchedQueue {
  /** Its name, as `rspp_queue_depth` has it. */
  readonly queue: string
  readonly depth: () => number
}

/** Seconds that the shed rate looks back. */
export const shedRateSeconds = 60

type Labels<K extends MetricKey> = { readonly [L in keyof (typeof metricCatalog)[K]["labels"]]: string }
type LabelValues = Readonly<Record<string, string>>

type KeysOf<Kind extends MetricEntry["kind"]> = {
  [K in MetricKey]: (typeof metricCatalog)[K]["kind"] extends Kind ? K : never
}[MetricKey]

type Series = Metric.Metric<number, unknown>

const seriesOf = (
  { boundaries = [], kind, meaning: description, name }: MetricEntry,
  attributes: LabelValues
): Series => {
  switch (kind) {
    case "counter":
      return Metric.counter(name, { description, attributes, incremental: true })
    case "gauge":
      return Metric.gauge(name, { description, attributes })
    case "histogram":
      return Metric.histogram(name, { description, attributes, boundaries })
  }
}

/** Each combination of the values of labels that have lists. */
const combinations = (labels: MetricEntry["labels"]): ReadonlyArray<LabelValues> =>
  Object.entries(labels).reduce<ReadonlyArray<LabelValues>>(
    (all, [label, values = []]) => all.flatMap((some) => values.map((value) => ({ ...some, [label]: value }))),
    [{}]
  )

/**
 * The metrics of one process: the catalogue's, in the metric registry that it was made for.
 *
 * Guarantees: I-METER-BOUND there is a bound on how many series there are, whatever labels say; gauges over queues are
 * read when somebody asks for the metrics, never while a session works.
 */
export class Meter {
  readonly #context: Context.Context<never>
  readonly #clock: Clock.Clock
  /** By the metric's name and its labels' values. */
  readonly #series = new Map<string, Series>()
  /** By the metric's name and the label. */
  readonly #values = new Map<string, Set<string>>()
  readonly #queues = new Map<string, Set<() => number>>()
  readonly #decisions = new Float64Array(shedRateSeconds)
  readonly #refusals = new Float64Array(shedRateSeconds)
  #second = 0

  constructor(context: Context.Context<never>) {
    this.#context = context
    this.#clock = Context.get(context, Clock.Clock)
    this.#second = this.#now()
    // What has not happened is a 0, and not nothing: an alert on a rise needs to know where it rises from.
    for (const entry of Object.values<MetricEntry>(metricCatalog)) {
      if (entry.kind !== "counter" || Object.values(entry.labels).includes(undefined)) continue
      for (const labels of combinations(entry.labels)) this.#of(entry, labels).updateUnsafe(0, context)
    }
    this.#of(metricCatalog.sessionsOpen, {}).updateUnsafe(0, context)
    this.#read(metricCatalog.shedRate, {}, () => this.#shedRate())
  }

  /** Counts `by` more; 0 is nothing. */
  count<K extends KeysOf<"counter">>(key: K, labels: Labels<K>, by = 1): void {
    if (by > 0) this.#of(metricCatalog[key], labels).updateUnsafe(by, this.#context)
  }

  /** One more value of a histogram. */
  observe<K extends KeysOf<"histogram">>(key: K, labels: Labels<K>, value: number): void {
    this.#of(metricCatalog[key], labels).updateUnsafe(value, this.#context)
  }

  /** Sessions that began, less those that are over. */
  sessions(by: 1 | -1): void {
    this.#of(metricCatalog.sessionsOpen, {}).modifyUnsafe(by, this.#context)
  }

  /** Admission has decided something: it is in the shed rate of the next minute. */
  decided(refused: boolean): void {
    const at = this.#turnTo(this.#now()) % shedRateSeconds
    this.#decisions[at] = (this.#decisions[at] ?? 0) + 1
    if (refused) this.#refusals[at] = (this.#refusals[at] ?? 0) + 1
  }

  /** Queues that are looked at whenever metrics are read, until they are taken away again. */
  watch(queues: ReadonlyArray<WatchedQueue>): () => void {
    const watched = queues.map(({ depth, queue: given }) => {
      // Named by pipelines, of which a process may run any number.
      const queue = this.#bounded(`${metricCatalog.queueDepth.name}\nqueue`, given)
      const known = this.#queues.get(queue)
      if (known !== undefined) {
        known.add(depth)
        return { all: known, depth }
      }
      const all = new Set([depth])
      this.#queues.set(queue, all)
      this.#read(metricCatalog.queueDepth, { queue }, () => {
        let sum = 0
        for (const each of all) sum += each()
        return sum
      })
      return { all, depth }
    })
    return () => {
      for (const { all, depth } of watched) all.delete(depth)
    }
  }

  #now(): number {
    return Math.floor(this.#clock.currentTimeMillisUnsafe() / 1000)
  }

  /** Seconds that have passed are forgotten. */
  #turnTo(second: number): number {
    const passed = Math.min(shedRateSeconds, second - this.#second)
    for (let back = 0; back < passed; back++) {
      this.#decisions[(second - back) % shedRateSeconds] = 0
      this.#refusals[(second - back) % shedRateSeconds] = 0
    }
    this.#second = Math.max(this.#second, second)
    return this.#second
  }

  #shedRate(): number {
    this.#turnTo(this.#now())
    const sum = (counts: Float64Array) => counts.reduce((all, count) => all + count, 0)
    const decisions = sum(this.#decisions)
    return decisions === 0 ? 0 : sum(this.#refusals) / decisions
  }

  /** A gauge that is read when it is asked for. */
  #read(entry: MetricEntry, labels: LabelValues, value: () => number): void {
    const { name, meaning: description } = entry
    Metric.registerUnsafe(Metric.gauge(name, { description, attributes: labels }), this.#context, {
      get: () => ({ value: value() }),
      update: () => {},
      modify: () => {}
    })
  }

  #of(entry: MetricEntry, labels: LabelValues): Series {
    let key = entry.name
    for (const label in labels) key += `\n${labels[label]}`
    const known = this.#series.get(key)
    if (known !== undefined) return known
    const bounded: Record<string, string> = {}
    for (const [label, value] of Object.entries(labels)) {
      const values = entry.labels[label]
      bounded[label] = values === undefined
        ? this.#bounded(`${entry.name}\n${label}`, value)
        : values.includes(value)
        ? value
        : otherLabel
    }
    const series = seriesOf(entry, bounded)
    // Not kept where a value gave way: keys would be as many as values.
    if (Object.entries(labels).every(([label, value]) => bounded[label] === value)) this.#series.set(key, series)
    return series
  }

  #bounded(label: string, value: string): string {
    const values = this.#values.get(label) ?? new Set()
    this.#values.set(label, values)
    if (values.has(value)) return value
    if (values.size >= maxLabelValues) return otherLabel
    values.add(value)
    return value
  }
}

const meters = new WeakMap<Metric.MetricRegistry, Meter>()

/** The one meter of the context's metric registry. */
export const meterOf = (context: Context.Context<never>): Meter => {
  const registry = Context.get(context, Metric.MetricRegistry)
  const known = meters.get(registry)
  if (known !== undefined) return known
  const meter = new Meter(context)
  meters.set(registry, meter)
  return meter
}
