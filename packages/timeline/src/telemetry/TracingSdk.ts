import { JsonTraceSerializer, ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer"
import { defaultResource, resourceFromAttributes } from "@opentelemetry/resources"
import type { ReadableSpan, Sampler, SpanProcessor } from "@opentelemetry/sdk-trace"
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider
} from "@opentelemetry/sdk-trace"
import type { OtlpQueue } from "./OtlpQueue.ts"
import type { TakeSpans } from "./SpanQueue.ts"
import type { Destination, TelemetrySettings } from "./TelemetrySettings.ts"

/** What is written to, as `node:fs` has it. */
export interface LineSink {
  readonly appendFile: (bytes: Uint8Array) => Promise<void>
}

/** Writes each batch as one line of OTLP/JSON (`TracesData`); `failed` is told of one that cannot be written. */
export const intoFile =
  (sink: LineSink, failed: (spans: number, reason: string) => void): TakeSpans => async (spans) => {
    try {
      const line = JsonTraceSerializer.serializeRequest(spans)
      if (line !== undefined) await sink.appendFile(Buffer.concat([line, Buffer.from("\n")]))
    } catch (cause) {
      failed(spans.length, cause instanceof Error ? cause.message : "it cannot be written")
    }
  }

/** Hands each batch, encoded, to what waits for the collector. */
export const intoQueue = (queue: OtlpQueue, protocol: Destination["protocol"]): TakeSpans => {
  const serializer = protocol === "http/json" ? JsonTraceSerializer : ProtobufTraceSerializer
  return (spans: Array<ReadableSpan>) => {
    const body = serializer.serializeRequest(spans)
    if (body !== undefined) queue.offer({ body, records: spans.length })
    return undefined
  }
}

const samplerOf = ({ sampler, samplerRatio }: TelemetrySettings): Sampler => {
  const root = sampler.endsWith("always_off")
    ? new AlwaysOffSampler()
    : sampler.endsWith("traceidratio")
    ? new TraceIdRatioBasedSampler(samplerRatio)
    : new AlwaysOnSampler()
  return sampler.startsWith("parentbased_") ? new ParentBasedSampler({ root }) : root
}

/** An SDK that gives every span to each processor. */
export const tracerProvider = (
  settings: TelemetrySettings,
  attributes: Readonly<Record<string, string>>,
  spanProcessors: Array<SpanProcessor>
): TracerProvider =>
  new TracerProvider({
    resource: defaultResource().merge(resourceFromAttributes({ ...attributes })),
    sampler: samplerOf(settings),
    spanProcessors
  })
