import type { RecordingManifest, TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import { behaviourFlags } from "@rspp/contracts/Timeline"
import type { ReplayMode } from "@rspp/contracts/TurnPlan"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

export type { ReplayMode } from "@rspp/contracts/TurnPlan"

/** The mode of a replay that names none. */
export const defaultReplayMode: ReplayMode = "playback_recorded_provider_outputs"

/** Numbers of the behaviour flags that this kernel knows; a recording under any other cannot be executed again. */
export const knownBehaviourFlags: ReadonlyArray<number> = Object.values(behaviourFlags)

/** The recording was made under behaviour that this program does not have: a newer or an experimental version made it. */
export class UnknownBehaviourFlags extends Schema.TaggedError<UnknownBehaviourFlags>()("UnknownBehaviourFlags", {
  flags: Schema.Array(Schema.Number),
  message: Schema.String
}) {}

/** The recording policy of the session, or of a turn's plan, does not allow this way of replaying it. */
export class ReplayModeNotAllowed extends Schema.TaggedError<ReplayModeNotAllowed>()("ReplayModeNotAllowed", {
  mode: Schema.String,
  allowed: Schema.Array(Schema.String),
  message: Schema.String
}) {}

/** The mode needs something that the recording does not have; `missing` names it as the manifest does. */
export class ReplayNotCaptured extends Schema.TaggedError<ReplayNotCaptured>()("ReplayNotCaptured", {
  mode: Schema.String,
  missing: Schema.String,
  message: Schema.String
}) {}

export type ReplayRefused = UnknownBehaviourFlags | ReplayModeNotAllowed | ReplayNotCaptured

interface Recording {
  readonly header: TimelineHeader
  readonly records: ReadonlyArray<TimelineRecord>
}

/** The manifest in the end record; undefined for a recording that was never closed, or is older than manifests. */
export const manifestOf = (records: ReadonlyArray<TimelineRecord>): RecordingManifest | undefined => {
  const end = records.at(-1)
  return end?.record === "end" ? end.not_captured : undefined
}

/** Fails unless the session's recording policy, and the plan of each turn, allow the mode. */
export const allowed = Effect.fnUntraced(function*({ header, records }: Recording, mode: ReplayMode) {
  const refuse = (whose: string, modes: ReadonlyArray<ReplayMode>) =>
    new ReplayModeNotAllowed({
      mode,
      allowed: modes,
      message: `the recording policy of ${whose} does not allow ${mode}; it allows ${modes.join(", ")}`
    })
  const { allowed_replay_modes } = header.pipeline.recording_policy
  if (!allowed_replay_modes.includes(mode)) return yield* refuse("the session", allowed_replay_modes)
  for (const record of records) {
    if (record.record !== "plan") continue
    const { recording_policy, turn_id } = record.plan
    if (!recording_policy.allowed_replay_modes.includes(mode)) {
      return yield* refuse(turn_id, recording_policy.allowed_replay_modes)
    }
  }
  return undefined
})

/** Fails when the kernel would have to behave in a way that it does not know. */
export const understood = Effect.fnUntraced(function*(header: TimelineHeader) {
  const flags = header.behaviour_flags.filter((flag) => !knownBehaviourFlags.includes(flag))
  if (flags.length === 0) return undefined
  const message = `the recording was made under behaviour flags that are unknown here: ${flags.join(", ")}`
  return yield* new UnknownBehaviourFlags({ flags, message })
})

/** Fails when records are missing: every mode but `re_simulate_nodes` needs each input, or each decision, of the session. */
export const unbroken = Effect.fnUntraced(function*({ records }: Recording, mode: ReplayMode) {
  const lost = manifestOf(records)?.records_lost ?? 0
  if (lost === 0) return undefined
  return yield* new ReplayNotCaptured({
    mode,
    missing: "records_lost",
    message: `${mode} needs every record of the session, and the recording says that ${lost} were lost (records_lost)`
  })
})
