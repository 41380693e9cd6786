import { divergenceClasses } from "@rspp/contracts/Divergence"
import type { DivergenceClass } from "@rspp/contracts/Divergence"
import { schemaVersion } from "@rspp/contracts/Identity"
import type {
  ExpectedDivergence,
  InvocationLatencyThreshold,
  ReplayExpectation,
  TurnLatencyThresholds
} from "@rspp/contracts/ReplayExpectation"
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { criticalPaths } from "../latency/CriticalPath.ts"
import type { TurnPath } from "../latency/TurnPath.ts"
import { kernelTime, pathStages, turnLatencies } from "../latency/TurnPath.ts"
import type { ReplayDivergence } from "./DivergenceClassifier.ts"
import { divergenceOf } from "./DivergenceClassifier.ts"
import { maxDivergences } from "./StrictReplay.ts"

/** What the gate needs of a divergence; the class is any text, because what it does not know fails. */
export interface GatedDivergence {
  readonly divergence_class: string
  readonly scope: string
  readonly message: string
  readonly timing_difference_ms?: number
  /** A latency that was recorded is over the fixture's own threshold, which is its tolerance. */
  readonly past_threshold?: boolean
}

/** Why something passes or does not: the rules of CONTRACT section 7. */
export type GateRule =
  | "authority_always_fails"
  | "plan_unexpected"
  | "outcome_unexpected"
  | "ordering_unexpected"
  | "ordering_not_approved"
  | "timing_past_tolerance"
  | "timing_unknown"
  | "invocation_past_threshold"
  | "turn_past_threshold"
  | "expected_did_not_appear"
  | "unknown_class"
  | "too_many"

/** One reason for which a recording does not pass. */
export interface GateFailure {
  readonly rule: GateRule
  readonly divergence_class: string
  readonly scope: string
  readonly message: string
}

export interface GateVerdict {
  readonly passes: boolean
  readonly failures: ReadonlyArray<GateFailure>
  /** Divergences that were found and pass: they are expected, or within the tolerance. */
  readonly accepted: number
}

/** Scope of a call that took too long; the threshold is its tolerance. */
const invocationScope = "invocation:"

/** The expectation of a recording that comes without one. */
export const nothingExpected: ReplayExpectation = {
  schema_version: schemaVersion,
  expected_divergences: [],
  approved: false
}

const isKnown = (name: string): name is DivergenceClass => divergenceClasses.some((known) => known === name)

/** The rule that a divergence breaks, and the sentence for it; undefined when it passes. */
const broken = (
  divergence: GatedDivergence,
  expectation: ReplayExpectation
): readonly [rule: GateRule, message: string] | undefined => {
  const { divergence_class, message, scope, timing_difference_ms } = divergence
  if (!isKnown(divergence_class)) return ["unknown_class", `${divergence_class} is no class of divergence: ${message}`]
  const expected = expectation.expected_divergences.some((one) =>
    one.divergence_class === divergence_class && one.scope === scope
  )
  const tolerance = expectation.timing_tolerance_ms ?? 0
  switch (divergence_class) {
    case "AUTHORITY_DIVERGENCE":
      return ["authority_always_fails", message]
    case "PLAN_DIVERGENCE":
      return expected ? undefined : ["plan_unexpected", message]
    case "OUTCOME_DIVERGENCE":
      return expected ? undefined : ["outcome_unexpected", message]
    case "ORDERING_DIVERGENCE":
      if (!expected) return ["ordering_unexpected", message]
      return expectation.approved
        ? undefined
        : ["ordering_not_approved", `expected, but nobody approved it: ${message}`]
    case "TIMING_DIVERGENCE":
      if (scope.startsWith(invocationScope)) return ["invocation_past_threshold", message]
      if (divergence.past_threshold === true) return ["turn_past_threshold", message]
      if (timing_difference_ms === undefined) return ["timing_unknown", `by how much is unknown: ${message}`]
      return timing_difference_ms <= tolerance
        ? undefined
        : ["timing_past_tolerance", `${timing_difference_ms} ms, ${tolerance} ms are allowed: ${message}`]
  }
}

/**
 * Decides whether what a replay found may be: the gate policy of CONTRACT section 7.
 *
 * Authority always fails; plan and outcome unless expected; ordering unless expected and approved; timing past the
 * tolerance, or by an unknown distance; an expected divergence that did not appear; an unknown class. More divergences
 * than are listed fail too: nobody can know what the others are. Pure.
 */
export const judge = (
  divergences: ReadonlyArray<GatedDivergence>,
  expectation: ReplayExpectation = nothingExpected
): GateVerdict => {
  const failures: Array<GateFailure> = []
  for (const divergence of divergences) {
    const found = broken(divergence, expectation)
    if (found === undefined) continue
    const { divergence_class, scope } = divergence
    failures.push({ rule: found[0], divergence_class, scope, message: found[1] })
  }
  const accepted = divergences.length - failures.length
  for (const { divergence_class, scope } of missing(divergences, expectation)) {
    const message = `${divergence_class} of ${scope} was expected and did not appear`
    failures.push({ rule: "expected_did_not_appear", divergence_class, scope, message })
  }
  if (divergences.length >= maxDivergences) {
    const message = `there are ${maxDivergences} divergences or more; those behind them were not looked for`
    failures.push({ rule: "too_many", divergence_class: "any", scope: "session", message })
  }
  return { passes: failures.length === 0, failures, accepted }
}

const missing = (
  divergences: ReadonlyArray<GatedDivergence>,
  { expected_divergences }: ReplayExpectation
): ReadonlyArray<ExpectedDivergence> =>
  expected_divergences.filter((expected) =>
    !divergences.some(({ divergence_class, scope }) =>
      divergence_class === expected.divergence_class && scope === expected.scope
    )
  )

/**
 * The recorded calls of providers that took longer than the fixture allows, as TIMING divergences of scope
 * `invocation:ID`; no other tolerance counts for them.
 */
export const slowInvocations = (
  records: ReadonlyArray<TimelineRecord>,
  thresholds: ReadonlyArray<InvocationLatencyThreshold>
): ReadonlyArray<ReplayDivergence> => {
  const found: Array<ReplayDivergence> = []
  for (const record of records) {
    if (record.record !== "invocation") continue
    const { final_latency_ms, modality, provider_invocation_id, total_latency_ms } = record.invocation
    const latencies = { final_latency_ms, total_latency_ms }
    for (const threshold of thresholds) {
      if (threshold.modality !== undefined && threshold.modality !== modality) continue
      for (const name of ["final_latency_ms", "total_latency_ms"] as const) {
        const bound = threshold[name]
        if (bound === undefined || latencies[name] <= bound || found.length >= maxDivergences) continue
        const message = `${modality} call ${provider_invocation_id}: ${name} is ${
          latencies[name]
        }, ${bound} are allowed`
        const step = { sequence: record.runtime_sequence, atMs: record.runtime_timestamp_ms }
        found.push({
          ...divergenceOf("TIMING_DIVERGENCE", message, step, record),
          scope: `${invocationScope}${provider_invocation_id}`
        })
      }
    }
  }
  return found
}

/** A turn that took longer than the fixture allows. */
export interface SlowTurn extends ReplayDivergence {
  readonly past_threshold: true
}

/**
 * The recorded turns that took longer than the fixture allows, by their critical path, as TIMING divergences of scope
 * `turn:ID`; no other tolerance counts for them. What a turn did not reach is not held against it.
 */
export const slowTurns = (
  records: ReadonlyArray<TimelineRecord>,
  thresholds: TurnLatencyThresholds | undefined
): ReadonlyArray<SlowTurn> => {
  if (thresholds === undefined) return []
  const found: Array<SlowTurn> = []
  for (const path of criticalPaths(records)) {
    if (path.at.open_ms === undefined) continue
    for (const [name, ms, bound] of measured(path, thresholds)) {
      if (ms === undefined || bound === undefined || ms <= bound || found.length >= maxDivergences) continue
      const at = records.findIndex((record) =>
        record.record === "signal" && record.signal.signal === "turn_open" && record.signal.turn_id === path.turn_id
      )
      const record = records[at]
      if (record?.record !== "signal") continue
      const step = { sequence: record.signal.runtime_sequence, atMs: record.signal.runtime_timestamp_ms }
      const message = `${path.turn_id}: ${name} is ${ms}, ${bound} are allowed`
      found.push({
        ...divergenceOf("TIMING_DIVERGENCE", message, step, record),
        scope: `turn:${path.turn_id}`,
        past_threshold: true
      })
    }
  }
  return found
}

const measured = (
  path: TurnPath,
  thresholds: TurnLatencyThresholds
): ReadonlyArray<readonly [name: string, ms: number | undefined, bound: number | undefined]> => {
  const latencies = turnLatencies(path)
  return [
    ["turn_open_ms", latencies.turn_open_ms, thresholds.turn_open_ms],
    ["first_output_ms", latencies.first_output_ms, thresholds.first_output_ms],
    ["cancel_fence_ms", latencies.cancel_fence_ms, thresholds.cancel_fence_ms],
    ["response_ms", latencies.response_ms, thresholds.response_ms],
    ["kernel_ms", kernelTime(path), thresholds.kernel_ms],
    ...pathStages.map((stage) => [`stages.${stage}`, path.stages[stage]?.ms, thresholds.stages?.[stage]] as const)
  ]
}
