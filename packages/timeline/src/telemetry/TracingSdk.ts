import { ExportResultCode } from "@opentelemetry/core"
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http"
import { JsonTraceSerializer } from "@opentelemetry/otlp-transformer"
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from "@opentelemetry/resources"
import type { ReadableSpan, SpanExporter } from "@opentelemetry/sdk-trace"
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace"

/** How long one export may take, ms. */
export const exportTimeoutMs = 5000

/** Spans that wait for export; beyond it the SDK drops the newest. An hour of call at full speed makes about 4000. */
export const maxWaitingSpans = 16_384

/** What is written to, as `node:fs` has it. */
export interface LineSink {
  readonly appendFile: (bytes: Uint8Array) => Promise<void>
}

/** Spans that could not be exported, and why the last of them could not. */
export interface ExportFailures {
  spans: number
  reason: string
}

type Done = Parameters<SpanExporter["export"]>[1]

/** Writes each batch as one line of OTLP/JSON (`TracesData`). */
export const lineExporter = (sink: LineSink): SpanExporter => {
  let written: Promise<void> = Promise.resolve()
  const write = async (before: Promise<void>, spans: Array<ReadableSpan>, done: Done): Promise<void> => {
    await before
    try {
      const line = JsonTraceSerializer.serializeRequest(spans)
      if (line !== undefined) await sink.appendFile(Buffer.concat([line, Buffer.from("\n")]))
      done({ code: ExportResultCode.SUCCESS })
    } catch (cause) {
      done({ code: ExportResultCode.FAILED, error: cause instanceof Error ? cause : new Error("it cannot be written") })
    }
  }
  return {
    export: (spans, done) => {
      written = write(written, spans, done)
    },
    forceFlush: () => written,
    shutdown: () => written
  }
}

/** Sends batches to a collector, over HTTP as JSON; headers and the like come from the standard variables. */
export const collectorExporter = (url: string): SpanExporter =>
  new OTLPTraceExporter({ url, timeoutMillis: exportTimeoutMs })

/** Counts what an exporter could not export. */
const counted = (exporter: SpanExporter, failures: ExportFailures): SpanExporter => ({
  export: (spans, done) =>
    exporter.export(spans, (result) => {
      if (result.code === ExportResultCode.FAILED) {
        failures.spans += spans.length
        failures.reason = result.error?.message ?? "the collector did not take them"
      }
      done(result)
    }),
  forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
  shutdown: () => exporter.shutdown()
})

/** An SDK that gives every span to each exporter. The resource is that of the environment, as `serviceName`. */
export const tracerProvider = (options: {
  readonly exporters: ReadonlyArray<SpanExporter>
  readonly serviceName: string
  readonly failures: ExportFailures
}): TracerProvider =>
  new TracerProvider({
    resource: defaultResource()
      .merge(detectResources({ detectors: [envDetector] }))
      .merge(resourceFromAttributes({ "service.name": options.serviceName })),
    spanProcessors: options.exporters.map((exporter) =>
      new BatchSpanProcessor({
        exporter: counted(exporter, options.failures),
        maxQueueSize: maxWaitingSpans,
        exportTimeoutMillis: exportTimeoutMs
      })
    )
  })
