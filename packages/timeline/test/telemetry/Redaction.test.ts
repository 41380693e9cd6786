// CONTRACT section 11: no words and no keys in telemetry, whatever records say. Planted into every reason that a record has,
// and into the texts behind its handles.
import { trace } from "@opentelemetry/api"
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace"
import { assert, describe, it } from "@effect/vitest"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import type { KernelOutput } from "@rspp/runtime/kernel/KernelContext"
import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"
import { Effect, Layer, Logger, Metric, References } from "effect"
import { logWords } from "../../src/telemetry/LogWords.ts"
import { prometheusText } from "../../src/telemetry/PrometheusText.ts"
import { reasonCode, reasonName, untoldReason } from "../../src/telemetry/Reason.ts"
import { LogEvents, SessionLog } from "../../src/telemetry/SessionLog.ts"
import { SessionMetrics } from "../../src/telemetry/SessionMetrics.ts"
import { SessionTracer } from "../../src/telemetry/SessionTracer.ts"
import { randomScript } from "../support/randomScript.ts"
import { scriptedSession } from "../support/ScriptedSession.ts"

const planted = "Sorry, hunter2 is no word (sk-proj-abcdefghijklmnop)"

/** The same record, with the words wherever it gives a reason; where it has a code before a colon, after that too. */
const withWords = (output: KernelOutput): KernelOutput => {
  switch (output.record) {
    case "signal": {
      const { reason } = output.signal
      if (reason === undefined) return output
      return {
        ...output,
        signal: { ...output.signal, reason: reason.includes(":") ? `${reason.split(":")[0]}:${planted}` : planted }
      }
    }
    case "decision":
      return { ...output, decision: { ...output.decision, reason: planted } }
    case "invocation":
      return { ...output, invocation: { ...output.invocation, reason: planted } }
    default:
      return output
  }
}

const telling = (observers: ReadonlyArray<SessionObserver>): SessionObserver => ({
  opened: (header) => observers.forEach((each) => each.opened?.(header, () => planted)),
  input: (record) => observers.forEach((each) => each.input?.(record)),
  outputs: (outputs) => observers.forEach((each) => each.outputs?.(outputs.map(withWords))),
  closed: () => observers.forEach((each) => each.closed?.())
})

describe("telemetry", () => {
  it.effect("repeats no words and no key of a record (40 sessions)", () =>
    Effect.gen(function*() {
      const exporter = new InMemorySpanExporter()
      trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }))
      const logged: Array<string> = []
      yield* Effect.gen(function*() {
        const kernels = yield* SessionKernel
        for (let seed = 0; seed < 40; seed++) {
          const observers = [
            (yield* SessionTracer).observer(),
            (yield* SessionMetrics).observer(),
            (yield* SessionLog).observer()
          ]
          scriptedSession(kernels, randomScript(seed), telling(observers))
        }
        const metrics = prometheusText(yield* Effect.context<never>())
        const spans = JSON.stringify(
          exporter.getFinishedSpans().map((span) => [
            span.name,
            span.attributes,
            span.status,
            span.events.map(({ attributes, name }) => [name, attributes]),
            span.links.map(({ attributes }) => attributes)
          ])
        )
        assert.isAbove(exporter.getFinishedSpans().length, 100)
        assert.isAbove(logged.length, 100)
        assert.include(metrics, "rspp_turns_total")
        for (const told of [spans, metrics, logged.join("\n")]) {
          assert.notInclude(told, "hunter2")
          assert.notInclude(told, "sk-proj")
        }
        assert.include(spans, `"rspp.reason":"${untoldReason}"`)
      }).pipe(
        Effect.provide(
          Layer.mergeAll(SessionKernel.layer, SessionTracer.layer, SessionMetrics.layer, SessionLog.layer).pipe(
            Layer.provideMerge(Layer.succeed(Metric.MetricRegistry, new Map())),
            Layer.provide([
              Logger.layer([
                Logger.make((options) => {
                  logged.push(JSON.stringify(logWords(options, new Map(), (text) => text)))
                  logged.push(JSON.stringify(options.fiber.getRef(References.CurrentLogAnnotations)))
                })
              ]),
              Layer.succeed(LogEvents, true)
            ])
          )
        )
      )
    }).pipe(Effect.ensuring(Effect.sync(() => trace.disable()))))

  it("shows of a reason its code, and of a sentence nothing", () => {
    assert.strictEqual(reasonCode("provider_unhealthy:mine/model"), "provider_unhealthy")
    assert.strictEqual(reasonCode("cancelled"), "cancelled")
    assert.strictEqual(reasonName("open:mine/model-4.1"), "mine/model-4.1")
    assert.strictEqual(reasonName(`open:${planted}`), untoldReason)
    for (const reason of [planted, "", "two words", "x".repeat(65), ":nothing before it", "möglich"]) {
      assert.strictEqual(reasonCode(reason), untoldReason, reason)
    }
  })
})
