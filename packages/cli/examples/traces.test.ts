// Traces of a call: session → turn → node → provider call, for whatever OpenTelemetry SDK the program registers.
import { trace } from "@opentelemetry/api"
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace"
import { assert, describe, it } from "@effect/vitest"
import { model } from "@rspp/providers/scripted/ScriptedProviders"
import { speech } from "@rspp/providers/scripted/ScriptedVoiceActivity"
import { SessionObservers } from "@rspp/runtime/session/SessionObserver"
import { SessionTracer } from "@rspp/timeline/telemetry/SessionTracer"
import { makeCallScript } from "@rspp/transports/loopback/CallScript"
import { Effect } from "effect"
import { playCall } from "./scripted.ts"

describe("Traces of a call", () => {
  it.effect("have the session, its turns, their nodes and the provider calls", () =>
    Effect.gen(function*() {
      // What a program does once at its start, with the exporter of its choice.
      const exporter = new InMemorySpanExporter()
      trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }))

      const tracer = yield* SessionTracer
      yield* playCall({
        script: makeCallScript([{ say: speech(900) }]),
        heard: ["what is the time"],
        model: model(["It is noon."])
      }).pipe(Effect.provideService(SessionObservers, [tracer.observer()]))

      const spans = exporter.getFinishedSpans()
      const parentOf = (name: string) => {
        const id = spans.find((span) => span.name === name)?.parentSpanContext?.spanId
        return spans.find((span) => span.spanContext().spanId === id)?.name
      }
      assert.strictEqual(parentOf("llm scripted/llm"), "node llm")
      assert.strictEqual(parentOf("node llm"), "turn")
      assert.strictEqual(parentOf("turn"), "session")
    }).pipe(
      Effect.ensuring(Effect.sync(() => trace.disable())),
      Effect.provide(SessionTracer.layer)
    ))
})
