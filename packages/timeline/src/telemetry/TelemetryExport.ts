import { trace } from "@opentelemetry/api"
import { rsppVersion } from "@rspp/runtime/session/Session"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as OtlpExporter from "effect/observability/OtlpExporter"
import * as OtlpMetrics from "effect/observability/OtlpMetrics"
import { randomUUID } from "node:crypto"
import { open } from "node:fs/promises"
import { Correlations } from "./Correlation.ts"
import { measureLoopDelay } from "./LoopDelay.ts"
import type { Meter } from "./Meter.ts"
import { meterOf } from "./Meter.ts"
import { encoding, queueClient } from "./OtlpEncoding.ts"
import { LogRecords } from "./OtlpLog.ts"
import { OtlpQueue } from "./OtlpQueue.ts"
import { LogEvents } from "./SessionLog.ts"
import { SpanQueue } from "./SpanQueue.ts"
import type { TelemetryOptions } from "./Telemetry.ts"
import { flushTimeoutMs } from "./Telemetry.ts"
import { TelemetryFailure } from "./TelemetrySettings.ts"
import type { Destination, Signal, TelemetrySettings } from "./TelemetrySettings.ts"

/** What is lost of each signal, as the metric and as the warning call it. */
const called: Readonly<Record<Signal, "spans" | "metrics" | "logs">> = {
  traces: "spans",
  metrics: "metrics",
  logs: "logs"
}
const inWords = { spans: "spans", metrics: "metric points", logs: "log records" } as const

/** Telemetry that did not arrive: counted as it happens, and told in one line at the end. */
class Losses {
  readonly #meter: Meter
  readonly #counts = { spans: 0, metrics: 0, logs: 0 }
  #reason = ""

  constructor(meter: Meter) {
    this.#meter = meter
  }

  add(signal: Signal, records: number, reason: string): void {
    const name = called[signal]
    this.#meter.count("telemetryDropped", { signal: name }, records)
    this.#counts[name] += records
    this.#reason = reason
  }

  get told(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const lost = (["spans", "metrics", "logs"] as const).filter((name) => this.#counts[name] > 0)
      return lost.length === 0 ? Effect.void : Effect.logWarning(
        `${
          lost.map((name) => `${this.#counts[name]} ${inWords[name]}`).join(", ")
        } could not be exported: ${this.#reason}`
      )
    })
  }
}

/** What may not take longer than so when the program ends. */
const bounded = <A, E>(effect: Effect.Effect<A, E>) =>
  effect.pipe(Effect.ignore, Effect.interruptible, Effect.timeoutOption(flushTimeoutMs))

/** A queue to the collector, and who sends what is in it, until the scope closes. */
const queueTo = Effect.fnUntraced(function*(destination: Destination, losses: Losses) {
  const { signal } = destination
  const queue = yield* OtlpQueue.make(destination, ({ reason, records }) => losses.add(signal, records, reason))
  yield* Effect.forkScoped(Effect.provide(queue.run, FetchHttpClient.layer))
  yield* Effect.addFinalizer(() =>
    Effect.andThen(
      bounded(queue.flush),
      Effect.sync(() => queue.abandon())
    )
  )
  return queue
})

/** Spans, to the collector and to a file. */
const spans = Effect.fnUntraced(function*(
  settings: TelemetrySettings,
  attributes: Readonly<Record<string, string>>,
  { file }: TelemetryOptions,
  losses: Losses,
  toCollector: OtlpQueue | undefined
) {
  const sdk = yield* Effect.promise(() => import("./TracingSdk.ts"))
  const dropped = (count: number) => losses.add("traces", count, "more spans ended at once than may wait")
  const queues: Array<SpanQueue> = []
  if (file !== undefined) {
    const written = sdk.intoFile(yield* openFile(file), (count, reason) => losses.add("traces", count, reason))
    queues.push(new SpanQueue(settings.spans, written, dropped))
  }
  if (toCollector !== undefined && settings.traces !== undefined) {
    queues.push(new SpanQueue(settings.spans, sdk.intoQueue(toCollector, settings.traces.protocol), dropped))
  }
  const provider = sdk.tracerProvider(settings, attributes, queues)
  const shutdown = Effect.tryPromise(() => provider.shutdown())
  if (!trace.setGlobalTracerProvider(provider)) {
    yield* Effect.ignore(shutdown)
    if (file === undefined) return queues
    const message = `an OpenTelemetry SDK is registered already and gets the spans, so ${file} would stay empty`
    return yield* new TelemetryFailure({ message })
  }
  yield* Effect.addFinalizer(() => Effect.andThen(bounded(shutdown), Effect.sync(() => trace.disable())))
  return queues
})

const openFile = (file: string) =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: () => open(file, "w"),
      catch: (cause) =>
        new TelemetryFailure({
          message: `${file}: traces cannot be written here (${cause instanceof Error ? cause.message : "unknown"})`,
          cause
        })
    }),
    (opened) => Effect.ignore(Effect.tryPromise(() => opened.close()))
  )

/** Everything that the settings ask for, for as long as the scope. */
export const exporting = (
  settings: TelemetrySettings,
  options: TelemetryOptions
): Layer.Layer<never, TelemetryFailure> =>
  Layer.effectContext(Effect.gen(function*() {
    const around = yield* Effect.context<never>()
    const meter = meterOf(around)
    const losses = new Losses(meter)
    const { logs, metrics, traces } = settings
    const attributes = {
      "service.version": rsppVersion,
      "service.instance.id": randomUUID(),
      ...settings.resource,
      "service.name": settings.serviceName
    }
    // Finalizers run from the last to the first: exporters hand over what they have, then queues are emptied, then it is told.
    yield* Effect.addFinalizer(() => losses.told)
    const toCollector = {
      traces: traces === undefined ? undefined : yield* queueTo(traces, losses),
      metrics: metrics === undefined ? undefined : yield* queueTo(metrics, losses),
      logs: logs === undefined ? undefined : yield* queueTo(logs, losses)
    }
    const records = new LogRecords(
      settings.logRecords,
      (count) => losses.add("logs", count, "more was logged at once than may wait")
    )
    const flusher = yield* Layer.build(OtlpExporter.layerFlusher)
    const through = (queue: OtlpQueue, destination: Destination) =>
      Effect.map(
        Layer.build(Layer.merge(encoding(destination.protocol, records), queueClient(queue))),
        (built) => Context.merge(built, flusher)
      )
    const spanQueues = options.file === undefined && traces === undefined
      ? []
      : yield* spans(settings, attributes, options, losses, toCollector.traces)
    if (metrics !== undefined && toCollector.metrics !== undefined) {
      yield* measureLoopDelay(meter)
      yield* OtlpMetrics.make({
        url: metrics.url,
        resource: { serviceName: settings.serviceName, attributes },
        exportInterval: settings.metricIntervalMs
      }).pipe(
        Effect.provideContext(
          Context.merge(yield* through(toCollector.metrics, metrics), yield* Effect.context<never>())
        )
      )
    }
    const unwatch = meter.watch([
      { queue: "telemetry_spans", depth: () => spanQueues.reduce((sum, { size }) => sum + size, 0) },
      { queue: "telemetry_logs", depth: () => records.size },
      {
        queue: "telemetry_requests",
        depth: () => Object.values(toCollector).reduce((sum, queue) => sum + (queue?.size ?? 0), 0)
      }
    ])
    yield* Effect.addFinalizer(() => Effect.sync(unwatch))
    if (logs === undefined || toCollector.logs === undefined) return Context.empty()
    const logger = records.logger(
      logs.url,
      settings,
      attributes,
      Context.get(around, Correlations),
      options.scrub ?? ((text) => text)
    ).pipe(Effect.provide(yield* through(toCollector.logs, logs)))
    const loggers = yield* Layer.build(Logger.layer([logger], { mergeWithExisting: true }))
    return Context.merge(loggers, Context.make(LogEvents, true))
  })).pipe(
    // The time of a session may be virtual; a collector's is not.
    Layer.provide(Layer.succeed(Clock.Clock, Clock.Clock.defaultValue()))
  )
