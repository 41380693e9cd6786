import { trace } from "@opentelemetry/api"
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace"
import { assert, describe, it } from "@effect/vitest"
import { SessionObservers } from "@rspp/runtime/session/SessionObserver"
import { SessionTracer } from "@rspp/timeline/telemetry/SessionTracer"
import { makeCallScript } from "@rspp/transports/loopback/CallScript"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { runScriptedCall, speech } from "../support/ScriptedCall.ts"

describe("Example: OpenTelemetry traces", () => {
  it.effect("an SDK that the program registers gets session → turn → node → provider call", () =>
    Effect.gen(function*() {
      // What a program does once at its start, with the exporter of its choice.
      const exporter = new InMemorySpanExporter()
      trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }))

      const tracer = yield* SessionTracer
      const call = yield* Effect.forkChild(
        runScriptedCall({
          script: makeCallScript([{ say: speech(900) }]),
          heard: ["what is the time"],
          replies: ["It is noon."]
        }).pipe(Effect.provideService(SessionObservers, [tracer.observer()]))
      )
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(call)

      const spans = exporter.getFinishedSpans()
      const parentOf = (name: string) => {
        const span = spans.find((candidate) => candidate.name.startsWith(name))
        return spans.find((candidate) => candidate.spanContext().spanId === span?.parentSpanContext?.spanId)?.name
      }
      assert.strictEqual(parentOf("turn"), "session")
      assert.strictEqual(parentOf("node llm"), "turn")
      assert.strictEqual(parentOf("llm scripted/llm"), "node llm")
      assert.strictEqual(
        spans.find((span) => span.name === "turn")?.attributes["rspp.turn.outcome"],
        "commit"
      )
    }).pipe(
      Effect.ensuring(Effect.sync(() => trace.disable())),
      Effect.provide(SessionTracer.layer)
    ))
})
