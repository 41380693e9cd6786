import { trace } from "@opentelemetry/api"
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace"
import { assert, describe, it } from "@effect/vitest"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { metricEntries } from "@rspp/timeline/telemetry/MetricCatalog"
import { LogEvents, logEvents, SessionLog } from "@rspp/timeline/telemetry/SessionLog"
import { SessionTracer } from "@rspp/timeline/telemetry/SessionTracer"
import { telemetryVariables } from "@rspp/timeline/telemetry/TelemetrySettings"
import { randomScript } from "@rspp/timeline/test/support/randomScript"
import { scriptedSession } from "@rspp/timeline/test/support/ScriptedSession"
import { Effect, Layer, Logger, References } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"

const page = readFileSync(join(import.meta.dirname, "../../docs/telemetry.md"), "utf8")
const named = new Set([...page.matchAll(/`([^`\n]+)`/gu)].map(([, name = ""]) => name))

describe("docs/telemetry.md", () => {
  it("has each metric of the catalogue as a row, and no other", () => {
    const rows = metricEntries.map(({ kind, labels, meaning, name, unit }) => {
      const labelled = Object.keys(labels).map((label) => `\`${label}\``).join(" ") || "–"
      return `| \`${name}\` | ${kind} | \`${unit}\` | ${labelled} | ${meaning} |`
    })
    assert.deepStrictEqual(page.split("\n").filter((line) => line.startsWith("| `rspp_")), rows)
  })

  it("has each variable that is read, and no other", () => {
    const variables = [...new Set(page.match(/OTEL_[A-Z_]+[A-Z]/gu))]
    assert.sameMembers(variables, [...telemetryVariables])
  })

  it("has each event that is logged, with what it is", () => {
    for (const [name, meaning] of Object.entries(logEvents)) assert.include(page, `| \`${name}\` | ${meaning} |`)
  })

  it.effect("names every attribute of the spans and of the log records of 60 sessions", () =>
    Effect.gen(function*() {
      const exporter = new InMemorySpanExporter()
      trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }))
      const logged = new Set<string>()
      const attributes = new Set<string>()
      yield* Effect.gen(function*() {
        const kernels = yield* SessionKernel
        const [tracer, log] = [yield* SessionTracer, yield* SessionLog]
        for (let seed = 0; seed < 60; seed++) {
          scriptedSession(kernels, randomScript(seed), tracer.observer())
          scriptedSession(kernels, randomScript(seed), log.observer())
        }
      }).pipe(
        Effect.provide(
          Layer.mergeAll(SessionKernel.layer, SessionTracer.layer, SessionLog.layer).pipe(
            Layer.provide([
              Logger.layer([
                Logger.make(({ fiber }) => {
                  for (const name of Object.keys(fiber.getRef(References.CurrentLogAnnotations))) logged.add(name)
                })
              ]),
              Layer.succeed(LogEvents, true)
            ])
          )
        )
      )
      for (const span of exporter.getFinishedSpans()) {
        for (const owner of [span, ...span.events, ...span.links]) {
          for (const name of Object.keys(owner.attributes ?? {})) attributes.add(name)
        }
      }
      assert.isAbove(attributes.size, 30)
      assert.isAbove(logged.size, 8)
      assert.deepStrictEqual([...attributes, ...logged].filter((name) => !named.has(name)), [])
    }).pipe(Effect.ensuring(Effect.sync(() => trace.disable()))))
})
