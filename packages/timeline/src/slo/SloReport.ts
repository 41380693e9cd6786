import { schemaVersion } from "@rspp/contracts/Identity"
import type { PathStage, StageTime } from "../latency/TurnPath.ts"
import { pathStages } from "../latency/TurnPath.ts"
import type { Spread } from "./Percentile.ts"
import { nearestRank, spreadOf } from "./Percentile.ts"
import type { LatencyBound, LatencyGate, SloBounds, SloGate } from "./SloGates.ts"
import { contractBounds, gateMeanings } from "./SloGates.ts"
import type { SloTimeline, SloTurn } from "./SloTimeline.ts"

/** `not_run`: there was no sample, so nothing is known. Never a pass. */
export type SloVerdict = "pass" | "fail" | "not_run"

/** Where something was measured, or found wrong. */
export interface SloFinding {
  readonly file: string
  readonly turn_id: string
  readonly ms?: number
  readonly message?: string
}

/** What came of one gate. Percentiles are by nearest rank. */
export interface GateResult {
  readonly gate: SloGate
  readonly meaning: string
  readonly verdict: SloVerdict
  /** How many turns (outputs, for `stale_epoch_outputs_accepted`) it was computed from. */
  readonly samples: number
  readonly bound: LatencyBound | { readonly accepted: number } | { readonly percent: number }
  /** Absent where there is no sample. */
  readonly value?:
    | (Spread & { readonly unfenced?: number })
    | { readonly accepted: number }
    | { readonly percent: number; readonly not: number }
  /** For a latency the slowest, slowest first; else what is wrong. At most {@link shownFindings}. */
  readonly findings: ReadonlyArray<SloFinding>
}

/** One stage over all turns that reached it. */
export interface StageResult extends Spread {
  readonly samples: number
  /** Of the time of all stages together, percent, to a tenth. */
  readonly share_percent: number
  /** All turns together, ms. */
  readonly total_ms: number
  readonly kernel_ms: number
  readonly provider_ms: number
  readonly waiting_ms: number
  readonly transport_ms: number
}

/** A turn of the report. */
export interface ReportedTurn extends SloTurn {
  readonly file: string
}

export interface SloReport {
  readonly schema_version: string
  readonly timelines: number
  /** Accepted turns. */
  readonly turns: number
  /** Turns that were refused before they opened; no gate is about them. */
  readonly refused: number
  /** Timelines by their clock. */
  readonly clocks: { readonly realtime: number; readonly virtual: number }
  /** Timelines without an accepted turn: they add nothing. */
  readonly without_turns: ReadonlyArray<string>
  /** Timelines that stop before their session ended, with the turns that were open there: these are not judged. */
  readonly cut_off: ReadonlyArray<{ readonly file: string; readonly open: ReadonlyArray<string> }>
  /** Files of which nothing could be read. */
  readonly unreadable: ReadonlyArray<{ readonly file: string; readonly error: string }>
  readonly gates: ReadonlyArray<GateResult>
  readonly critical_path: { readonly [S in PathStage]?: StageResult }
  /** The kernel's own part in the critical path of a turn, ms; of real time only: on a virtual clock computing takes none. */
  readonly kernel_overhead?: Spread & { readonly samples: number }
  readonly turns_detail: ReadonlyArray<ReportedTurn>
}

/** Findings of one gate that a report lists. */
export const shownFindings = 20

interface Sample {
  readonly file: string
  readonly turn: SloTurn
  readonly ms: number
}

/**
 * A report from the facts of timelines; pure, the same for the same timelines in the same order.
 *
 * Guarantees: I-SLO-NOTRUN a gate without a sample is `not_run`, never a pass.
 */
export const sloReport = (
  timelines: ReadonlyArray<SloTimeline>,
  options: { readonly bounds?: SloBounds; readonly unreadable?: SloReport["unreadable"] } = {}
): SloReport => {
  const { bounds = contractBounds, unreadable = [] } = options
  const turns = timelines.flatMap(({ file, turns: own }) => own.map((turn): ReportedTurn => ({ file, ...turn })))
  const samples = (pick: (turn: SloTurn) => number | undefined): ReadonlyArray<Sample> =>
    turns.flatMap((turn) => {
      const ms = pick(turn)
      return ms === undefined ? [] : [{ file: turn.file, turn, ms }]
    })
  const happy = ({ first_output_ms, trouble }: SloTurn) => trouble === undefined ? first_output_ms : undefined
  const unfenced = turns.filter((turn) => turn.unfenced)
  const stale = timelines.flatMap(({ file, stale: own }) => own.map((output) => ({ file, ...output })))
  const outputs = timelines.reduce((sum, { outputs: own }) => sum + own, 0)
  const kernel = spreadOf(
    timelines.filter(({ clock }) => clock === "realtime").flatMap(({ turns: own }) => own.flatMap(kernelMs))
  )
  return {
    schema_version: schemaVersion,
    timelines: timelines.length + unreadable.length,
    turns: turns.length,
    refused: timelines.reduce((sum, { refused }) => sum + refused, 0),
    clocks: {
      realtime: timelines.filter(({ clock }) => clock === "realtime").length,
      virtual: timelines.filter(({ clock }) => clock === "virtual").length
    },
    without_turns: timelines.filter((one) => one.turns.length === 0).map(({ file }) => file),
    cut_off: timelines.filter(({ cut_off }) => cut_off).map(({ file, turns: own }) => ({
      file,
      open: own.filter(({ ending }) => ending === undefined).map(({ turn_id }) => turn_id)
    })),
    unreadable,
    gates: [
      latencyGate("turn_open_ms", samples(({ turn_open_ms }) => turn_open_ms), bounds),
      latencyGate("first_output_ms", samples(happy), bounds),
      latencyGate("cancel_fence_ms", samples(({ cancel_fence_ms }) => cancel_fence_ms), bounds, unfenced),
      {
        gate: "stale_epoch_outputs_accepted",
        meaning: gateMeanings.stale_epoch_outputs_accepted,
        verdict: outputs === 0 ? "not_run" : stale.length === 0 ? "pass" : "fail",
        samples: outputs,
        bound: { accepted: 0 },
        ...(outputs === 0 ? {} : { value: { accepted: stale.length } }),
        findings: stale.slice(0, shownFindings).map(({ file, message, turn_id }) => ({ file, turn_id, message }))
      },
      shareGate("evidence_complete", turns, ({ evidence }) => evidence),
      shareGate("exactly_one_terminal", turns, ({ ending }) => ending),
      latencyGate("response_ms", samples(({ response_ms }) => response_ms), bounds)
    ],
    critical_path: criticalPathOf(turns),
    ...(kernel === undefined ? {} : { kernel_overhead: { ...kernel, samples: kernelSamples(timelines) } }),
    turns_detail: turns
  }
}

const kernelMs = ({ stages }: SloTurn): ReadonlyArray<number> => {
  const times = Object.values(stages)
  return times.length === 0 ? [] : [times.reduce((sum, { kernel_ms }) => sum + kernel_ms, 0)]
}

const kernelSamples = (timelines: ReadonlyArray<SloTimeline>): number =>
  timelines.filter(({ clock }) => clock === "realtime").flatMap(({ turns }) => turns.flatMap(kernelMs)).length

const latencyGate = (
  gate: LatencyGate,
  samples: ReadonlyArray<Sample>,
  bounds: SloBounds,
  unfenced: ReadonlyArray<ReportedTurn> = []
): GateResult => {
  const bound = bounds[gate]
  const spread = spreadOf(samples.map(({ ms }) => ms))
  const about = {
    gate,
    meaning: gateMeanings[gate],
    bound,
    samples: samples.length + unfenced.length,
    findings: [
      ...unfenced.map(({ file, turn_id }) => ({ file, turn_id, message: "cancelled, and no fence was ever reported" })),
      ...samples.toSorted((a, b) => b.ms - a.ms).map(({ file, ms, turn }) => ({ file, turn_id: turn.turn_id, ms }))
    ].slice(0, shownFindings)
  }
  const value = spread === undefined
    ? {}
    : { value: { ...spread, ...(gate === "cancel_fence_ms" ? { unfenced: unfenced.length } : {}) } }
  if (about.samples === 0) return { ...about, verdict: "not_run" }
  // What was never fenced took longer than any bound.
  const sorted = [...samples.map(({ ms }) => ms).toSorted((a, b) => a - b), ...unfenced.map(() => Infinity)]
  const within = (limit: number | undefined, part: number) =>
    limit === undefined || (nearestRank(sorted, part) ?? Infinity) <= limit
  const passes = unfenced.length === 0 && within(bound.p50_ms, 0.5) && within(bound.p95_ms, 0.95)
  return { ...about, ...value, verdict: passes ? "pass" : "fail" }
}

const shareGate = (
  gate: "evidence_complete" | "exactly_one_terminal",
  turns: ReadonlyArray<ReportedTurn>,
  pick: (turn: SloTurn) => ReadonlyArray<string> | undefined
): GateResult => {
  const judged = turns.flatMap((turn) => {
    const problems = pick(turn)
    return problems === undefined ? [] : [{ file: turn.file, turn_id: turn.turn_id, problems }]
  })
  const broken = judged.filter(({ problems }) => problems.length > 0)
  const percent = Math.floor(((judged.length - broken.length) / Math.max(1, judged.length)) * 10_000) / 100
  return {
    gate,
    meaning: gateMeanings[gate],
    verdict: judged.length === 0 ? "not_run" : broken.length === 0 ? "pass" : "fail",
    samples: judged.length,
    bound: { percent: 100 },
    ...(judged.length === 0 ? {} : { value: { percent, not: broken.length } }),
    findings: broken.slice(0, shownFindings).map(({ file, problems, turn_id }) => ({
      file,
      turn_id,
      message: problems.join("; ")
    }))
  }
}

const criticalPathOf = (turns: ReadonlyArray<ReportedTurn>): SloReport["critical_path"] => {
  const path: { [S in PathStage]?: StageResult } = {}
  const sum = (times: ReadonlyArray<StageTime>, of: keyof StageTime) => times.reduce((all, time) => all + time[of], 0)
  const all = turns.reduce((total, { stages }) => total + sum(Object.values(stages), "ms"), 0)
  for (const stage of pathStages) {
    const times = turns.flatMap(({ stages }) => stages[stage] ?? [])
    const spread = spreadOf(times.map(({ ms }) => ms))
    if (spread === undefined) continue
    const total_ms = sum(times, "ms")
    path[stage] = {
      ...spread,
      samples: times.length,
      share_percent: all === 0 ? 0 : Math.round((total_ms / all) * 1000) / 10,
      total_ms,
      kernel_ms: sum(times, "kernel_ms"),
      provider_ms: sum(times, "provider_ms"),
      waiting_ms: sum(times, "waiting_ms"),
      transport_ms: sum(times, "transport_ms")
    }
  }
  return path
}

/** How a report counts as a whole: a gate that did not run is no failure unless all are demanded. */
export const failsReport = ({ gates }: SloReport, requireAll: boolean): boolean =>
  gates.some(({ verdict }) => verdict === "fail" || (requireAll && verdict === "not_run"))
