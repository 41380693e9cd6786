import type { SessionConfig } from "@rspp/contracts/SessionConfig"
import { behaviourFlags } from "@rspp/contracts/Timeline"
import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import { digest } from "@rspp/runtime/determinism/Digest"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { Tear } from "../format/TimelineDecoder.ts"
import { changedSettings } from "./ConfigOverride.ts"
import type { ReplayDivergence } from "./DivergenceClassifier.ts"
import { divergenceOf } from "./DivergenceClassifier.ts"
import { StrictReplay } from "./StrictReplay.ts"
import { TimerTable } from "./TimerTable.ts"
import type { WhatIfOutlook } from "./WhatIf.ts"
import { WhatIf } from "./WhatIf.ts"

/** Numbers of the behaviour flags that this kernel knows; a recording under any other cannot be replayed. */
export const knownBehaviourFlags: ReadonlyArray<number> = Object.values(behaviourFlags)

/** The recording was made under behaviour that this program does not have: a newer or an experimental version made it. */
export class UnknownBehaviourFlags extends Schema.TaggedError<UnknownBehaviourFlags>()("UnknownBehaviourFlags", {
  flags: Schema.Array(Schema.Number),
  message: Schema.String
}) {}

/** The recording policy of the session does not allow this way of replaying it. */
export class ReplayModeNotAllowed extends Schema.TaggedError<ReplayModeNotAllowed>()("ReplayModeNotAllowed", {
  mode: Schema.String,
  allowed: Schema.Array(Schema.String),
  message: Schema.String
}) {}

export type ReplayError = UnknownBehaviourFlags | ReplayModeNotAllowed

/** A timeline as a reader or a memory recorder gives it. */
export interface ReplayTimeline {
  readonly header: TimelineHeader
  readonly records: ReadonlyArray<TimelineRecord>
  readonly tear?: Tear
}

export interface ReplayOptions {
  /** What-if: the session runs under this config instead of the recorded one. */
  readonly sessionConfig?: SessionConfig
}

/** What came of a replay. */
export interface ReplayReport {
  /** Nothing that could be read differs, and nothing of the file was changed. */
  readonly identical: boolean
  /** Output records that came out of the kernel and are the same as recorded. */
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
 * a TestClock included. It goes up to the first difference and says what it is; a timeline that is torn or was never
 * closed is replayed as far as it goes.
 *
 * With `sessionConfig` the session runs under another config. Up to the first difference that is the same thing; behind
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
  const { records, tear } = timeline
  const { sessionConfig } = options
  const recorded = timeline.header
  yield* permitted(recorded, sessionConfig !== undefined)

  const header: TimelineHeader = sessionConfig === undefined ? recorded : {
    ...recorded,
    session_config: sessionConfig,
    session_config_hash: digest(sessionConfig),
    pipeline: { ...recorded.pipeline, session_config: sessionConfig }
  }
  const timers = sessionConfig === undefined
    ? undefined
    : { replayed: new TimerTable(), recorded: new TimerTable() }
  const strict = new StrictReplay(kernels, header, records, timers)
  const damaged = damagedHeader(recorded)
  if (damaged === undefined) { while (!strict.run(unitsPerTurnOfLoop)) yield* Effect.yieldNow }
  const divergence = damaged ?? strict.divergence ?? damagedFile(tear, strict)
  const report = {
    identical: divergence === undefined,
    records: strict.compared,
    inputs: strict.fed,
    turns: strict.execution.turns,
    sessionMs: strict.lastMs,
    complete: divergence === undefined && records.at(-1)?.record === "end",
    missingTelemetry: strict.missingTelemetry,
    ...(tear === undefined ? {} : { tear }),
    ...(divergence === undefined ? {} : { divergence })
  }
  if (sessionConfig === undefined || timers === undefined) return report

  let outlook: WhatIfOutlook = { changes: [] }
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
  const changed = changedSettings(recorded.session_config, sessionConfig)
  return {
    ...report,
    whatIf: { ...outlook, changed, notRecomputed: changed.filter((path) => portSettings.includes(path)) }
  }
})

const permitted = Effect.fnUntraced(function*(header: TimelineHeader, whatIf: boolean) {
  const flags = header.behaviour_flags.filter((flag) => !knownBehaviourFlags.includes(flag))
  if (flags.length > 0) {
    const message = `the recording was made under behaviour flags that are unknown here: ${flags.join(", ")}`
    return yield* new UnknownBehaviourFlags({ flags, message })
  }
  const allowed = header.pipeline.recording_policy.allowed_replay_modes
  // The providers' recorded answers are played back either way; under other settings decisions are made anew.
  const modes = ["playback_recorded_provider_outputs", ...(whatIf ? ["recompute_decisions"] as const : [])] as const
  for (const mode of modes) {
    if (allowed.includes(mode)) continue
    const message = `the recording policy of the session does not allow ${mode}; it allows ${allowed.join(", ")}`
    return yield* new ReplayModeNotAllowed({ mode, allowed, message })
  }
})

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
const damagedFile = (tear: Tear | undefined, { lastMs }: StrictReplay): ReplayDivergence | undefined => {
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
