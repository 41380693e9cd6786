import { trace } from "@opentelemetry/api"
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace"
import { assert, describe, it } from "@effect/vitest"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { ConfigProvider, Effect, Layer } from "effect"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import type { IncomingHttpHeaders } from "node:http"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { SessionTracer } from "../../src/telemetry/SessionTracer.ts"
import * as Telemetry from "../../src/telemetry/Telemetry.ts"
import { conversation } from "../support/Script.ts"
import { scriptedSession } from "../support/ScriptedSession.ts"

const environment = (variables: Readonly<Record<string, string>>) =>
  ConfigProvider.layer(ConfigProvider.fromEnv({ env: { ...variables } }))

/** Runs a session of two turns under the export, and closes it. */
const exported = (options: Telemetry.TelemetryOptions, variables: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function*() {
    const kernels = yield* SessionKernel
    scriptedSession(kernels, conversation(2), (yield* SessionTracer).observer())
  }).pipe(
    Effect.provide(
      Layer.mergeAll(Telemetry.layer(options), SessionTracer.layer, SessionKernel.layer).pipe(
        Layer.provide(environment(variables))
      ),
      { local: true }
    )
  )

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "rspp-trace-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

interface Received {
  readonly url: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A collector on a port of its own that answers with `status`. */
const collector = (status: number) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly received: ReadonlyArray<Received>; readonly close: () => void }>(
      (resume) => {
        const received: Array<Received> = []
        const server = createServer((request, response) => {
          const chunks: Array<Buffer> = []
          request.on("data", (chunk: Buffer) => chunks.push(chunk))
          request.on("end", () => {
            received.push({ url: request.url, headers: request.headers, body: Buffer.concat(chunks).toString("utf8") })
            response.writeHead(status, { "content-type": "application/json" }).end("{}")
          })
        })
        server.listen(0, "127.0.0.1", () => {
          const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
          resume(Effect.succeed({ url, received, close: () => server.close() }))
        })
      }
    ),
    ({ close }) => Effect.sync(close)
  )

interface TracesData {
  readonly resourceSpans: ReadonlyArray<{
    readonly resource: {
      readonly attributes: ReadonlyArray<{ readonly key: string; readonly value: { readonly stringValue?: string } }>
    }
    readonly scopeSpans: ReadonlyArray<{
      readonly scope: { readonly name: string }
      readonly spans: ReadonlyArray<{ readonly name: string; readonly traceId: string; readonly parentSpanId?: string }>
    }>
  }>
}

const parsed = (line: string) => JSON.parse(line) as TracesData
const spansOf = (data: TracesData) =>
  data.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
const serviceOf = (data: TracesData | undefined) =>
  data?.resourceSpans[0]?.resource.attributes.find(({ key }) => key === "service.name")?.value.stringValue

describe("trace export", () => {
  it.live("to a file writes OTLP/JSON, a batch a line", () =>
    Effect.gen(function*() {
      const file = join(yield* directory, "trace.jsonl")
      yield* exported({ file }, { OTEL_SERVICE_NAME: "my-agent" })
      const lines = readFileSync(file, "utf8").trimEnd().split("\n").map(parsed)
      const spans = lines.flatMap(spansOf)
      assert.strictEqual(spans.filter(({ name }) => name === "session").length, 1)
      assert.strictEqual(spans.filter(({ name }) => name === "turn").length, 2)
      assert.strictEqual(new Set(spans.map(({ traceId }) => traceId)).size, 1)
      assert.strictEqual(serviceOf(lines[0]), "my-agent")
    }).pipe(Effect.scoped))

  it.live("to the collector of the standard variables sends everything before the scope closes", () =>
    Effect.gen(function*() {
      const { received, url } = yield* collector(200)
      yield* exported({}, { OTEL_EXPORTER_OTLP_ENDPOINT: `${url}/` })
      assert.deepStrictEqual([...new Set(received.map((request) => request.url))], ["/v1/traces"])
      const data = received.map(({ body }) => parsed(body))
      assert.strictEqual(data.flatMap(spansOf).filter(({ name }) => name === "turn").length, 2)
      assert.strictEqual(serviceOf(data[0]), "rspp")
    }).pipe(Effect.scoped))

  it.live("takes the address for traces as it is, with the headers of the environment", () =>
    Effect.gen(function*() {
      const { received, url } = yield* collector(200)
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          process.env["OTEL_EXPORTER_OTLP_HEADERS"] = "x-team=voice"
        }),
        () =>
          Effect.sync(() => {
            delete process.env["OTEL_EXPORTER_OTLP_HEADERS"]
          })
      )
      yield* exported({}, {
        OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${url}/in`
      })
      assert.isAtLeast(received.length, 1)
      assert.strictEqual(received[0]?.url, "/in")
      assert.strictEqual(received[0]?.headers["x-team"], "voice")
    }).pipe(Effect.scoped))

  it.live("to both leaves the file whole when the collector refuses, and does not fail the program", () =>
    Effect.gen(function*() {
      const { received, url } = yield* collector(400)
      const file = join(yield* directory, "trace.jsonl")
      yield* exported({ file }, { OTEL_EXPORTER_OTLP_ENDPOINT: url })
      assert.isAtLeast(received.length, 1)
      const spans = readFileSync(file, "utf8").trimEnd().split("\n").map(parsed).flatMap(spansOf)
      assert.strictEqual(spans.filter(({ name }) => name === "turn").length, 2)
    }).pipe(Effect.scoped))

  it.live("is not set up when nothing asks for it, or when the variables switch it off", () =>
    Effect.gen(function*() {
      const { received, url } = yield* collector(200)
      yield* exported({})
      yield* exported({}, { OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_SDK_DISABLED: "true" })
      yield* exported({}, { OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_TRACES_EXPORTER: "none" })
      assert.deepStrictEqual(received, [])
    }).pipe(Effect.scoped))

  it.live("leaves an SDK that the program has registered in its place", () =>
    Effect.gen(function*() {
      const exporter = new InMemorySpanExporter()
      const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] })
      yield* Effect.acquireRelease(
        Effect.sync(() => trace.setGlobalTracerProvider(provider)),
        () => Effect.sync(() => trace.disable())
      )
      const { received, url } = yield* collector(200)
      yield* exported({}, { OTEL_EXPORTER_OTLP_ENDPOINT: url })
      assert.deepStrictEqual(received, [])
      assert.strictEqual(exporter.getFinishedSpans().filter(({ name }) => name === "turn").length, 2)
      const file = join(yield* directory, "trace.jsonl")
      const failure = yield* Effect.flip(exported({ file }))
      assert.match(failure.message, /registered already/u)
    }).pipe(Effect.scoped))

  it.live("says what is wrong with a file that cannot be written, and with an address that is none", () =>
    Effect.gen(function*() {
      const file = join(yield* directory, "missing", "trace.jsonl")
      const unwritable = yield* Effect.flip(exported({ file }))
      assert.strictEqual(unwritable._tag, "TelemetryFailure")
      assert.include(unwritable.message, file)
      const nowhere = yield* Effect.flip(exported({}, { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "collector" }))
      assert.match(nowhere.message, /"collector" is no address/u)
    }).pipe(Effect.scoped))
})
