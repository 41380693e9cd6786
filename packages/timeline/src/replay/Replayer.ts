import type { NormalizedPipeline } from "@rspp/contracts/NormalizedPipeline"
import type { SessionConfig } from "@rspp/contracts/SessionConfig"
import type { PolicyResolutionSnapshot } from "@rspp/contracts/Snapshot"
import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import { digest } from "@rspp/runtime/determinism/Digest"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Tear } from "../format/TimelineDecoder.ts"
import { underSettings } from "./OtherSettings.ts"
import type { ReplayDivergence } from "./DivergenceClassifier.ts"
import { divergenceOf } from "./DivergenceClassifier.ts"
import { DecisionRecomputation } from "./DecisionRecomputation.ts"
import { DecisionReplay } from "./DecisionReplay.ts"
import type { ReplayMode, ReplayRefused } from "./ReplayMode.ts"
import { allowed, defaultReplayMode, unbroken, understood } from "./ReplayMode.ts"
import { maxDivergences, StrictReplay } from "./StrictReplay.ts"
import { TimerTable } from "./TimerTable.ts"
import type { WhatIfOutlook } from "./WhatIf.ts"
import { WhatIf } from "./WhatIf.ts"
import { noEffect } from "./WhatIfEffects.ts"

export type ReplayError = ReplayRefused

/** A timeline as a reader or a memory recorder gives it. */
export interface ReplayTimeline {
  readonly header: TimelineHeader
  readonly records: ReadonlyArray<TimelineRecord>
  readonly tear?: Tear
}

export interface ReplayOptions {
  /** Default {@link defaultReplayMode}. `re_simulate_nodes` is the work of `NodeResimulation`, not of this. */
  readonly mode?: ExecutedMode
  /** What-if: the session runs under this config instead of the recorded one. */
  readonly sessionConfig?: SessionConfig
  /** What-if: every policy snapshot of the session says this. */
  readonly policy?: PolicyResolutionSnapshot["body"]
  /** What-if: the session runs this pipeline; its session config counts unless `sessionConfig` is given. */
  readonly pipeline?: NormalizedPipeline
}

/** The modes in which nothing but the kernel and the recorder are at work. */
export type ExecutedMode = Exclude<ReplayMode, "re_simulate_nodes">

/** What came of a replay. */
export interface ReplayReport {
  readonly mode: ReplayMode
  /** Nothing that could be read differs, and nothing of the file was changed. */
  readonly identical: boolean
  /** Records that came out again and are the same as recorded, up to the first difference. */
  readonly records: number
  /** Inputs that were fed, frames included. */
  readonly inputs: number
  /** Turns that were opened. */
  readonly turns: number
  /** Length of the session as far as it was replayed, ms. */
  readonly sessionMs: number
  /** True when the recording was closed properly and replayed to its end record. */
  readonly complete: boolean
  /** Telemetry events that the recorder dropped under load; they are no difference. */
  readonly missingTelemetry: number
  /** Where the file stops being readable: the replay went up to there. */
  readonly tear?: Tear
  /** The first difference. */
  readonly divergence?: ReplayDivergence
  /** All of them, at most {@link maxDivergences}; of a what-if replay the first alone. Absent where there is none. */
  readonly divergences?: ReadonlyArray<ReplayDivergence>
  /** For a what-if replay. */
  readonly whatIf?: WhatIfOutlook & {
    /** Settings that are another value than recorded. */
    readonly changed: ReadonlyArray<string>
    /** Those of them that act on sound, before what is recorded: a replay cannot show what they would have changed. */
    readonly notRecomputed: ReadonlyArray<string>
  }
}

/** Frames and records that are worked off before other fibers run: a few milliseconds. */
const unitsPerTurnOfLoop = 4096

/**
 * Replay (OR-03): executes a recorded session again and compares what comes out with what was recorded.
 *
 * The kernel is the one that live sessions run, from the same Layer; so is the code that makes records, evidence and
 * supplements. Recorded inputs are fed at their recorded stamps; nothing reads a clock, so that a replay runs under any,
 * a TestClock included. It lists what differs, the first difference with both sides; a timeline that is torn or was never
 * closed is replayed as far as it goes. What is executed and what is compared is the mode's to say (docs/replay.md); it
 * fails when the recording's policy does not allow the mode, or when the recording lacks what the mode needs.
 *
 * With `sessionConfig`, `policy` or `pipeline` the session runs under other settings. Up to the first difference that is the same thing; behind
 * it the outlook says which signals would have come when, and from where on the recording has no answers.
 *
 * Speed: about half a second for an hour of call. It keeps the outputs of one step, and nothing else, of a session.
 */
export class Replayer extends Context.Service<Replayer, {
  readonly replay: (timeline: ReplayTimeline, options?: ReplayOptions) => Effect.Effect<ReplayReport, ReplayError>
}>()("rspp/Replayer") {
  static readonly layerNoDeps = Layer.effect(
    Replayer,
    Effect.gen(function*() {
      const kernels = yield* SessionKernel
      return Replayer.of({ replay: (timeline, options) => replay(kernels, timeline, options ?? {}) })
    })
  )

  /** With the kernel that live sessions run. */
  static readonly layer = Replayer.layerNoDeps.pipe(Layer.provide(SessionKernel.layer))
}

/** Settings that voice activity and the recogniser take, or that are applied to words; what came of them is recorded. */
const portSettings: ReadonlyArray<string> = [
  "voice_activity.on_threshold",
  "voice_activity.off_threshold",
  "voice_activity.window_ms",
  "voice_activity.min_speech_ms",
  "voice_activity.min_silence_ms",
  "recognition.partial_interval_ms",
  "barge_in.backchannel"
]

const replay = Effect.fn("Replayer.replay")(function*(
  kernels: SessionKernel["Service"],
  timeline: ReplayTimeline,
  options: ReplayOptions
): Effect.fn.Return<ReplayReport, ReplayError> {
  const { mode = defaultReplayMode } = options
  const recorded = timeline.header
  const asked = options.sessionConfig !== undefined || options.policy !== undefined || options.pipeline !== undefined
  yield* allowed(timeline, mode)
  // Under other settings decisions are made anew, whatever else is done.
  if (asked) yield* allowed(timeline, "recompute_decisions")
  if (mode !== "replay_decisions") yield* understood(recorded)
  yield* unbroken(timeline, mode)
  if (mode !== defaultReplayMode) {
    const work = mode === "replay_decisions"
      ? new DecisionReplay(recorded, timeline.records)
      : new DecisionRecomputation(kernels, recorded, timeline.records)
    while (!work.run(unitsPerTurnOfLoop)) yield* Effect.yieldNow
    return reportOf(mode, timeline, work)
  }

  const { changed, header, records } = asked ? underSettings(timeline, options) : { changed: [], ...timeline }
  const timers = asked ? { replayed: new TimerTable(), recorded: new TimerTable() } : undefined
  const strict = new StrictReplay(kernels, header, records, timers, asked ? 1 : maxDivergences)
  const damaged = damagedHeader(recorded)
  if (damaged === undefined) { while (!strict.run(unitsPerTurnOfLoop)) yield* Effect.yieldNow }
  const report = reportOf(mode, timeline, {
    compared: strict.compared,
    fed: strict.fed,
    turns: strict.execution.turns,
    lastMs: strict.lastMs,
    missingTelemetry: strict.missingTelemetry,
    divergences: damaged === undefined ? strict.divergences : [damaged]
  })
  if (timers === undefined) return report

  let outlook: WhatIfOutlook = { changes: [], effects: { totals: noEffect, turns: [] } }
  if (strict.divergence !== undefined) {
    const whatIf = new WhatIf({
      execution: strict.execution,
      records,
      timers,
      position: strict.resumeAt,
      ...strict.diverged
    })
    while (!whatIf.run(unitsPerTurnOfLoop)) yield* Effect.yieldNow
    outlook = whatIf.outlook()
  }
  return {
    ...report,
    whatIf: { ...outlook, changed, notRecomputed: changed.filter((path) => portSettings.includes(path)) }
  }
})

/** What the modes have to say of a recording. */
interface Compared {
  readonly compared: number
  readonly fed: number
  readonly turns: number
  readonly lastMs: number
  readonly missingTelemetry: number
  readonly divergences: ReadonlyArray<ReplayDivergence>
}

const reportOf = (mode: ReplayMode, { records, tear }: ReplayTimeline, found: Compared): ReplayReport => {
  const damaged = damagedFile(tear, found.lastMs)
  const divergences = damaged === undefined ? found.divergences : [...found.divergences, damaged]
  const [divergence] = divergences
  return {
    mode,
    identical: divergence === undefined,
    records: found.compared,
    inputs: found.fed,
    turns: found.turns,
    sessionMs: found.lastMs,
    complete: divergence === undefined && records.at(-1)?.record === "end",
    missingTelemetry: found.missingTelemetry,
    ...(tear === undefined ? {} : { tear }),
    ...(divergence === undefined ? {} : { divergence, divergences })
  }
}

/** A config that does not have the hash that the header gives was changed after the recording. */
const damagedHeader = (header: TimelineHeader): ReplayDivergence | undefined => {
  const hash = digest(header.session_config)
  return hash === header.session_config_hash ? undefined : divergenceOf(
    "PLAN_DIVERGENCE",
    `session_config_hash is ${header.session_config_hash} in the recording, the recorded config has ${hash}`,
    { sequence: 0, atMs: 0 }
  )
}

/** Bytes that are not what the recorder wrote; a file that only ends early is none. */
const damagedFile = (tear: Tear | undefined, lastMs: number): ReplayDivergence | undefined => {
  if (tear === undefined || tear.reason === "truncated") return undefined
  const what = tear.reason === "checksum" ? "was changed" : "is no record"
  const message = `the file ${what} at byte ${tear.offset}, after ${tear.recordsBefore} records: what follows is lost`
  const at = { runtime_sequence: 0, runtime_timestamp_ms: lastMs }
  return {
    divergence_class: "OUTCOME_DIVERGENCE",
    scope: "session",
    message,
    evidence_refs: [`recorded:byte:${tear.offset}`],
    differences: [],
    at
  }
}
