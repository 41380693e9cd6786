// Holds I-TRACE-BOUND, I-TRACE-SILENT.
import type { HrTime } from "@opentelemetry/api"
import { SpanKind, SpanStatusCode, trace } from "@opentelemetry/api"
import type { ReadableSpan, Span, SpanProcessor } from "@opentelemetry/sdk-trace"
import { InMemorySpanExporter, SamplingDecision, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace"
import { assert, describe, layer } from "@effect/vitest"
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { Effect, Layer } from "effect"
import { SessionTracer } from "../../src/telemetry/SessionTracer.ts"
import { randomScript } from "../support/randomScript.ts"
import type { Script } from "../support/Script.ts"
import { conversation } from "../support/Script.ts"
import { scriptedSession } from "../support/ScriptedSession.ts"

/** An SDK as a program registers it, for as long as the scope, and the spans that have reached it. */
const registeredSdk = (...processors: ReadonlyArray<SpanProcessor>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const exporter = new InMemorySpanExporter()
      const spanProcessors = [new SimpleSpanProcessor({ exporter }), ...processors]
      assert.isTrue(trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors })))
      return exporter
    }),
    () => Effect.sync(() => trace.disable())
  )

const traced = Effect.fnUntraced(function*(script: Script) {
  const kernels = yield* SessionKernel
  const observer = (yield* SessionTracer).observer()
  return scriptedSession(kernels, script, observer)
})

/** A caller who is answered, cuts the second answer, and whose third question the model cannot answer. */
const callScript: Script = {
  ...conversation(3, 5),
  speech: [
    { atMs: 400, lastsMs: 900, words: 3, complete: true },
    { atMs: 9000, lastsMs: 900, words: 4, complete: true },
    { atMs: 11_000, lastsMs: 1400, words: 2, complete: true },
    { atMs: 21_000, lastsMs: 900, words: 2, complete: true }
  ],
  lastsMs: 30_000,
  providers: { sentences: [2, 2], sentenceChars: [40, 40] },
  faults: [{ modality: "llm", call: 4, outcome: "blocked" }]
}

const named = (spans: ReadonlyArray<ReadableSpan>, name: string) => spans.filter((span) => span.name === name)
const childrenOf = (spans: ReadonlyArray<ReadableSpan>, parent: ReadableSpan | undefined) =>
  spans.filter((span) => span.parentSpanContext?.spanId === parent?.spanContext().spanId)
const eventNames = (span: ReadableSpan | undefined) => span?.events.map(({ name }) => name) ?? []
const msOf = ([seconds, nanos]: HrTime) => seconds * 1000 + nanos / 1_000_000
const signalsOf = (records: ReadonlyArray<TimelineRecord>) =>
  records.flatMap((record) => record.record === "signal" ? [record.signal] : [])

/** Counts spans that were started and not ended. */
class OpenSpans implements SpanProcessor {
  readonly open = new Set<string>()
  most = 0
  started = 0
  onStart = (span: Span) => {
    this.started++
    this.open.add(span.spanContext().spanId)
    this.most = Math.max(this.most, this.open.size)
  }
  onEnd = (span: ReadableSpan) => {
    assert.isTrue(this.open.delete(span.spanContext().spanId), "a span ends once")
  }
  forceFlush = () => Promise.resolve()
  shutdown = () => Promise.resolve()
}

describe("the spans of a session", () => {
  layer(Layer.mergeAll(SessionKernel.layer, SessionTracer.layer))((it) => {
    it.effect("reach the SDK that the program has registered, as session, turn, node and provider call", () =>
      Effect.gen(function*() {
        const exporter = yield* registeredSdk()
        const { header, records } = yield* traced(callScript)
        const spans = exporter.getFinishedSpans()
        const [session, ...others] = named(spans, "session")
        assert.deepStrictEqual(others, [])
        assert.isTrue(spans.every((span) => span.instrumentationScope.name === "rspp"))
        assert.strictEqual(session?.parentSpanContext, undefined)
        assert.strictEqual(session?.attributes["session.id"], header.session_id)
        assert.strictEqual(session?.attributes["rspp.session.turns"], 4)
        assert.strictEqual(msOf(session?.startTime ?? [0, 0]), header.wall_clock_start_ms)
        assert.include(eventNames(session), "connected")

        const turns = named(spans, "turn")
        assert.deepStrictEqual(childrenOf(spans, session).map(({ name }) => name), ["turn", "turn", "turn", "turn"])
        assert.deepStrictEqual(turns.map(({ attributes }) => attributes["rspp.turn.id"]), [
          "turn_1",
          "turn_2",
          "turn_3",
          "turn_4"
        ])
        const opens = signalsOf(records).filter(({ signal }) => signal === "turn_open")
        const hashes = records.flatMap((record) => record.record === "plan" ? [record.plan.plan_hash] : [])
        for (const [at, turn] of turns.entries()) {
          assert.strictEqual(turn.attributes["rspp.plan.hash"], hashes[at])
          const open = turn.events.find(({ name }) => name === "turn_open")
          assert.strictEqual(
            msOf(open?.time ?? [0, 0]),
            header.wall_clock_start_ms + (opens[at]?.runtime_timestamp_ms ?? 0)
          )
          const nodes = childrenOf(spans, turn)
          assert.includeMembers(nodes.map(({ name }) => name), ["node stt", "node llm"])
          for (const node of nodes) {
            const calls = childrenOf(spans, node)
            assert.isAtLeast(calls.length, 1)
            assert.isTrue(calls.every(({ kind }) => kind === SpanKind.CLIENT))
            assert.isTrue(calls.every((call) => msOf(call.startTime) >= msOf(node.startTime)))
            assert.isTrue(calls.every((call) => msOf(call.endTime) <= msOf(node.endTime)))
            assert.isAtLeast(msOf(node.startTime), msOf(turn.startTime))
          }
        }
        const calls = records.filter((record) => record.record === "invocation")
        assert.strictEqual(spans.filter(({ kind }) => kind === SpanKind.CLIENT).length, calls.length)
      }))

    it.effect("say how a turn ended: committed, cut by the caller, or failed", () =>
      Effect.gen(function*() {
        const exporter = yield* registeredSdk()
        const { records } = yield* traced(callScript)
        const turns = named(exporter.getFinishedSpans(), "turn")
        assert.deepStrictEqual(
          turns.map(({ attributes, status }) => [
            attributes["rspp.turn.outcome"],
            attributes["rspp.turn.abort_reason"],
            status.code
          ]),
          [
            ["commit", undefined, SpanStatusCode.UNSET],
            ["abort", "cancelled", SpanStatusCode.UNSET],
            ["commit", undefined, SpanStatusCode.UNSET],
            ["abort", "provider_failure", SpanStatusCode.ERROR]
          ]
        )
        const [answered, cut, , failed] = turns
        const evidence = records.flatMap((record) => record.record === "evidence" ? [record.evidence] : [])
        const first = evidence[0]?.times
        assert.strictEqual(
          answered?.attributes["rspp.turn.first_output_latency_ms"],
          (first?.first_output_ms ?? 0) - (first?.open_ms ?? 0)
        )
        assert.isAtLeast(Number(answered?.attributes["rspp.turn.playback_latency_ms"]), 1)
        assert.includeMembers(eventNames(answered), [
          "turn_open_proposed",
          "turn_open",
          "first_output",
          "playback_started"
        ])
        assert.includeMembers(eventNames(cut), ["barge_in", "cancel", "fence"])
        assert.strictEqual(
          cut?.attributes["rspp.turn.cancel_to_fence_ms"],
          (evidence[1]?.cancel?.fenced_ms ?? -1) - (evidence[1]?.cancel?.accepted_ms ?? 0)
        )
        assert.include(eventNames(failed), "provider_error")
        const blocked = exporter.getFinishedSpans().filter(({ attributes }) =>
          attributes["rspp.invocation.outcome_class"] === "blocked"
        )
        assert.deepStrictEqual(blocked.map(({ name, status }) => [name, status.code]), [
          ["llm scripted/llm", SpanStatusCode.ERROR]
        ])
      }))

    it.effect(
      "are all ended, once, whatever happens, and no call is lost (150 sessions)",
      () =>
        Effect.gen(function*() {
          const counter = new OpenSpans()
          const exporter = yield* registeredSdk(counter)
          for (let seed = 0; seed < 150; seed++) {
            exporter.reset()
            const { records } = yield* traced(randomScript(seed))
            const spans = exporter.getFinishedSpans()
            assert.deepStrictEqual([seed, counter.open.size], [seed, 0])
            const opened = signalsOf(records).filter(({ signal }) => signal === "turn_open")
            assert.deepStrictEqual([seed, named(spans, "turn").length], [seed, opened.length])
            const calls = records.filter((record) => record.record === "invocation")
            assert.strictEqual(spans.filter(({ kind }) => kind === SpanKind.CLIENT).length, calls.length)
            assert.isTrue(spans.every(({ endTime, startTime }) => msOf(endTime) >= msOf(startTime)), `seed ${seed}`)
          }
        }),
      60_000
    )

    it.effect("are few, and few are open: nothing grows with the session, nothing is made for frames", () =>
      Effect.gen(function*() {
        const counter = new OpenSpans()
        yield* registeredSdk(counter)
        yield* traced(conversation(100, 2))
        // A session, and for each turn: itself, three nodes, the recogniser, the model and up to three voices.
        assert.isAtMost(counter.started, 1 + 100 * 9)
        assert.isAtMost(counter.most, 10)
      }))

    it.effect("cost nothing when they go nowhere: after the first is refused, none is asked for", () =>
      Effect.gen(function*() {
        let asked = 0
        const sampler = {
          shouldSample: () => {
            asked++
            return { decision: SamplingDecision.NOT_RECORD }
          }
        }
        yield* Effect.acquireRelease(
          Effect.sync(() => trace.setGlobalTracerProvider(new TracerProvider({ sampler }))),
          () => Effect.sync(() => trace.disable())
        )
        yield* traced(conversation(5))
        assert.strictEqual(asked, 1)
      }))

    it.effect("never hurt the session: an SDK that throws is left alone", () =>
      Effect.gen(function*() {
        class Broken extends OpenSpans {
          override onStart = (span: Span) => {
            if (span.name === "turn") throw new Error("broken SDK")
          }
          override onEnd = () => {
            throw new Error("broken SDK")
          }
        }
        yield* registeredSdk(new Broken())
        const { records } = yield* traced(conversation(3))
        assert.strictEqual(records.at(-1)?.record, "end")
      }))
  })
})
