// The whole program, once: the shipped conversation as fast as it goes, exporting over real HTTP to a receiver on the
// official protobuf definitions.
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { metricEntries } from "@rspp/timeline/telemetry/MetricCatalog"
import { logEvents } from "@rspp/timeline/telemetry/SessionLog"
import { rspp } from "@rspp/cli/test/support/Program"
import type { Ended } from "@rspp/cli/test/support/Program"
import { Effect, Exit, Scope } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { otlpReceiver } from "../telemetry/OtlpReceiver.ts"
import type { OtlpReceiver, ReceivedSpan } from "../telemetry/OtlpReceiver.ts"

const scope = Scope.makeUnsafe()
const cwd = mkdtempSync(join(tmpdir(), "rspp-telemetry-"))
afterAll(async () => {
  await Effect.runPromise(Scope.close(scope, Exit.void))
  rmSync(cwd, { recursive: true, force: true })
})

/** What was said in the conversation, of the words that could be nothing else. */
const saidIn = (stdout: string): ReadonlyArray<string> => [
  ...new Set(
    stdout.split("\n").flatMap((line) => /^ *[\d.]+ {2}(?:you|agent) +"(.*)"$/u.exec(line)?.[1] ?? []).flatMap((text) =>
      text.toLowerCase().match(/[a-z]{4,}/gu) ?? []
    )
  )
]

/** Words that telemetry has of its own: names of attributes, of metrics, of providers, what events are called. */
const ownWords = new Set([
  ...["have", "that", "this", "with", "from", "over", "session", "begins", "turn", "open", "call", "time", "caller"],
  ...Object.values(logEvents).flatMap((text) => text.match(/[a-z]{4,}/giu) ?? []),
  ...metricEntries.flatMap(({ labels, meaning }) => [
    ...Object.keys(labels),
    ...(meaning.toLowerCase().match(/[a-z]{4,}/gu) ?? [])
  ])
])

describe("the shipped conversation", () => {
  let receiver: OtlpReceiver
  let demo: Ended

  beforeAll(async () => {
    receiver = await Effect.runPromise(otlpReceiver().pipe(Effect.provideService(Scope.Scope, scope)))
    demo = await rspp(["demo", "--speed", "max", "--out", "demo", "--session", "ses_shipped"], {
      cwd,
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url }
    })
  }, 300_000)

  const named = (name: string) => receiver.spans.filter((span) => span.name === name)
  const childrenOf = (span: ReceivedSpan | undefined) =>
    receiver.spans.filter(({ parentSpanId }) => parentSpanId === span?.spanId)

  it("ends as it does without telemetry", () => {
    assert.strictEqual(demo.stderr, "")
    assert.strictEqual(demo.code, 0)
  })

  it("is one trace: session, its turns, their nodes, and the calls of providers", () => {
    const [session, ...others] = named("session")
    assert.deepStrictEqual(others, [])
    assert.strictEqual(session?.parentSpanId, "")
    assert.isTrue(receiver.spans.every(({ scope, traceId }) => traceId === session?.traceId && scope === "rspp"))
    assert.strictEqual(session?.attributes["session.id"], "ses_shipped")
    assert.strictEqual(session?.attributes["rspp.session.turns"], 4)
    assert.strictEqual(session?.attributes["rspp.session.turns_refused"], 1)

    const turns = named("turn")
    assert.deepStrictEqual(
      turns.map(({ attributes, parentSpanId }) => [
        parentSpanId,
        attributes["rspp.turn.id"],
        attributes["rspp.turn.outcome"],
        attributes["rspp.turn.abort_reason"]
      ]),
      [
        [session?.spanId, "turn_1", "commit", undefined],
        [session?.spanId, "turn_2", "commit", undefined],
        [session?.spanId, "turn_3", "abort", "cancelled"],
        [session?.spanId, "turn_4", "commit", undefined]
      ]
    )
    for (const turn of turns) {
      assert.sameMembers(childrenOf(turn).map(({ name }) => name), ["node stt", "node llm", "node tts"])
      const calls = childrenOf(turn).flatMap((node) => childrenOf(node))
      for (
        const [name, least] of [["stt embedded/moonshine", 1], ["llm embedded/rules", 1], [
          "tts embedded/flite",
          2
        ]] as const
      ) {
        assert.isAtLeast(calls.filter((call) => call.name === name).length, least, name)
      }
      for (const call of calls) {
        assert.strictEqual(call.kind, "SPAN_KIND_CLIENT")
        assert.strictEqual(call.attributes["rspp.turn.id"], turn.attributes["rspp.turn.id"])
        assert.deepStrictEqual(childrenOf(call), [])
      }
      for (const span of [...childrenOf(turn), ...calls]) {
        assert.isAtLeast(span.startMs, turn.startMs)
        assert.isAtLeast(span.endMs, span.startMs)
      }
    }
    // Nothing hangs in the air.
    const known = new Set(receiver.spans.map(({ spanId }) => spanId))
    assert.isTrue(receiver.spans.every((span) => span === session || known.has(span.parentSpanId)))
  })

  it("links each turn to the one before it", () => {
    const turns = named("turn")
    assert.deepStrictEqual(turns[0]?.links, [])
    for (const [at, turn] of turns.entries()) {
      if (at === 0) continue
      assert.deepStrictEqual(
        turn.links.map(({ attributes, spanId, traceId }) => [traceId, spanId, attributes["rspp.link"]]),
        [[turn.traceId, turns[at - 1]?.spanId, "previous_turn"]]
      )
    }
  })

  it("has the ids of session, tenant and pipeline on every span, of turn and epoch below the session", () => {
    const [session] = named("session")
    for (const { attributes, name, parentSpanId } of receiver.spans) {
      for (const id of ["session.id", "rspp.tenant.id", "rspp.pipeline.version"]) {
        assert.strictEqual(attributes[id], session?.attributes[id], `${name} ${id}`)
      }
      if (name === "session") continue
      assert.strictEqual(attributes["rspp.authority_epoch"], 1)
      // A recogniser that heard no turn is called below the session.
      if (parentSpanId !== session?.spanId || name === "turn") {
        assert.match(String(attributes["rspp.turn.id"]), /^turn_\d$/u)
      }
    }
  })

  it("calls the model by the conventions for generative AI", () => {
    const [call] = named("llm embedded/rules")
    assert.strictEqual(call?.attributes["gen_ai.operation.name"], "chat")
    assert.strictEqual(call?.attributes["gen_ai.provider.name"], "embedded")
    assert.strictEqual(call?.attributes["gen_ai.conversation.id"], "ses_shipped")
    assert.isTrue(call?.attributes["gen_ai.request.stream"])
    assert.isTrue(
      named("stt embedded/moonshine").every(({ attributes }) =>
        Object.keys(attributes).every((key) => !key.startsWith("gen_ai"))
      )
    )
  })

  it("measures what the catalogue names, in its units, and nothing else", () => {
    const entries = new Map(metricEntries.map((entry) => [entry.name, entry]))
    for (const { kind, name, points, unit } of receiver.metrics) {
      const entry = entries.get(name)
      assert.deepStrictEqual([name, kind, unit], [name, entry?.kind, entry?.unit])
      for (const { attributes } of points) {
        assert.sameMembers(Object.keys(attributes), Object.keys(entry?.labels ?? {}), name)
      }
    }
    const points = (name: string) => receiver.metrics.filter((metric) => metric.name === name).at(-1)?.points ?? []
    const value = (name: string, labels: Readonly<Record<string, string>> = {}) =>
      points(name).filter(({ attributes }) =>
        Object.entries(labels).every(([label, value]) => attributes[label] === value)
      ).reduce((sum, point) => sum + (point.count || point.value), 0)
    assert.strictEqual(value("rspp_sessions_total", { outcome: "ended" }), 1)
    assert.strictEqual(value("rspp_sessions_open"), 0)
    assert.strictEqual(value("rspp_turns_total", { outcome: "committed" }), 3)
    assert.strictEqual(value("rspp_turns_total", { outcome: "aborted", reason: "cancelled" }), 1)
    assert.strictEqual(value("rspp_turns_refused_total", { outcome: "reject" }), 1)
    assert.strictEqual(value("rspp_turn_open_latency_ms"), 4)
    assert.strictEqual(value("rspp_first_output_latency_ms"), 4)
    assert.strictEqual(value("rspp_cancel_latency_ms"), 1)
    assert.strictEqual(value("rspp_response_latency_ms"), 4)
    assert.strictEqual(value("rspp_kernel_overhead_ms"), 4)
    for (
      const stage of [
        "endpointing",
        "open",
        "model_first_token",
        "first_segment",
        "voice_first_chunk",
        "egress",
        "playback"
      ]
    ) {
      assert.strictEqual(value("rspp_stage_latency_ms", { stage }), 4, stage)
    }
    for (
      const name of [
        "rspp_stale_epoch_outputs_accepted_total",
        "rspp_evidence_incomplete_total",
        "rspp_telemetry_dropped_total"
      ]
    ) {
      assert.isAbove(points(name).length, 0)
      assert.strictEqual(value(name), 0, name)
    }
    const calls = receiver.spans.filter(({ kind }) => kind === "SPAN_KIND_CLIENT")
    assert.strictEqual(value("rspp_provider_calls_total"), calls.length)
    assert.strictEqual(value("rspp_provider_rtt_ms", { modality: "llm" }), 4)
  })

  it("is logged, each record with the ids of its trace", () => {
    const [session] = named("session")
    const events = receiver.logs.map(({ attributes }) => String(attributes["event.name"]))
    assert.strictEqual(events[0], "rspp.session.started")
    assert.strictEqual(events.at(-1), "rspp.session.ended")
    assert.strictEqual(events.filter((event) => event === "rspp.turn.ended").length, 4)
    assert.strictEqual(events.filter((event) => event === "rspp.turn.refused").length, 1)
    const spans = new Map(receiver.spans.map((span) => [span.spanId, span]))
    for (const { attributes, spanId, traceId } of receiver.logs) {
      assert.strictEqual(traceId, session?.traceId)
      assert.strictEqual(attributes["session.id"], "ses_shipped")
      const span = spans.get(spanId)
      assert.isDefined(span)
      if (span?.name === "turn") assert.strictEqual(attributes["rspp.turn.id"], span.attributes["rspp.turn.id"])
    }
  })

  it("leaves its words at home", () => {
    const said = saidIn(demo.stdout).filter((word) => !ownWords.has(word))
    assert.isAbove(said.length, 10)
    const sent = receiver.requests.map(({ body }) => body.toString("latin1").toLowerCase()).join("\n")
    assert.deepStrictEqual(said.filter((word) => new RegExp(`(?<![a-z_.])${word}(?![a-z_.])`, "u").test(sent)), [])
  })
})
