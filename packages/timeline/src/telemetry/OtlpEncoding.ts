import * as Effect from "effect/Effect"
import type * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import { metricEntries } from "./MetricCatalog.ts"
import type { OtlpQueue } from "./OtlpQueue.ts"
import type { Protocol } from "./TelemetrySettings.ts"

const units: ReadonlyMap<string, string> = new Map(metricEntries.map(({ name, unit }) => [name, unit]))

type Encoder = OtlpSerialization.OtlpSerialization["Service"]

/** What is behind an encoded request: how many records it has. */
const recordsOf = new WeakMap<HttpBody.HttpBody, number>()

const counted = (body: HttpBody.HttpBody, records: number): HttpBody.HttpBody => {
  recordsOf.set(body, records)
  return body
}

/**
 * Effect's encoding of OTLP, with what it cannot know: the unit of each metric is the catalogue's (a label may be called
 * `unit`), and how many records a request has, so that they can be counted if it is lost. `logged` is told how many log
 * records have left the logger.
 */
export const encoding = (
  protocol: Protocol,
  logs: { readonly encode: (data: Parameters<Encoder["logs"]>[0]) => Parameters<Encoder["logs"]>[0] }
): Layer.Layer<OtlpSerialization.OtlpSerialization> =>
  Layer.effect(
    OtlpSerialization.OtlpSerialization,
    Effect.map(OtlpSerialization.OtlpSerialization, (encoder): Encoder => ({
      ...encoder,
      metrics: (data) => {
        let points = 0
        for (const { scopeMetrics } of data.resourceMetrics) {
          for (const { metrics } of scopeMetrics) {
            for (const metric of metrics) {
              const unit = units.get(metric.name)
              if (unit !== undefined) metric.unit = unit
              points += (metric.sum ?? metric.gauge ?? metric.histogram ?? metric.summary)?.dataPoints.length ?? 0
            }
          }
        }
        return counted(encoder.metrics(data), points)
      },
      logs: (data) => {
        const own = logs.encode(data)
        const records = own.resourceLogs.reduce(
          (sum, { scopeLogs }) => scopeLogs.reduce((more, { logRecords = [] }) => more + logRecords.length, sum),
          0
        )
        return counted(encoder.logs(own), records)
      }
    }))
  ).pipe(Layer.provide(
    protocol === "http/json" ? OtlpSerialization.layerJson : OtlpSerialization.layerProtobuf
  ))

/**
 * What Effect's exporters take for their HTTP client: each request goes into the queue, at once and without fail. So they
 * hold nothing back, never wait for a collector, and never switch themselves off.
 */
export const queueClient = (queue: OtlpQueue): Layer.Layer<HttpClient.HttpClient> =>
  Layer.succeed(
    HttpClient.HttpClient,
    HttpClient.make((request) =>
      Effect.sync(() => {
        const { body } = request
        if (body._tag === "Uint8Array") queue.offer({ body: body.body, records: recordsOf.get(body) ?? 0 })
        return HttpClientResponse.fromWeb(request, new Response(null, { status: 200 }))
      })
    )
  )
