// The gate over divergences (CONTRACT section 7): a planted violation turns each class and each rule red.
import { assert, describe, it, layer } from "@effect/vitest"
import type { DivergenceClass } from "@rspp/contracts/Divergence"
import type { ReplayExpectation, TurnLatencyThresholds } from "@rspp/contracts/ReplayExpectation"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { runSeed } from "@rspp/simulation/Run"
import { criticalPaths } from "@rspp/timeline/latency/CriticalPath"
import { kernelTime, pathStages, turnLatencies } from "@rspp/timeline/latency/TurnPath"
import type { ReplayTimeline } from "@rspp/timeline/replay/Replayer"
import { Replayer } from "@rspp/timeline/replay/Replayer"
import type { GateRule } from "@rspp/timeline/replay/ReplayGate"
import { judge, nothingExpected, slowInvocations, slowTurns } from "@rspp/timeline/replay/ReplayGate"
import { maxDivergences } from "@rspp/timeline/replay/StrictReplay"
import { Effect, Layer } from "effect"
import { changed, changedSignal } from "../support/Planted.ts"

/** A simulated session, with its faults, in which a turn was committed. */
const recording: ReplayTimeline = (() => {
  for (let seed = 1; seed < 40; seed++) {
    for (const { header, records } of runSeed(seed, { replay: false, check: () => [] }).sessions) {
      const commits = records.filter((record) => record.record === "signal" && record.signal.signal === "commit")
      if (header !== undefined && commits.length > 1) return { header, records }
    }
  }
  throw new Error("no seed commits two turns")
})()

const turnOf = (name: string): string => {
  for (const record of recording.records) {
    if (record.record === "signal" && record.signal.signal === name) return `turn:${record.signal.turn_id}`
  }
  throw new Error(`there is no ${name}`)
}

const swapped = (): ReplayTimeline => {
  const records = [...recording.records]
  const at = records.findIndex((record) => record.record === "signal" && record.signal.signal === "turn_open")
  const [a, b] = [records[at], records[at + 1]]
  if (a === undefined || b === undefined) throw new Error("nothing to swap")
  records.splice(at, 2, b, a)
  return { ...recording, records }
}

/** The time of a commit, later by so much. */
const later = (ms: number): ReplayTimeline =>
  changed(recording, "signal", ({ signal }) => signal.signal === "commit", (record) => ({
    ...record,
    signal: { ...record.signal, runtime_timestamp_ms: record.signal.runtime_timestamp_ms + ms }
  }))

const withoutTime = (): ReplayTimeline =>
  changed(recording, "invocation", ({ invocation }) => invocation.first_result_ms !== undefined, (record) => {
    const { first_result_ms: _, ...invocation } = record.invocation
    return { ...record, invocation }
  })

const expecting = (
  more: Partial<ReplayExpectation>,
  ...expected: ReadonlyArray<readonly [DivergenceClass, string]>
): ReplayExpectation => ({
  ...nothingExpected,
  expected_divergences: expected.map(([divergence_class, scope]) => ({ divergence_class, scope })),
  ...more
})

const outcome = () => changedSignal(recording, "commit", { reason: "so" })
const plan = () =>
  changed(recording, "plan", () => true, (record) => ({
    ...record,
    plan: { ...record.plan, plan_hash: "0".repeat(64) }
  }))
const authority = () => changedSignal(recording, "turn_open", { authority_epoch: 7 })
const commit = turnOf("commit")
const open = turnOf("turn_open")

interface Case {
  readonly what: string
  readonly timeline: () => ReplayTimeline
  readonly expectation: ReplayExpectation
  /** The rules that fail; none: it passes. */
  readonly rules: ReadonlyArray<GateRule>
}

const cases: ReadonlyArray<Case> = [
  { what: "nothing differs, nothing is expected", timeline: () => recording, expectation: nothingExpected, rules: [] },
  {
    what: "authority, whatever is expected and approved",
    timeline: authority,
    expectation: expecting({ approved: true, timing_tolerance_ms: 9999 }, ["AUTHORITY_DIVERGENCE", open]),
    rules: ["authority_always_fails"]
  },
  { what: "plan, unexpected", timeline: plan, expectation: nothingExpected, rules: ["plan_unexpected"] },
  {
    what: "plan, expected",
    timeline: plan,
    expectation: expecting({}, ["PLAN_DIVERGENCE", open]),
    rules: []
  },
  { what: "outcome, unexpected", timeline: outcome, expectation: nothingExpected, rules: ["outcome_unexpected"] },
  {
    what: "outcome, expected",
    timeline: outcome,
    expectation: expecting({}, ["OUTCOME_DIVERGENCE", commit]),
    rules: []
  },
  {
    what: "outcome, expected of another turn",
    timeline: outcome,
    expectation: expecting({}, ["OUTCOME_DIVERGENCE", "turn:turn_99"]),
    rules: ["outcome_unexpected", "expected_did_not_appear"]
  },
  {
    what: "ordering, unexpected",
    timeline: swapped,
    expectation: expecting({ approved: true }),
    rules: ["ordering_unexpected"]
  },
  {
    what: "ordering, expected but not approved",
    timeline: swapped,
    expectation: expecting({}, ["ORDERING_DIVERGENCE", open]),
    rules: ["ordering_not_approved"]
  },
  {
    what: "ordering, expected and approved",
    timeline: swapped,
    expectation: expecting({ approved: true }, ["ORDERING_DIVERGENCE", open]),
    rules: []
  },
  {
    what: "timing, without a tolerance",
    timeline: () => later(1),
    expectation: nothingExpected,
    rules: ["timing_past_tolerance"]
  },
  {
    what: "timing, at the tolerance",
    timeline: () => later(20),
    expectation: expecting({ timing_tolerance_ms: 20 }),
    rules: []
  },
  {
    what: "timing, past the tolerance, even where it is expected",
    timeline: () => later(21),
    expectation: expecting({ timing_tolerance_ms: 20 }, ["TIMING_DIVERGENCE", commit]),
    rules: ["timing_past_tolerance"]
  },
  {
    what: "timing, by an unknown distance",
    timeline: withoutTime,
    expectation: expecting({ timing_tolerance_ms: 9999 }),
    rules: ["timing_unknown"]
  },
  {
    what: "an expected divergence that does not appear",
    timeline: () => recording,
    expectation: expecting({ approved: true }, ["OUTCOME_DIVERGENCE", commit]),
    rules: ["expected_did_not_appear"]
  }
]

describe("the gate over a simulated recording", () => {
  layer(Layer.mergeAll(Replayer.layer, SessionKernel.layer))((it) => {
    for (const { expectation, rules, timeline, what } of cases) {
      it.effect(`${rules.length === 0 ? "passes" : "fails"}: ${what}`, () =>
        Effect.gen(function*() {
          const { divergences = [] } = yield* (yield* Replayer).replay(timeline())
          const verdict = judge(divergences, expectation)
          assert.deepStrictEqual(
            [...new Set(verdict.failures.map(({ rule }) => rule))],
            [...rules],
            JSON.stringify(verdict.failures)
          )
          assert.strictEqual(verdict.passes, rules.length === 0)
        }))
    }

    it.effect("fails: more divergences than can be listed, all of them expected", () =>
      Effect.gen(function*() {
        const records = recording.records.map((record) =>
          record.record === "command" ? { ...record, runtime_timestamp_ms: record.runtime_timestamp_ms + 1 } : record
        )
        const { divergences = [] } = yield* (yield* Replayer).replay({ ...recording, records })
        assert.strictEqual(divergences.length, maxDivergences)
        const { failures } = judge(divergences, expecting({ timing_tolerance_ms: 1 }))
        assert.deepStrictEqual(failures.map(({ rule }) => rule), ["too_many"])
      }))
  })
})

describe("the gate", () => {
  it("fails: a class that it does not know, even where it is expected", () => {
    const unknown = { divergence_class: "NOISE_DIVERGENCE", scope: "session", message: "it hums" }
    const { failures } = judge([unknown], expecting({ approved: true, timing_tolerance_ms: 9999 }))
    assert.deepStrictEqual(failures.map(({ rule }) => rule), ["unknown_class"])
  })

  it("fails: calls of providers that took longer than the fixture allows", () => {
    const calls = recording.records.flatMap((record) => record.record === "invocation" ? [record.invocation] : [])
    const longest = Math.max(...calls.map(({ total_latency_ms }) => total_latency_ms))
    assert.isAtLeast(longest, 1)
    assert.deepStrictEqual(slowInvocations(recording.records, [{ total_latency_ms: longest }]), [])
    const slow = slowInvocations(recording.records, [{ total_latency_ms: longest - 1 }])
    assert.isAtLeast(slow.length, 1)
    const { failures } = judge(slow, expecting({ timing_tolerance_ms: 99_999 }))
    assert.deepStrictEqual([...new Set(failures.map(({ rule }) => rule))], ["invocation_past_threshold"])
    const llm = calls.filter(({ modality }) => modality === "llm")
    const least = slowInvocations(recording.records, [{ modality: "llm", final_latency_ms: 0 }])
    assert.strictEqual(least.length, llm.filter(({ final_latency_ms }) => final_latency_ms > 0).length)
  })

  const paths = criticalPaths(recording.records).filter(({ at }) => at.open_ms !== undefined)
  const latencies = (["turn_open_ms", "first_output_ms", "cancel_fence_ms", "response_ms"] as const).map((name) => ({
    name: name as string,
    values: paths.map((path) => turnLatencies(path)[name]),
    threshold: (ms: number): TurnLatencyThresholds => ({ [name]: ms })
  }))
  const stages = pathStages.map((stage) => ({
    name: `stages.${stage}`,
    values: paths.map((path) => path.stages[stage]?.ms),
    threshold: (ms: number): TurnLatencyThresholds => ({ stages: { [stage]: ms } })
  }))
  const kernel = { name: "kernel_ms", values: paths.map(kernelTime), threshold: (kernel_ms: number) => ({ kernel_ms }) }
  const measured = [...latencies, ...stages, kernel].map(({ name, threshold, values }) => ({
    name,
    threshold,
    most: Math.max(-1, ...values.filter((ms) => ms !== undefined))
  }))

  it("has turns in its recording that took time in more ways than one", () => {
    assert.isAtLeast(measured.filter(({ most }) => most > 0).length, 5)
  })

  for (const { most, name, threshold } of measured.filter((one) => one.most > 0)) {
    it(`fails: a turn whose ${name} is over the fixture's threshold, and passes at it`, () => {
      assert.deepStrictEqual(slowTurns(recording.records, threshold(most)), [])
      const slow = slowTurns(recording.records, threshold(most - 1))
      assert.isAtLeast(slow.length, 1)
      const { failures } = judge(slow, expecting({ timing_tolerance_ms: 99_999 }))
      assert.deepStrictEqual([...new Set(failures.map(({ rule }) => rule))], ["turn_past_threshold"])
      assert.match(
        failures[0]?.message ?? "",
        new RegExp(`^turn_[0-9]+: ${name} is ${most}, ${most - 1} are allowed$`, "u")
      )
    })
  }
})
