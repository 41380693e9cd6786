import type { ReadableSpan } from "@opentelemetry/sdk-trace"
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace"
import { assert, describe, layer } from "@effect/vitest"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { Effect } from "effect"
import { otlpTrace, recordedSpans } from "../../src/export/OtlpTrace.ts"
import { SessionTracer, tracerName } from "../../src/telemetry/SessionTracer.ts"
import { randomScript } from "../support/randomScript.ts"
import type { Script } from "../support/Script.ts"
import { conversation } from "../support/Script.ts"
import { scriptedSession } from "../support/ScriptedSession.ts"

/** Runs a session with a tracer of its own; its spans as they were made live. */
const live = (kernels: SessionKernel["Service"], script: Script) => {
  const exporter = new InMemorySpanExporter()
  const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] })
  const timeline = scriptedSession(kernels, script, SessionTracer.observerOf(provider.getTracer(tracerName)))
  return { spans: exporter.getFinishedSpans(), timeline }
}

/** Everything of the spans but their ids, parents by their place in the list. */
const told = (spans: ReadonlyArray<ReadableSpan>) => {
  const places = new Map(spans.map((span, place) => [span.spanContext().spanId, place]))
  return spans.map(({ attributes, endTime, events, kind, name, parentSpanContext, startTime, status }) => ({
    name,
    kind,
    startTime,
    endTime,
    attributes,
    status,
    events: events.map(({ attributes, name, time }) => ({ attributes, name, time })),
    parent: places.get(parentSpanContext?.spanId ?? "")
  }))
}

interface TracesData {
  readonly resourceSpans: ReadonlyArray<{
    readonly scopeSpans: ReadonlyArray<{
      readonly spans: ReadonlyArray<{
        readonly traceId: string
        readonly spanId: string
        readonly parentSpanId?: string
        readonly name: string
        readonly startTimeUnixNano: string
        readonly endTimeUnixNano: string
      }>
    }>
  }>
}

describe("the spans of a recording", () => {
  layer(SessionKernel.layer)((it) => {
    it.effect("are those that the live session made", () =>
      Effect.gen(function*() {
        const kernels = yield* SessionKernel
        for (
          const script of [
            conversation(3),
            conversation(2, 5),
            ...Array.from({ length: 12 }, (_, i) => randomScript(i))
          ]
        ) {
          const { spans, timeline } = live(kernels, script)
          assert.isAbove(spans.length, 0)
          assert.deepStrictEqual(told(recordedSpans(timeline)), told(spans))
        }
      }))

    it.effect("are OTLP/JSON on one line, a trace with one root, and the same bytes each time", () =>
      Effect.gen(function*() {
        const timeline = scriptedSession(yield* SessionKernel, conversation(3))
        const [line = "", ...others] = otlpTrace(timeline)
        assert.deepStrictEqual(others, [])
        assert.strictEqual(line.indexOf("\n"), line.length - 1)
        assert.deepStrictEqual([...otlpTrace(timeline)], [line])
        const { resourceSpans } = JSON.parse(line) as TracesData
        const spans = resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans))
        const ids = new Set(spans.map(({ spanId }) => spanId))
        assert.strictEqual(ids.size, spans.length)
        assert.strictEqual(new Set(spans.map(({ traceId }) => traceId)).size, 1)
        assert.deepStrictEqual(spans.filter(({ parentSpanId }) => !parentSpanId).map(({ name }) => name), ["session"])
        for (const { endTimeUnixNano, parentSpanId, spanId, startTimeUnixNano, traceId } of spans) {
          assert.match(traceId, /^[0-9a-f]{32}$/u)
          assert.match(spanId, /^[0-9a-f]{16}$/u)
          assert.isTrue(!parentSpanId || ids.has(parentSpanId))
          assert.isTrue(BigInt(endTimeUnixNano) >= BigInt(startTimeUnixNano))
        }
      }))

    it.effect("of a session that was cut off end with what is known", () =>
      Effect.gen(function*() {
        const { header, records } = scriptedSession(yield* SessionKernel, conversation(3))
        const spans = recordedSpans({ header, records: records.slice(0, Math.floor(records.length / 2)) })
        assert.strictEqual(spans.filter(({ name }) => name === "session").length, 1)
        assert.isTrue(spans.every(({ ended }) => ended))
      }))
  })
})
