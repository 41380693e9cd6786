// Holds I-METRIC-SILENT, I-METER-BOUND.
import { assert, describe, layer } from "@effect/vitest"
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { Context, Effect, Metric } from "effect"
import { maxLabelValues, metricCatalog, metricEntries, otherLabel } from "../../src/telemetry/MetricCatalog.ts"
import { Meter, meterOf } from "../../src/telemetry/Meter.ts"
import { prometheusText } from "../../src/telemetry/PrometheusText.ts"
import { SessionMetrics } from "../../src/telemetry/SessionMetrics.ts"
import type { Script } from "../support/Script.ts"
import { conversation } from "../support/Script.ts"
import { randomScript } from "../support/randomScript.ts"
import { scriptedSession } from "../support/ScriptedSession.ts"

/** A registry of its own, and the meter of it. */
const fresh = () => {
  const context = Context.make(Metric.MetricRegistry, new Map())
  return { context, meter: meterOf(context) }
}

type Found = Readonly<Record<string, number | { readonly count: number; readonly sum: number }>>

/** Every series, as `name{label=value}`. */
const seriesOf = (context: Context.Context<never>): Found =>
  Object.fromEntries(
    Metric.snapshotUnsafe(context).map(({ attributes = {}, id, state, type }) => {
      const labels = Object.entries(attributes).map(([label, value]) => `${label}=${value}`).sort().join(",")
      const name = labels === "" ? id : `${id}{${labels}}`
      switch (type) {
        case "Counter":
          return [name, Number(state.count)]
        case "Gauge":
          return [name, Number(state.value)]
        case "Histogram":
          return [name, { count: state.count, sum: state.sum }]
        default:
          throw new Error(`${id} is of no kind that the catalogue has`)
      }
    })
  )

const ran = Effect.fnUntraced(function*(script: Script, more: { readonly meter: Meter }) {
  return scriptedSession(yield* SessionKernel, script, SessionMetrics.observerOf(more.meter))
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

const signals = (records: ReadonlyArray<TimelineRecord>, name: string) =>
  records.flatMap((record) => record.record === "signal" && record.signal.signal === name ? [record.signal] : [])

describe("the metrics of a session", () => {
  layer(SessionKernel.layer)((it) => {
    it.effect("are what its records say", () =>
      Effect.gen(function*() {
        const { context, meter } = fresh()
        const { records } = yield* ran(callScript, { meter })
        const found = seriesOf(context)
        assert.strictEqual(found["rspp_sessions_open"], 0)
        assert.strictEqual(found["rspp_sessions_total{outcome=ended}"], 1)
        assert.strictEqual(found["rspp_turns_total{outcome=committed,reason=none}"], signals(records, "commit").length)
        assert.strictEqual(found["rspp_turns_total{outcome=aborted,reason=cancelled}"], 1)
        assert.strictEqual(found["rspp_turns_total{outcome=aborted,reason=provider_failure}"], 1)
        const evidence = records.flatMap((record) => record.record === "evidence" ? [record.evidence] : [])
        assert.deepStrictEqual(found["rspp_first_output_latency_ms"], {
          count: evidence.filter(({ times }) => times.first_output_ms !== undefined).length,
          sum: evidence.reduce(
            (sum, { times: { first_output_ms, open_ms } }) =>
              sum + (first_output_ms === undefined ? 0 : first_output_ms - open_ms),
            0
          )
        })
        const cancel = evidence.flatMap(({ cancel }) => cancel === undefined ? [] : [cancel])
        assert.deepStrictEqual(found["rspp_cancel_latency_ms"], {
          count: cancel.length,
          sum: cancel.reduce((sum, { accepted_ms, fenced_ms = accepted_ms }) => sum + fenced_ms - accepted_ms, 0)
        })
        const calls = records.flatMap((record) => record.record === "invocation" ? [record.invocation] : [])
        const counted = Object.entries(found).filter(([name]) => name.startsWith("rspp_provider_calls_total"))
        assert.strictEqual(counted.reduce((sum, [, value]) => sum + Number(value), 0), calls.length)
        assert.strictEqual(
          found["rspp_provider_calls_total{modality=llm,outcome=blocked,provider=scripted/llm}"],
          1
        )
        assert.strictEqual(found["rspp_stale_epoch_outputs_accepted_total"], 0)
        assert.strictEqual(found["rspp_authority_changes_total{signal=lease_issued}"], 1)
      }))

    it.effect(
      "are all in the catalogue, with the labels and the kind that it says (150 sessions)",
      () =>
        Effect.gen(function*() {
          const { context, meter } = fresh()
          for (let seed = 0; seed < 150; seed++) yield* ran(randomScript(seed), { meter })
          const byName = new Map(metricEntries.map((entry) => [entry.name, entry]))
          for (const { attributes = {}, description, id, type } of Metric.snapshotUnsafe(context)) {
            const entry = byName.get(id)
            assert.isDefined(entry, id)
            assert.strictEqual(type.toLowerCase(), entry?.kind)
            assert.strictEqual(description, entry?.meaning)
            assert.sameMembers(Object.keys(attributes), Object.keys(entry?.labels ?? {}), id)
            for (const [label, value] of Object.entries(attributes)) {
              const values = entry?.labels[label]
              if (values !== undefined) assert.include(values, value, `${id} ${label}`)
              assert.notMatch(value, /turn_\d|ses_|\s/u, `${id} ${label}`)
            }
          }
          const found = seriesOf(context)
          assert.strictEqual(found["rspp_sessions_open"], 0)
          assert.strictEqual(found["rspp_stale_epoch_outputs_accepted_total"], 0)
          for (const name of ["rspp_turn_open_latency_ms", "rspp_cancel_latency_ms", "rspp_response_latency_ms"]) {
            assert.isDefined(found[name], name)
          }
        }),
      60_000
    )

    it.effect("never hurt the session: a meter that throws is left alone", () =>
      Effect.gen(function*() {
        class Broken extends Meter {
          override observe = () => {
            throw new Error("broken meter")
          }
        }
        const context = Context.make(Metric.MetricRegistry, new Map())
        const { records } = yield* ran(conversation(3), { meter: new Broken(context) })
        assert.strictEqual(records.at(-1)?.record, "end")
        assert.strictEqual(seriesOf(context)["rspp_sessions_open"], 0)
      }))

    it.effect("of a recorder that refuses evidence tell it", () =>
      Effect.gen(function*() {
        const { context, meter } = fresh()
        yield* ran({ ...conversation(3), refuseEvidence: [2] }, { meter })
        const found = seriesOf(context)
        assert.strictEqual(found["rspp_evidence_incomplete_total"], 1)
        assert.strictEqual(found["rspp_recording_failures_total"], 1)
        assert.strictEqual(found["rspp_turns_total{outcome=aborted,reason=recording_evidence_unavailable}"], 1)
      }))
  })
})

describe("a meter", () => {
  layer(SessionKernel.layer)((it) => {
    it.effect("has a bound on its series, whatever labels say", () =>
      Effect.sync(() => {
        const { context, meter } = fresh()
        for (let n = 0; n < 1000; n++) meter.count("turns", { outcome: "aborted", reason: `reason_${n}` })
        const turns = Object.entries(seriesOf(context)).filter(([name]) => name.startsWith("rspp_turns_total"))
        assert.strictEqual(turns.length, maxLabelValues + 1)
        assert.strictEqual(
          seriesOf(context)[`rspp_turns_total{outcome=aborted,reason=${otherLabel}}`],
          1000 - maxLabelValues
        )
        assert.strictEqual(turns.reduce((sum, [, value]) => sum + Number(value), 0), 1000)
      }))

    it.effect("shows the label unit to Prometheus, which Effect takes for its own", () =>
      Effect.sync(() => {
        const { context, meter } = fresh()
        for (const unit of ["input_tokens", "output_tokens"]) {
          meter.count("providerUsage", { modality: "llm", provider: "a/b", unit }, 7)
        }
        assert.deepStrictEqual(prometheusText(context).match(/^rspp_provider_usage_total.*$/gmu), [
          "rspp_provider_usage_total{modality=\"llm\",provider=\"a/b\",unit=\"input_tokens\"} 7",
          "rspp_provider_usage_total{modality=\"llm\",provider=\"a/b\",unit=\"output_tokens\"} 7"
        ])
      }))

    it.effect("reads queues when it is asked, over all that there are", () =>
      Effect.sync(() => {
        const { context, meter } = fresh()
        let waiting = 3
        const first = meter.watch([{ queue: "session_control", depth: () => waiting }])
        meter.watch([{ queue: "session_control", depth: () => 1 }])
        assert.strictEqual(seriesOf(context)["rspp_queue_depth{queue=session_control}"], 4)
        waiting = 5
        assert.strictEqual(seriesOf(context)["rspp_queue_depth{queue=session_control}"], 6)
        first()
        assert.strictEqual(seriesOf(context)["rspp_queue_depth{queue=session_control}"], 1)
      }))

    it.effect("has a bound on how many queues it names, whatever pipelines call theirs", () =>
      Effect.sync(() => {
        const { context, meter } = fresh()
        const unwatch = meter.watch(
          Array.from({ length: 1000 }, (_, n) => ({ queue: `edge_${n}`, depth: () => 1 }))
        )
        const depths = () =>
          Object.entries(seriesOf(context)).filter(([name]) => name.startsWith(metricCatalog.queueDepth.name))
        assert.strictEqual(depths().length, maxLabelValues + 1)
        assert.strictEqual(depths().reduce((sum, [, depth]) => sum + Number(depth), 0), 1000)
        unwatch()
        assert.strictEqual(depths().reduce((sum, [, depth]) => sum + Number(depth), 0), 0)
      }))

    it.effect("has the share of refusals of the last minute", () =>
      Effect.gen(function*() {
        const { TestClock } = yield* Effect.promise(() => import("effect/testing"))
        const context = Context.add(yield* Effect.context<never>(), Metric.MetricRegistry, new Map())
        const meter = meterOf(context)
        assert.strictEqual(seriesOf(context)[metricCatalog.shedRate.name], 0)
        for (let n = 0; n < 3; n++) meter.decided(false)
        meter.decided(true)
        assert.strictEqual(seriesOf(context)[metricCatalog.shedRate.name], 0.25)
        yield* TestClock.adjust("30 seconds")
        meter.decided(true)
        assert.strictEqual(seriesOf(context)[metricCatalog.shedRate.name], 0.4)
        yield* TestClock.adjust("31 seconds")
        assert.strictEqual(seriesOf(context)[metricCatalog.shedRate.name], 1)
        yield* TestClock.adjust("2 hours")
        assert.strictEqual(seriesOf(context)[metricCatalog.shedRate.name], 0)
      }))
  })
})
