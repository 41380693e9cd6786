// The rules of a provider's circuit (B1 to B5), as examples and as laws over drawn histories.
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import type { Breaker, CircuitState, HealthOptions, ProviderCalls } from "../src/CircuitBreaker.ts"
import {
  asked,
  bucketMs,
  defaultHealthOptions,
  heard,
  isLeft,
  newBreaker,
  stateOf,
  windowOf
} from "../src/CircuitBreaker.ts"
import { judgedCall } from "../src/JudgedCall.ts"
import { addLatencies, latencyBoundsMs, latencyOf, latencySpans, quantileMs } from "../src/LatencyHistogram.ts"
import { boundProviders, maxBreakers, ProviderWindows } from "../src/ProviderWindows.ts"
import { callFacts } from "./support/CallFacts.ts"

const options = defaultHealthOptions
const calls = (succeeded: number, failed: number, slow = 0): ProviderCalls => ({ succeeded, failed, slow, latency: [] })

/** What comes of reports, each at its time. */
const after = (history: ReadonlyArray<readonly [atMs: number, ProviderCalls]>, from: Breaker = newBreaker): Breaker =>
  history.reduce((breaker, [atMs, report]) => heard(breaker, report, atMs), from)

const start = 1_000_000
const opened = after([[start, calls(0, 10)]])

describe("a provider's circuit", () => {
  it("opens from ten calls on, half of which failed, and not before (B1)", () => {
    assert.strictEqual(after([[start, calls(0, 9)]]).circuit.state, "closed")
    assert.strictEqual(after([[start, calls(6, 5)]]).circuit.state, "closed")
    assert.deepInclude(after([[start, calls(5, 5)]]).circuit, { state: "open", because: "failures" })
    assert.strictEqual(after([[start, calls(0, 5)], [start + 59_000, calls(0, 5)]]).circuit.state, "open")
    assert.strictEqual(after([[start, calls(0, 5)], [start + 65_000, calls(0, 5)]]).circuit.state, "closed")
  })

  it("opens for slowness too, and only for those who have another provider", () => {
    const { circuit } = after([[start, calls(8, 2, 3)]])
    assert.deepInclude(circuit, { state: "open", because: "slow" })
    assert.deepStrictEqual([isLeft(circuit, true), isLeft(circuit, false)], [true, false])
    assert.deepStrictEqual([isLeft(opened.circuit, true), isLeft(opened.circuit, false)], [true, true])
    assert.strictEqual(after([[start, calls(8, 2, 2)]]).circuit.state, "closed")
  })

  it("stays open for the cool-down after the last failure, whatever goes well meanwhile (B2)", () => {
    const still = after([[start + 19_000, calls(100, 0)]], opened)
    assert.strictEqual(stateOf(still.circuit, start + 19_999), "open")
    assert.strictEqual(stateOf(still.circuit, start + 20_000), "half_open")
    const failedAgain = after([[start + 19_000, calls(100, 1)]], opened)
    assert.strictEqual(stateOf(failedAgain.circuit, start + 38_999), "open")
  })

  it("is decided by the first that is heard while it is half-open (B3)", () => {
    const failed = after([[start + 20_000, calls(1, 1)]], opened)
    assert.strictEqual(stateOf(failed.circuit, start + 20_000), "open")
    const closed = after([[start + 20_000, calls(1, 0)]], opened)
    assert.strictEqual(closed.circuit.state, "closed")
    // the failures that it was opened for are over
    assert.strictEqual(after([[start + 21_000, calls(0, 1)]], closed).circuit.state, "closed")
    const slow = after([[start, calls(10, 0, 10)]])
    assert.strictEqual(stateOf(after([[start + 20_000, calls(2, 0, 2)]], slow).circuit, start + 20_000), "open")
    assert.strictEqual(after([[start + 20_000, calls(2, 0, 1)]], slow).circuit.state, "closed")
  })

  it("is decided by nothing that says nothing of the provider", () => {
    assert.deepStrictEqual(after([[start + 20_000, calls(0, 0)]], opened), opened)
    for (const outcome of ["cancelled", "blocked"] as const) {
      assert.isUndefined(judgedCall(callFacts("a", outcome), 4000))
    }
  })

  it("stays half-open until somebody has tried: a provider that is down for an hour never closes by itself", () => {
    assert.strictEqual(stateOf(opened.circuit, start + 3_600_000), "half_open")
  })

  it("gives trials to one session at a time, and goes round (B4, B5)", () => {
    let { circuit } = opened
    const ask = (session: string, atMs: number): CircuitState => {
      const answer = asked(circuit, session, start + atMs)
      circuit = answer.circuit
      return answer.state
    }
    assert.strictEqual(ask("a", 19_000), "open")
    assert.deepStrictEqual(["b", "a", "b"].map((one) => ask(one, 20_000)), ["half_open", "open", "half_open"])
    assert.deepStrictEqual(["a", "b", "c"].map((one) => ask(one, 40_000)), ["open", "open", "open"])
    // settled: the next in order; who has had it waits until the others had time to ask
    assert.deepStrictEqual(["a", "b", "d", "c"].map((one) => ask(one, 50_000)), ["open", "open", "half_open", "open"])
    assert.deepStrictEqual(["d", "a"].map((one) => ask(one, 84_999)), ["open", "open"])
    assert.deepStrictEqual(["d", "a"].map((one) => ask(one, 85_000)), ["half_open", "open"])
  })
})

const Event = Schema.Struct({
  afterMs: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 30_000 })),
  session: Schema.Literals(["a", "b", "c", "d"]),
  succeeded: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 12 })),
  failed: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 12 })),
  slow: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 12 })),
  kind: Schema.Literals(["report", "ask"])
})
type Event = typeof Event.Type
const History = Schema.Array(Event).check(Schema.isMaxLength(120))

type Heard = typeof heard
type Asked = typeof asked

/** What a history breaks of the rules; the rules are held to it as they are written, by other means. */
const brokenBy = (
  history: ReadonlyArray<Event>,
  rules: { readonly heard: Heard; readonly asked: Asked } = { heard, asked },
  of: HealthOptions = options
): ReadonlyArray<string> => {
  const broken: Array<string> = []
  let breaker = newBreaker
  let now = start
  let lastFailure = -Infinity
  let begun = start
  const reports: Array<{ readonly atMs: number; readonly bad: number; readonly all: number }> = []
  let trial: { readonly session: string; readonly fromMs: number } | undefined
  for (const event of history) {
    now += event.afterMs
    const before = stateOf(breaker.circuit, now, of)
    if (event.kind === "report") {
      const { failed, succeeded } = event
      const slow = Math.min(event.slow, succeeded)
      breaker = rules.heard(breaker, { succeeded, failed, slow, latency: [] }, now, of)
      if (succeeded + failed > 0) reports.push({ atMs: now, bad: failed + slow, all: failed + succeeded })
      if (failed > 0) lastFailure = now
      const state = stateOf(breaker.circuit, now, of)
      if (before === "closed" && state === "open") {
        // every report that may still be in a window, since the window began: more than that is never counted
        const recent = reports.filter(({ atMs }) => atMs >= begun && atMs > now - of.windowMs - bucketMs)
        const all = recent.reduce((sum, report) => sum + report.all, 0)
        const [bad] = [recent.reduce((sum, report) => sum + report.bad, 0)]
        if (all < of.minCalls) broken.push("B1: opened by too few calls")
        if (bad === 0) broken.push("B1: opened by calls that went well")
      }
      if (before === "open" && state === "closed") broken.push("B2: closed within the cool-down")
      if (before === "half_open" && failed > 0 && state !== "open") broken.push("B3: a failed trial does not open it")
      if (before !== "closed" && state === "closed") {
        begun = now
        trial = undefined
        if (windowOf(breaker.buckets, now, of).failed > 0) broken.push("B3: the window does not begin anew")
      }
      if (state === "open" && before !== "open") trial = undefined
      if (breaker.buckets.length > of.windowMs / bucketMs + 1) broken.push("the window grows")
    } else {
      const { circuit, state } = rules.asked(breaker.circuit, event.session, now, of)
      breaker = { ...breaker, circuit }
      if (state === "half_open") {
        if (now - lastFailure < of.coolDownMs) broken.push("B2: tried within the cool-down")
        const other = trial !== undefined && trial.session !== event.session
        if (other && now < (trial?.fromMs ?? 0) + of.trialMs + of.settleMs) broken.push("B4: two sessions try at once")
        if (trial === undefined || other || now >= trial.fromMs + of.trialMs) {
          trial = { session: event.session, fromMs: now }
        }
      }
      if (before === "closed" && state !== "closed") broken.push("asking opened it")
    }
  }
  return broken
}

describe("the laws of circuits", () => {
  it.prop("hold for any history of reports and questions", [History], ([history]) => {
    assert.deepStrictEqual(brokenBy(history), [])
  }, { arbitrary: { runs: 500 } })

  const history = (...events: ReadonlyArray<Partial<Event>>): ReadonlyArray<Event> =>
    events.map((event) => ({ afterMs: 0, session: "a", succeeded: 0, failed: 0, slow: 0, kind: "ask", ...event }))
  const failures: Partial<Event> = { kind: "report", failed: 10 }

  it.each<readonly [string, string, ReadonlyArray<Event>, { readonly heard?: Heard; readonly asked?: Asked }]>([
    ["opens by too few", "B1", history({ kind: "report", failed: 1 }), {
      heard: (breaker, report, now) => heard(breaker, report, now, { ...options, minCalls: 1 })
    }],
    ["closes by a success that comes early", "B2", history(failures, { afterMs: 5000, kind: "report", succeeded: 1 }), {
      heard: (breaker, report, now) => report.succeeded > 0 ? newBreaker : heard(breaker, report, now)
    }],
    ["is tried before it has cooled down", "B2", history(failures, { afterMs: 15_000 }), {
      asked: (circuit, session, now) => asked(circuit, session, now, { ...options, coolDownMs: 10_000 })
    }],
    [
      "keeps its old window when it closes",
      "B3",
      history(failures, { afterMs: 20_000, kind: "report", succeeded: 1 }),
      {
        heard: (breaker, report, now) => ({
          circuit: heard(breaker, report, now).circuit,
          buckets: [...breaker.buckets, { bucket_ms: now - now % bucketMs, ...report }]
        })
      }
    ],
    ["is tried by whoever asks", "B4", history(failures, { afterMs: 20_000 }, { session: "b" }), {
      asked: (circuit, _session, now) => ({ circuit, state: stateOf(circuit, now) })
    }],
    ["is tried by the next at once", "B4", history(failures, { afterMs: 20_000 }, { afterMs: 20_000, session: "b" }), {
      asked: (circuit, session, now) => asked(circuit, session, now, { ...options, settleMs: 0 })
    }]
  ])("are broken by a circuit that %s", (_name, law, given, planted) => {
    assert.isTrue(
      brokenBy(given, { heard, asked, ...planted }).some((what) => what.startsWith(law)),
      `nobody noticed: ${JSON.stringify(brokenBy(given, { heard, asked, ...planted }))}`
    )
    assert.deepStrictEqual(brokenBy(given), [])
  })
})

describe("a histogram of latencies", () => {
  const Latencies = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20_000 }))).check(
    Schema.isMinLength(1),
    Schema.isMaxLength(200)
  )
  const counted = (all: ReadonlyArray<number>) => all.map(latencyOf).reduce(addLatencies)

  it.prop("has its quantiles in the span of the real ones", [Latencies], ([all]) => {
    const counts = counted(all)
    assert.lengthOf(counts, latencySpans)
    const sorted = [...all].sort((a, b) => a - b)
    for (const q of [0.5, 0.95]) {
      const real = sorted[Math.max(0, Math.ceil(q * all.length) - 1)] ?? 0
      const span = latencyOf(real).indexOf(1)
      const said = quantileMs(counts, q) ?? -1
      assert.isAtLeast(said, latencyBoundsMs[span - 1] ?? 0)
      assert.isAtMost(said, latencyBoundsMs[span] ?? latencyBoundsMs[span - 1] ?? 0)
    }
  })

  it("has none where nothing was measured", () => {
    assert.isUndefined(quantileMs([], 0.5))
    assert.deepStrictEqual(addLatencies([], latencyOf(60)), latencyOf(60))
  })
})

describe("the breakers of a process", () => {
  it("keep tenants apart, are bounded, and count what had to go", () => {
    const windows = new ProviderWindows()
    assert.isTrue(windows.heard("t", "p0", calls(0, 10), start))
    assert.isFalse(windows.heard("t", "p1", calls(3, 0), start))
    const of = (tenant: string, now: number, session_id = "s") =>
      windows.statesFor(tenant, { session_id, bindings: { llm: "p0" } }, now)["p0"]
    assert.deepStrictEqual([of("t", start), of("u", start)], ["open", "closed"])
    assert.deepStrictEqual([of("t", start + 20_000), of("t", start + 20_000, "z")], ["half_open", "open"])
    // the session is over: another need not wait for its trial to be
    windows.released("t", { session_id: "s", bindings: { llm: "p0" } })
    assert.strictEqual(of("t", start + 20_000, "z"), "half_open")
    for (let i = 2; i < maxBreakers + 2; i++) windows.heard("t", `p${i}`, calls(1, 0), start)
    assert.deepStrictEqual([windows.forgotten, of("t", start)], [2, "closed"])
  })

  it("know who could be done without", () => {
    assert.deepStrictEqual(boundProviders({ llm: "a", "llm.fallback": "b", tts: "c", "tts.fallback": "c", stt: "d" }), [
      { provider_id: "a", replaceable: true },
      { provider_id: "b", replaceable: false },
      { provider_id: "c", replaceable: false },
      { provider_id: "d", replaceable: false }
    ])
  })
})
