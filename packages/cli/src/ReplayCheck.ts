import type { ReplayExpectation } from "@rspp/contracts/ReplayExpectation"
import type { PolicyResolutionSnapshot } from "@rspp/contracts/Snapshot"
import type { NormalizedPipeline } from "@rspp/contracts/NormalizedPipeline"
import { applyOverrides } from "@rspp/timeline/replay/ConfigOverride"
import type { ReplayOptions, ReplayReport, ReplayTimeline } from "@rspp/timeline/replay/Replayer"
import { judge, slowInvocations, slowTurns } from "@rspp/timeline/replay/ReplayGate"
import type { GateVerdict } from "@rspp/timeline/replay/ReplayGate"
import { Effect } from "effect"
import type { ExitName } from "./ExitCode.ts"
import { expectationOf } from "./ReplayFiles.ts"
import type { AccessFlags } from "./TimelineAccess.ts"
import { asOwner, openTimeline } from "./TimelineAccess.ts"

/** Settings to replay under instead of the recorded ones. */
export interface OtherSettings {
  /** `path=value` of session settings. */
  readonly overrides: ReadonlyArray<string>
  readonly policy?: PolicyResolutionSnapshot["body"]
  readonly pipeline?: NormalizedPipeline
}

/** What came of one file, in a word. */
export type ReplayVerdict =
  /** Nothing differs. */
  | "identical"
  /** What differs is what its expectations say, and the gate passes. */
  | "as_expected"
  /** Something differs that may not. */
  | "diverged"
  /** Its bytes are not those that were written; before that, nothing differs that may not. */
  | "damaged"
  /** Nothing differs, as far as the file goes: it is cut off, or was never closed. */
  | "incomplete"

/** What came of replaying one file. */
export interface ReplayedFile extends ReplayReport {
  readonly file: string
  readonly verdict: ReplayVerdict
  /** Whether what differs may differ; absent for a what-if, which is no check. */
  readonly gate?: GateVerdict
  /** Session time replayed per real time, reading the file included. */
  readonly speed: number
}

export interface ReplayOneOptions<E, R> {
  readonly settings: OtherSettings
  /** A file of expectations for every recording, instead of the one beside each. */
  readonly expect?: string
  /** As whom the recordings are read; default: as their owner. */
  readonly access?: AccessFlags
  readonly run: (timeline: ReplayTimeline, options: ReplayOptions) => Effect.Effect<ReplayReport, E, R>
}

/** Reads, replays and judges one file. */
export const replayFile = Effect.fn("replayFile")(function*<E, R>(
  file: string,
  { access = asOwner, expect, run, settings }: ReplayOneOptions<E, R>
) {
  const startedMs = performance.now()
  const timeline = yield* openTimeline(file, "replay", access)
  const { overrides, pipeline, policy } = settings
  const isWhatIf = overrides.length > 0 || pipeline !== undefined || policy !== undefined
  const base = pipeline?.session_config ?? timeline.header.session_config
  const options = isWhatIf
    ? {
      ...(policy === undefined ? {} : { policy }),
      ...(pipeline === undefined ? {} : { pipeline }),
      sessionConfig: (yield* applyOverrides(base, overrides)).config
    }
    : {}
  const expectation = isWhatIf ? undefined : yield* expectationOf(file, expect)
  const report = yield* run(timeline, options)
  const gate = isWhatIf ? undefined : gateOf(report, timeline, expectation)
  // Damage is a divergence of its own, which may be expected; a file that only ends early is not.
  const closed = report.tear === undefined
    ? timeline.records.at(-1)?.record === "end"
    : report.tear.reason !== "truncated"
  const passes = gate === undefined ? report.identical : gate.passes
  const isDamaged = report.tear !== undefined && report.tear.reason !== "truncated"
  const verdict: ReplayVerdict = !passes
    ? isDamaged && passesBut(report, timeline, isWhatIf ? undefined : expectation) ? "damaged" : "diverged"
    : !closed
    ? "incomplete"
    : report.identical
    ? "identical"
    : "as_expected"
  const replayed: ReplayedFile = {
    ...report,
    file,
    verdict,
    ...(gate === undefined ? {} : { gate }),
    speed: Math.round(report.sessionMs / Math.max(1, performance.now() - startedMs))
  }
  return replayed
})

const gateOf = (
  { divergences = [] }: ReplayReport,
  { records }: ReplayTimeline,
  expectation: ReplayExpectation | undefined
): GateVerdict =>
  judge(
    [
      ...divergences,
      ...slowInvocations(records, expectation?.invocation_latency_thresholds ?? []),
      ...slowTurns(records, expectation?.turn_latency_thresholds)
    ],
    expectation
  )

/** True when nothing differs that may not except for the damage, which comes last. */
const passesBut = (
  report: ReplayReport,
  timeline: ReplayTimeline,
  expectation: ReplayExpectation | undefined
): boolean => gateOf({ ...report, divergences: report.divergences?.slice(0, -1) ?? [] }, timeline, expectation).passes

/** A file that ends early or is damaged is replayed as far as it goes; that is bad input, as for every other command. */
export const exitOfReplay = ({ verdict }: ReplayedFile): ExitName =>
  verdict === "diverged" ? "violation" : verdict === "incomplete" || verdict === "damaged" ? "bad_input" : "ok"
