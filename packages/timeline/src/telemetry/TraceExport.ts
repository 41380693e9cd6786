import { trace } from "@opentelemetry/api"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { open } from "node:fs/promises"

/** Traces were asked for and cannot be had: the file cannot be written, a setting is wrong, or an SDK is in the way. */
export class TraceExportFailure extends Schema.TaggedError<TraceExportFailure>()("TraceExportFailure", {
  message: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {}

export interface TraceExportOptions {
  /** Write the spans to this file, one OTLP/JSON `TracesData` a line; a file that is there is replaced. */
  readonly file?: string
}

/** How long the last spans may take to get out when the program ends, ms. */
export const flushTimeoutMs = 5000

const variable = (name: string): Config.Config<string> =>
  Config.option(Config.String(name)).pipe(Config.map((value) => Option.getOrElse(value, () => "").trim()))

/** What the standard variables say: where spans go (`undefined`: nowhere), and as what service. */
export const traceSettings: Config.Config<{ readonly endpoint: string | undefined; readonly serviceName: string }> =
  Config
    .all({
      disabled: variable("OTEL_SDK_DISABLED"),
      exporter: variable("OTEL_TRACES_EXPORTER"),
      traces: variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
      all: variable("OTEL_EXPORTER_OTLP_ENDPOINT"),
      serviceName: variable("OTEL_SERVICE_NAME")
    }).pipe(Config.map(({ all, disabled, exporter, serviceName, traces }) => {
      const off = disabled.toLowerCase() === "true" || exporter === "none"
      const endpoint = traces === "" ? all === "" ? "" : `${all.replace(/\/+$/u, "")}/v1/traces` : traces
      return { endpoint: off || endpoint === "" ? undefined : endpoint, serviceName: serviceName || "rspp" }
    }))

/**
 * Sets up an OpenTelemetry SDK for programs that bring none: spans go to `file`, to the collector that the standard
 * variables name (`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, `OTEL_EXPORTER_OTLP_ENDPOINT`, with their headers and
 * `OTEL_SERVICE_NAME`), or to both. With neither it does nothing, and loads nothing.
 *
 * An SDK that the program has registered keeps its place: then the variables are its business, and asking for a file
 * fails. When the scope closes, what waits is exported, for at most {@link flushTimeoutMs}; what could not be is told in
 * a warning and never fails the program.
 */
export const layer = (options: TraceExportOptions = {}): Layer.Layer<never, TraceExportFailure> =>
  Layer.effectDiscard(setUp(options))

const setUp = Effect.fnUntraced(function*({ file }: TraceExportOptions) {
  const { endpoint, serviceName } = yield* traceSettings.pipe(
    Effect.mapError((cause) => new TraceExportFailure({ message: "the tracing variables cannot be read", cause }))
  )
  if (endpoint !== undefined && !URL.canParse(endpoint)) {
    return yield* new TraceExportFailure({ message: `"${endpoint}" is no address to send traces to` })
  }
  if (endpoint === undefined && file === undefined) return

  // A tenth of a second of modules, for those who want traces only.
  const sdk = yield* Effect.promise(() => import("./TracingSdk.ts"))
  const failures = { spans: 0, reason: "" }
  const provider = sdk.tracerProvider({
    exporters: [
      ...(file === undefined ? [] : [sdk.lineExporter(yield* openFile(file))]),
      ...(endpoint === undefined ? [] : [sdk.collectorExporter(endpoint)])
    ],
    serviceName,
    failures
  })
  const shutdown = Effect.ignore(Effect.tryPromise(() => provider.shutdown()))
  if (!trace.setGlobalTracerProvider(provider)) {
    yield* shutdown
    if (file === undefined) return
    const message = `an OpenTelemetry SDK is registered already and gets the spans, so ${file} would stay empty`
    return yield* new TraceExportFailure({ message })
  }
  yield* Effect.addFinalizer(() =>
    shutdown.pipe(
      Effect.interruptible,
      Effect.timeoutOption(flushTimeoutMs),
      // The session's time may be virtual; a collector's is not.
      Effect.provideService(Clock.Clock, Clock.Clock.defaultValue()),
      Effect.andThen(Effect.suspend(() => {
        trace.disable()
        if (failures.spans === 0) return Effect.void
        return Effect.logWarning(`${failures.spans} spans could not be exported: ${failures.reason}`)
      }))
    )
  )
})

const openFile = (file: string) =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: () => open(file, "w"),
      catch: (cause) =>
        new TraceExportFailure({
          message: `${file}: traces cannot be written here (${cause instanceof Error ? cause.message : "unknown"})`,
          cause
        })
    }),
    (opened) => Effect.ignore(Effect.tryPromise(() => opened.close()))
  )
