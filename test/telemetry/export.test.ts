// Holds I-TELEMETRY-SHED. Real HTTP, a receiver on the official protobuf definitions, sessions of the real kernel.
import { trace } from "@opentelemetry/api"
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace"
import { assert, describe, it } from "@effect/vitest"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { afterSteps } from "@rspp/timeline/telemetry/AfterSteps"
import { maxWaitingBytes, maxWaitingRequests, OtlpQueue } from "@rspp/timeline/telemetry/OtlpQueue"
import { metricEntries } from "@rspp/timeline/telemetry/MetricCatalog"
import { prometheusText } from "@rspp/timeline/telemetry/PrometheusText"
import { SessionLog } from "@rspp/timeline/telemetry/SessionLog"
import { SessionMetrics } from "@rspp/timeline/telemetry/SessionMetrics"
import { SessionTracer } from "@rspp/timeline/telemetry/SessionTracer"
import * as Telemetry from "@rspp/timeline/telemetry/Telemetry"
import { conversation } from "@rspp/timeline/test/support/Script"
import { scriptedSession } from "@rspp/timeline/test/support/ScriptedSession"
import { ConfigProvider, Context, Effect, Layer, Logger, Metric } from "effect"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { otlpReceiver } from "./OtlpReceiver.ts"

const environment = (variables: Readonly<Record<string, string>>) =>
  ConfigProvider.layer(ConfigProvider.fromEnv({ env: { ...variables } }))

const observing = Effect.gen(function*() {
  return afterSteps([
    (yield* SessionTracer).observer(),
    (yield* SessionMetrics).observer(),
    (yield* SessionLog).observer()
  ])
})

/** Runs something under telemetry with a metric registry of its own, and closes it; the registry's text is returned. */
const under = <A, E>(
  options: Telemetry.TelemetryOptions,
  variables: Readonly<Record<string, string>>,
  run: Effect.Effect<A, E, SessionKernel | SessionTracer | SessionMetrics | SessionLog>
) => {
  const registry: Metric.MetricRegistry = new Map()
  return Effect.gen(function*() {
    const startedMs = performance.now()
    const result = yield* run.pipe(
      Effect.provide(
        Layer.mergeAll(SessionTracer.layer, SessionMetrics.layer, SessionLog.layer, SessionKernel.layer).pipe(
          Layer.provideMerge(Telemetry.layer(options)),
          // Whatever else is logged is shown to nobody.
          Layer.provide([environment(variables), Logger.layer([])]),
          Layer.provide(Layer.succeed(Metric.MetricRegistry, registry))
        ),
        { local: true }
      )
    )
    return {
      result,
      tookMs: performance.now() - startedMs,
      metrics: prometheusText(Context.make(Metric.MetricRegistry, registry))
    }
  })
}

/** A session of two turns. */
const twoTurns = Effect.gen(function*() {
  return scriptedSession(yield* SessionKernel, conversation(2), yield* observing)
})
const exported = (options: Telemetry.TelemetryOptions, variables: Readonly<Record<string, string>> = {}) =>
  under(options, variables, twoTurns)

const to = (url: string, more: Readonly<Record<string, string>> = {}) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: url, ...more })

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "rspp-trace-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

interface TracesData {
  readonly resourceSpans: ReadonlyArray<{
    readonly resource: {
      readonly attributes: ReadonlyArray<{ readonly key: string; readonly value: { readonly stringValue?: string } }>
    }
    readonly scopeSpans: ReadonlyArray<{
      readonly spans: ReadonlyArray<{ readonly name: string; readonly traceId: string; readonly parentSpanId?: string }>
    }>
  }>
}

const linesOf = (file: string) =>
  readFileSync(file, "utf8").trimEnd().split("\n").map((line) => JSON.parse(line) as TracesData)
const spansIn = (file: string) =>
  linesOf(file).flatMap(({ resourceSpans }) =>
    resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
  )
const lost = (metrics: string, signal: string) =>
  Number(new RegExp(`rspp_telemetry_dropped_total\\{signal="${signal}"\\} (\\d+)`, "u").exec(metrics)?.[1])

describe("telemetry of a session", () => {
  for (const protocol of ["http/protobuf", "http/json"]) {
    it.live(`reaches a receiver on the official definitions, as ${protocol}`, () =>
      Effect.gen(function*() {
        const receiver = yield* otlpReceiver()
        yield* exported({}, {
          ...to(`${receiver.url}/`),
          OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
          OTEL_SERVICE_NAME: "my-agent",
          OTEL_RESOURCE_ATTRIBUTES: "deployment.environment=a%20test"
        })
        assert.sameMembers([...new Set(receiver.requests.map(({ url }) => url))], [
          "/v1/traces",
          "/v1/metrics",
          "/v1/logs"
        ])
        const type = protocol === "http/json" ? "application/json" : "application/x-protobuf"
        assert.isTrue(receiver.requests.every(({ headers }) => headers["content-type"] === type))
        for (const { resource } of [...receiver.spans, ...receiver.metrics, ...receiver.logs]) {
          assert.strictEqual(resource["service.name"], "my-agent")
          assert.strictEqual(resource["deployment.environment"], "a test")
          assert.isString(resource["service.instance.id"])
        }
        const named = (name: string) => receiver.spans.filter((span) => span.name === name)
        assert.strictEqual(named("session").length, 1)
        assert.strictEqual(named("turn").length, 2)
        const [session] = named("session")
        assert.isTrue(receiver.spans.every(({ traceId }) => traceId === session?.traceId))

        const byName = new Map(metricEntries.map((entry) => [entry.name, entry]))
        for (const { description, kind, name, unit } of receiver.metrics) {
          const entry = byName.get(name)
          assert.deepStrictEqual([name, kind, unit, description], [
            name,
            entry?.kind,
            entry?.unit,
            entry?.meaning
          ])
        }
        const open = receiver.metrics.find(({ name }) => name === "rspp_turn_open_latency_ms")?.points.at(-1)
        assert.strictEqual(open?.count, 2)
        assert.strictEqual(open?.buckets.reduce((sum, count) => sum + count, 0), 2)
        assert.deepStrictEqual(
          open?.bounds,
          byName.get("rspp_turn_open_latency_ms")?.boundaries?.map(Number)
        )

        const events = receiver.logs.map(({ attributes }) => attributes["event.name"])
        assert.strictEqual(events[0], "rspp.session.started")
        assert.strictEqual(events.at(-1), "rspp.session.ended")
        assert.strictEqual(events.filter((event) => event === "rspp.turn.ended").length, 2)
        for (const { attributes, spanId, traceId } of receiver.logs) {
          assert.strictEqual(traceId, session?.traceId)
          assert.isTrue(receiver.spans.some((span) => span.spanId === spanId), String(attributes["event.name"]))
          for (const id of ["session.id", "rspp.tenant.id", "rspp.pipeline.version"]) {
            assert.strictEqual(attributes[id], session?.attributes[id])
          }
        }
        const ended = receiver.logs.find(({ attributes }) => attributes["event.name"] === "rspp.turn.ended")
        assert.strictEqual(ended?.attributes["rspp.turn.id"], "turn_1")
        assert.strictEqual(ended?.attributes["rspp.authority_epoch"], 1)
        assert.strictEqual(
          ended?.spanId,
          named("turn").find(({ attributes }) => attributes["rspp.turn.id"] === "turn_1")?.spanId
        )
      }).pipe(Effect.scoped))
  }

  it.live("goes where each signal's own variables say, with headers, compressed", () =>
    Effect.gen(function*() {
      const [one, other] = [yield* otlpReceiver(), yield* otlpReceiver()]
      yield* exported({}, {
        ...to("http://127.0.0.1:1"),
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${one.url}/v1/traces`,
        OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: `${other.url}/v1/metrics`,
        OTEL_LOGS_EXPORTER: "none",
        OTEL_EXPORTER_OTLP_HEADERS: "x-team=voice%20agents,x-key=a",
        OTEL_EXPORTER_OTLP_METRICS_HEADERS: "x-key=b",
        OTEL_EXPORTER_OTLP_COMPRESSION: "gzip"
      })
      assert.deepStrictEqual([...new Set(one.requests.map(({ url }) => url))], ["/v1/traces"])
      assert.deepStrictEqual([...new Set(other.requests.map(({ url }) => url))], ["/v1/metrics"])
      assert.strictEqual(one.requests[0]?.headers["x-team"], "voice agents")
      assert.deepStrictEqual([one.requests[0]?.headers["x-key"], other.requests[0]?.headers["x-key"]], ["a", "b"])
      assert.isTrue([...one.requests, ...other.requests].some(({ headers }) => headers["content-encoding"] === "gzip"))
      assert.strictEqual(one.spans.filter(({ name }) => name === "turn").length, 2)
    }).pipe(Effect.scoped))

  it.live("spans go to a file as OTLP/JSON, a batch a line, beside the collector or without", () =>
    Effect.gen(function*() {
      const file = join(yield* directory, "trace.jsonl")
      yield* exported({ file }, { OTEL_SERVICE_NAME: "my-agent" })
      const spans = spansIn(file)
      assert.strictEqual(spans.filter(({ name }) => name === "session").length, 1)
      assert.strictEqual(spans.filter(({ name }) => name === "turn").length, 2)
      assert.strictEqual(new Set(spans.map(({ traceId }) => traceId)).size, 1)
      const attributes = linesOf(file)[0]?.resourceSpans[0]?.resource.attributes
      assert.strictEqual(attributes?.find(({ key }) => key === "service.name")?.value.stringValue, "my-agent")
      const refusing = yield* otlpReceiver(400)
      const { metrics } = yield* exported({ file }, to(refusing.url))
      assert.isAtLeast(refusing.requests.length, 3)
      assert.strictEqual(spansIn(file).filter(({ name }) => name === "turn").length, 2)
      assert.isAbove(lost(metrics, "spans"), 2)
    }).pipe(Effect.scoped))

  it.live("is not set up when nothing asks for it, or when the variables switch it off", () =>
    Effect.gen(function*() {
      const receiver = yield* otlpReceiver()
      yield* exported({})
      yield* exported({}, to(receiver.url, { OTEL_SDK_DISABLED: "true" }))
      const off = { OTEL_TRACES_EXPORTER: "none", OTEL_METRICS_EXPORTER: "none", OTEL_LOGS_EXPORTER: "none" }
      yield* exported({}, to(receiver.url, off))
      assert.deepStrictEqual(receiver.requests, [])
      assert.strictEqual(receiver.connections(), 0)
    }).pipe(Effect.scoped))

  it.live("leaves an SDK that the program has registered in its place", () =>
    Effect.gen(function*() {
      const exporter = new InMemorySpanExporter()
      const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] })
      yield* Effect.acquireRelease(
        Effect.sync(() => trace.setGlobalTracerProvider(provider)),
        () => Effect.sync(() => trace.disable())
      )
      const receiver = yield* otlpReceiver()
      yield* exported({}, to(receiver.url))
      assert.deepStrictEqual(receiver.spans, [])
      assert.isAbove(receiver.logs.length, 2)
      assert.strictEqual(exporter.getFinishedSpans().filter(({ name }) => name === "turn").length, 2)
      const file = join(yield* directory, "trace.jsonl")
      const failure = yield* Effect.flip(exported({ file }))
      assert.match(failure.message, /registered already/u)
    }).pipe(Effect.scoped))

  it.live("says what is wrong with a file that cannot be written, and with each setting", () =>
    Effect.gen(function*() {
      const file = join(yield* directory, "missing", "trace.jsonl")
      const unwritable = yield* Effect.flip(exported({ file }))
      assert.strictEqual(unwritable._tag, "TelemetryFailure")
      assert.include(unwritable.message, file)
      for (
        const [name, value] of Object.entries({
          OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "collector",
          OTEL_EXPORTER_OTLP_ENDPOINT: "grpc://collector:4317",
          OTEL_EXPORTER_OTLP_PROTOCOL: "grpc",
          OTEL_EXPORTER_OTLP_TIMEOUT: "soon",
          OTEL_METRICS_EXPORTER: "prometheus",
          OTEL_METRIC_EXPORT_INTERVAL: "-1",
          OTEL_BSP_MAX_QUEUE_SIZE: "0",
          OTEL_TRACES_SAMPLER: "mine"
        })
      ) {
        const failure = yield* Effect.flip(exported({}, { ...to("http://127.0.0.1:1"), [name]: value }))
        assert.include(failure.message, name)
        assert.include(failure.message, value)
      }
      const secret = yield* Effect.flip(
        exported({}, to("http://127.0.0.1:1", { OTEL_EXPORTER_OTLP_HEADERS: "k=%E0%A4%A" }))
      )
      assert.notInclude(secret.message, "%E0")
    }).pipe(Effect.scoped))
})

describe("a collector that", () => {
  /** Under a collector: what the session's own recording is, and what was lost. */
  const withCollector = (url: string, more: Readonly<Record<string, string>> = {}) =>
    exported({}, to(url, { OTEL_EXPORTER_OTLP_TIMEOUT: "200", ...more }))

  for (const [what, behaviour] of [["hangs", "hangs"], ["answers 500", 500], ["answers 503", 503]] as const) {
    it.live(`${what} changes nothing for the session, and what it did not take is counted`, () =>
      Effect.gen(function*() {
        const receiver = yield* otlpReceiver(behaviour)
        const alone = yield* exported({})
        const { metrics, result, tookMs } = yield* withCollector(receiver.url)
        assert.deepStrictEqual(result.records, alone.result.records)
        assert.isAbove(receiver.connections(), 0)
        for (const signal of ["spans", "metrics", "logs"]) assert.isAbove(lost(metrics, signal), 0, signal)
        // Its end is bounded, whatever the collector does.
        assert.isBelow(tookMs, Telemetry.flushTimeoutMs + 20_000)
      }).pipe(Effect.scoped))
  }

  it.live("is not there: the same", () =>
    Effect.gen(function*() {
      const { metrics } = yield* withCollector("http://127.0.0.1:1")
      for (const signal of ["spans", "metrics", "logs"]) assert.isAbove(lost(metrics, signal), 0, signal)
    }))

  it.live("hangs gets a bounded number of spans and logs to wait for it: the rest is dropped where it is made", () =>
    Effect.gen(function*() {
      const receiver = yield* otlpReceiver("hangs")
      const { metrics } = yield* under(
        {},
        to(receiver.url, {
          OTEL_EXPORTER_OTLP_TIMEOUT: "200",
          OTEL_BSP_MAX_QUEUE_SIZE: "5",
          OTEL_BLRP_MAX_QUEUE_SIZE: "3"
        }),
        Effect.gen(function*() {
          const kernels = yield* SessionKernel
          // In one go: nothing can be sent meanwhile, so that everything past the bounds must be dropped at once.
          scriptedSession(kernels, conversation(20), yield* observing)
        })
      )
      assert.isAbove(lost(metrics, "spans"), 80)
      assert.isAbove(lost(metrics, "logs"), 30)
    }).pipe(Effect.scoped))
})

describe("what waits for a collector", () => {
  const destination = {
    signal: "traces",
    url: "http://127.0.0.1:1/v1/traces",
    headers: {},
    protocol: "http/protobuf",
    timeoutMs: 100,
    compression: "none"
  } as const
  const filled = Effect.fnUntraced(function*(requests: number, bytes: number) {
    const losses: Array<number> = []
    const queue = yield* OtlpQueue.make(destination, ({ records }) => losses.push(records))
    // Nobody sends: an offer is synchronous, and answers nothing.
    for (let n = 1; n <= requests; n++) assert.isUndefined(queue.offer({ body: new Uint8Array(bytes), records: n }))
    return { losses, queue }
  })

  it.effect("is bounded in requests: the oldest goes, and is counted", () =>
    Effect.gen(function*() {
      const { losses, queue } = yield* filled(maxWaitingRequests + 3, 10)
      assert.strictEqual(queue.size, maxWaitingRequests)
      assert.deepStrictEqual(losses, [1, 2, 3])
      queue.abandon()
      assert.strictEqual(queue.size, 0)
      assert.strictEqual(losses.length, 4)
    }))

  it.effect("is bounded in bytes", () =>
    Effect.gen(function*() {
      const { losses, queue } = yield* filled(5, maxWaitingBytes / 2)
      assert.strictEqual(queue.size, 2)
      assert.deepStrictEqual(losses, [1, 2, 3])
    }))
})
