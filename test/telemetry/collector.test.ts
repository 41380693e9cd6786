// Against a real OpenTelemetry Collector, where one is on the PATH (`otelcol`, with the receiver otlp and the exporter
// otlphttp; docs/telemetry.md says how one is built). Without one nothing is said: the test is skipped by its name.
import { assert, describe, it } from "@effect/vitest"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { afterSteps } from "@rspp/timeline/telemetry/AfterSteps"
import { SessionLog } from "@rspp/timeline/telemetry/SessionLog"
import { SessionMetrics } from "@rspp/timeline/telemetry/SessionMetrics"
import { SessionTracer } from "@rspp/timeline/telemetry/SessionTracer"
import * as Telemetry from "@rspp/timeline/telemetry/Telemetry"
import { conversation } from "@rspp/timeline/test/support/Script"
import { scriptedSession } from "@rspp/timeline/test/support/ScriptedSession"
import { ConfigProvider, Effect, Layer, Logger, Metric } from "effect"
import { spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { otlpReceiver } from "./OtlpReceiver.ts"

const found = spawnSync("otelcol", ["components"], { encoding: "utf8" })
const collector = found.error === undefined && found.status === 0
// Older collectors know it by another name.
const handOn = found.stdout?.includes("name: otlp_http") ? "otlp_http" : "otlphttp"

const freePort = Effect.callback<number>((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

/** A collector that hands everything on to `url`. */
const collectorTo = Effect.fnUntraced(function*(url: string) {
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "rspp-otelcol-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  )
  const port = yield* freePort
  const config = join(directory, "config.yaml")
  const pipeline = `{receivers: [otlp], exporters: [${handOn}]}`
  writeFileSync(
    config,
    `receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:${port}"}}}}
exporters: {${handOn}: {endpoint: "${url}", compression: none, encoding: json}}
service:
  telemetry: {metrics: {level: none}}
  pipelines: {traces: ${pipeline}, metrics: ${pipeline}, logs: ${pipeline}}
`
  )
  yield* Effect.acquireRelease(
    Effect.callback<ReturnType<typeof spawn>>((resume) => {
      const child = spawn("otelcol", ["--config", config], { stdio: ["ignore", "ignore", "pipe"] })
      let said = ""
      child.stderr?.setEncoding("utf8").on("data", (text: string) => {
        said += text
        if (said.includes("Everything is ready")) resume(Effect.succeed(child))
      })
      child.on("exit", () => resume(Effect.die(new Error(`the collector did not start: ${said}`))))
    }),
    (child) =>
      Effect.callback<void>((resume) => {
        child.on("exit", () => resume(Effect.void))
        child.kill("SIGTERM")
      })
  )
  return `http://127.0.0.1:${port}`
})

describe("an OpenTelemetry Collector", () => {
  for (const protocol of ["http/protobuf", "http/json"]) {
    it.live.skipIf(!collector)(
      `takes traces, metrics and logs as ${protocol} and hands them on${
        collector ? "" : " (not run: no otelcol on the PATH)"
      }`,
      () =>
        Effect.gen(function*() {
          const receiver = yield* otlpReceiver()
          const url = yield* collectorTo(receiver.url)
          yield* Effect.gen(function*() {
            const kernels = yield* SessionKernel
            const observers = [
              (yield* SessionTracer).observer(),
              (yield* SessionMetrics).observer(),
              (yield* SessionLog).observer()
            ]
            scriptedSession(kernels, conversation(2), afterSteps(observers))
          }).pipe(
            Effect.provide(
              Layer.mergeAll(SessionTracer.layer, SessionMetrics.layer, SessionLog.layer, SessionKernel.layer).pipe(
                Layer.provideMerge(Telemetry.layer()),
                Layer.provide([
                  ConfigProvider.layer(ConfigProvider.fromEnv({
                    env: { OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_EXPORTER_OTLP_PROTOCOL: protocol }
                  })),
                  Logger.layer([]),
                  Layer.succeed(Metric.MetricRegistry, new Map())
                ])
              ),
              { local: true }
            )
          )
          // It hands on what it took, in its own time.
          while (receiver.spans.length === 0 || receiver.metrics.length === 0 || receiver.logs.length === 0) {
            yield* Effect.sleep(20)
          }
          const [session] = receiver.spans.filter(({ name }) => name === "session")
          const turns = receiver.spans.filter(({ name }) => name === "turn")
          assert.deepStrictEqual(turns.map(({ parentSpanId }) => parentSpanId), [session?.spanId, session?.spanId])
          assert.strictEqual(turns[1]?.links[0]?.spanId, turns[0]?.spanId)
          assert.strictEqual(receiver.metrics.find(({ name }) => name === "rspp_cancel_latency_ms")?.unit ?? "ms", "ms")
          const open = receiver.metrics.find(({ name }) => name === "rspp_turn_open_latency_ms")
          assert.deepStrictEqual([open?.unit, open?.kind, open?.points[0]?.count], ["ms", "histogram", 2])
          assert.isTrue(receiver.logs.every(({ traceId }) => traceId === session?.traceId))
        }).pipe(Effect.scoped),
      60_000
    )
  }
})
