import { createServer } from "node:http"
import type { IncomingHttpHeaders, Server } from "node:http"
import type { AddressInfo, Socket } from "node:net"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import { Effect } from "effect"
import protobuf from "protobufjs"

/** What an attribute of OTLP says. */
export type Value = string | number | boolean | ReadonlyArray<unknown> | null
export type Attributes = Readonly<Record<string, Value>>

export interface ReceivedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string
  readonly name: string
  readonly kind: string
  readonly startMs: number
  readonly endMs: number
  readonly attributes: Attributes
  readonly events: ReadonlyArray<{ readonly name: string; readonly attributes: Attributes }>
  readonly links: ReadonlyArray<{ readonly traceId: string; readonly spanId: string; readonly attributes: Attributes }>
  readonly status: string
  readonly statusMessage: string
  readonly scope: string
  readonly resource: Attributes
}

export interface ReceivedPoint {
  readonly attributes: Attributes
  readonly value: number
  readonly count: number
  readonly bounds: ReadonlyArray<number>
  readonly buckets: ReadonlyArray<number>
}

export interface ReceivedMetric {
  readonly name: string
  readonly unit: string
  readonly description: string
  readonly kind: "counter" | "gauge" | "histogram" | "other"
  readonly points: ReadonlyArray<ReceivedPoint>
  readonly resource: Attributes
}

export interface ReceivedLog {
  readonly traceId: string
  readonly spanId: string
  readonly severity: string
  readonly body: Value
  readonly attributes: Attributes
  readonly resource: Attributes
}

export interface ReceivedRequest {
  readonly url: string
  readonly headers: IncomingHttpHeaders
  /** As it came, after decompression. */
  readonly body: Buffer
}

/** How the receiver behaves: answers, accepts connections and never answers, or answers each request with a status. */
export type Behaviour = "answers" | "hangs" | number

/** What has arrived, decoded with the official definitions. */
export interface OtlpReceiver {
  readonly url: string
  readonly requests: ReadonlyArray<ReceivedRequest>
  readonly spans: ReadonlyArray<ReceivedSpan>
  readonly metrics: ReadonlyArray<ReceivedMetric>
  readonly logs: ReadonlyArray<ReceivedLog>
  /** Connections that were ever made. */
  readonly connections: () => number
}

const folder = join(import.meta.dirname, "proto")

const root = (() => {
  const made = new protobuf.Root()
  made.resolvePath = (_, target) => join(folder, target)
  made.loadSync([
    "opentelemetry/proto/collector/trace/v1/trace_service.proto",
    "opentelemetry/proto/collector/metrics/v1/metrics_service.proto",
    "opentelemetry/proto/collector/logs/v1/logs_service.proto"
  ])
  return made
})()

const typeOf = {
  "/v1/traces": root.lookupType("opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest"),
  "/v1/metrics": root.lookupType("opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest"),
  "/v1/logs": root.lookupType("opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest")
} as const
type Path = keyof typeof typeOf
const isPath = (url: string): url is Path => Object.hasOwn(typeOf, url)

type Json = { readonly [key: string]: Json } | ReadonlyArray<Json> | string | number | boolean | null | undefined

const at = (value: Json, key: string): Json =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as { readonly [key: string]: Json })[key]
    : undefined
const list = (value: Json): ReadonlyArray<Json> => Array.isArray(value) ? value : []
const text = (value: Json): string => typeof value === "string" ? value : ""
const number = (value: Json): number => Number(value ?? 0)

const valueOf = (any: Json): Value => {
  const string = at(any, "stringValue")
  if (typeof string === "string") return string
  const bool = at(any, "boolValue")
  if (typeof bool === "boolean") return bool
  const int = at(any, "intValue")
  if (int !== undefined && int !== null) return Number(int)
  const double = at(any, "doubleValue")
  if (double !== undefined && double !== null) return Number(double)
  const array = at(any, "arrayValue")
  if (array !== undefined && array !== null) return list(at(array, "values")).map(valueOf)
  return null
}

const attributesOf = (owner: Json): Attributes =>
  Object.fromEntries(list(at(owner, "attributes")).map((pair) => [text(at(pair, "key")), valueOf(at(pair, "value"))]))

/**
 * A request as plain data: protobuf by the definitions, ids as hex. JSON goes through the same definitions, so that a
 * name that they do not know, or a value of another type, is an error here.
 */
const decoded = (path: Path, type: string, body: Buffer): Json => {
  const message = typeOf[path]
  const options = { longs: String, enums: String, bytes: String, defaults: false } as const
  const hex = (base64: Json): string => Buffer.from(text(base64), "base64").toString("hex")
  const withHex = (value: Json): Json =>
    Array.isArray(value)
      ? value.map(withHex)
      : typeof value === "object" && value !== null
      ? Object.fromEntries(
        Object.entries(value).map(([key, inner]) => [
          key,
          /^(?:traceId|spanId|parentSpanId)$/u.test(key) ? hex(inner) : withHex(inner)
        ])
      )
      : value
  if (!type.includes("json")) return withHex(message.toObject(message.decode(body), options))
  const strict = (value: Json): Json =>
    Array.isArray(value)
      ? value.map(strict)
      : typeof value === "object" && value !== null
      ? Object.fromEntries(
        Object.entries(value).map(([key, inner]) => [
          key,
          // OTLP/JSON has ids in hex, where proto3's JSON has base64.
          /^(?:traceId|spanId|parentSpanId)$/u.test(key)
            ? Buffer.from(text(inner), "hex").toString("base64")
            : strict(inner)
        ])
      )
      : value
  const plain = strict(JSON.parse(body.toString("utf8")) as Json) as { readonly [key: string]: unknown }
  return withHex(message.toObject(message.fromObject(plain), options))
}

const ms = (nanos: Json): number => Number(BigInt(text(nanos) || "0") / 1000n) / 1000

const spansOf = (data: Json): ReadonlyArray<ReceivedSpan> =>
  list(at(data, "resourceSpans")).flatMap((resource) =>
    list(at(resource, "scopeSpans")).flatMap((scope) =>
      list(at(scope, "spans")).map((span) => ({
        traceId: text(at(span, "traceId")),
        spanId: text(at(span, "spanId")),
        parentSpanId: text(at(span, "parentSpanId")),
        name: text(at(span, "name")),
        kind: text(at(span, "kind")),
        startMs: ms(at(span, "startTimeUnixNano")),
        endMs: ms(at(span, "endTimeUnixNano")),
        attributes: attributesOf(span),
        events: list(at(span, "events")).map((event) => ({
          name: text(at(event, "name")),
          attributes: attributesOf(event)
        })),
        links: list(at(span, "links")).map((link) => ({
          traceId: text(at(link, "traceId")),
          spanId: text(at(link, "spanId")),
          attributes: attributesOf(link)
        })),
        status: text(at(at(span, "status"), "code")),
        statusMessage: text(at(at(span, "status"), "message")),
        scope: text(at(at(scope, "scope"), "name")),
        resource: attributesOf(at(resource, "resource"))
      }))
    )
  )

const metricsOf = (data: Json): ReadonlyArray<ReceivedMetric> =>
  list(at(data, "resourceMetrics")).flatMap((resource) =>
    list(at(resource, "scopeMetrics")).flatMap((scope) =>
      list(at(scope, "metrics")).map((metric) => {
        const sum = at(metric, "sum")
        const histogram = at(metric, "histogram")
        const points = list(at(sum ?? at(metric, "gauge") ?? histogram, "dataPoints"))
        return {
          name: text(at(metric, "name")),
          unit: text(at(metric, "unit")),
          description: text(at(metric, "description")),
          kind: histogram !== undefined
            ? "histogram"
            : sum !== undefined
            ? at(sum, "isMonotonic") === true ? "counter" : "other"
            : at(metric, "gauge") !== undefined
            ? "gauge"
            : "other",
          points: points.map((point) => ({
            attributes: attributesOf(point),
            value: number(at(point, "asDouble") ?? at(point, "asInt") ?? at(point, "sum")),
            count: number(at(point, "count")),
            bounds: list(at(point, "explicitBounds")).map(number),
            buckets: list(at(point, "bucketCounts")).map(number)
          })),
          resource: attributesOf(at(resource, "resource"))
        }
      })
    )
  )

const logsOf = (data: Json): ReadonlyArray<ReceivedLog> =>
  list(at(data, "resourceLogs")).flatMap((resource) =>
    list(at(resource, "scopeLogs")).flatMap((scope) =>
      list(at(scope, "logRecords")).map((record) => ({
        traceId: text(at(record, "traceId")),
        spanId: text(at(record, "spanId")),
        severity: text(at(record, "severityText")),
        body: valueOf(at(record, "body")),
        attributes: attributesOf(record),
        resource: attributesOf(at(resource, "resource"))
      }))
    )
  )

const listen = (server: Server): Effect.Effect<string> =>
  Effect.callback((resume) => {
    server.listen(0, "127.0.0.1", () => {
      resume(Effect.succeed(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
    })
  })

/**
 * An OTLP receiver over real HTTP, on a port of its own, for as long as the scope: what arrives is decoded with the
 * official protobuf definitions (test/telemetry/proto). What they cannot decode is answered with 400.
 */
export const otlpReceiver = (behaviour: Behaviour = "answers") =>
  Effect.acquireRelease(
    Effect.gen(function*() {
      const requests: Array<ReceivedRequest> = []
      const spans: Array<ReceivedSpan> = []
      const metrics: Array<ReceivedMetric> = []
      const logs: Array<ReceivedLog> = []
      const sockets = new Set<Socket>()
      let connections = 0
      const server = createServer((request, response) => {
        const chunks: Array<Buffer> = []
        request.on("data", (chunk: Buffer) => chunks.push(chunk))
        request.on("end", () => {
          if (behaviour === "hangs") return
          const { headers, url = "" } = request
          const sent = Buffer.concat(chunks)
          const body = headers["content-encoding"] === "gzip" ? gunzipSync(sent) : sent
          requests.push({ url, headers, body })
          const type = headers["content-type"] ?? ""
          if (typeof behaviour === "number") return response.writeHead(behaviour).end()
          try {
            if (!isPath(url)) return response.writeHead(404).end()
            const data = decoded(url, type, body)
            spans.push(...spansOf(data))
            metrics.push(...metricsOf(data))
            logs.push(...logsOf(data))
            return response.writeHead(200, { "content-type": type }).end(type.includes("json") ? "{}" : "")
          } catch (cause) {
            return response.writeHead(400).end(String(cause))
          }
        })
      })
      server.on("connection", (socket: Socket) => {
        connections++
        sockets.add(socket)
        socket.on("close", () => sockets.delete(socket))
      })
      const url = yield* listen(server)
      const receiver: OtlpReceiver = { url, requests, spans, metrics, logs, connections: () => connections }
      return {
        receiver,
        close: () => {
          server.close()
          for (const socket of sockets) socket.destroy()
        }
      }
    }),
    ({ close }) => Effect.sync(close)
  ).pipe(Effect.map(({ receiver }) => receiver))
