import * as Schema from "effect/Schema"
import { SchemaVersion, schemaVersion } from "./Identity.ts"
import { Fraction } from "./Quantity.ts"
import { Milliseconds, PositiveMilliseconds } from "./Time.ts"

export const lateEventPolicies = ["drop", "remap", "diagnostics"] as const
export const LateEventPolicy = Schema.Literals(lateEventPolicies)
export type LateEventPolicy = typeof LateEventPolicy.Type

/** Fields of each section, shared with the partial sections that an author writes in a PipelineSpec. */
export const sessionConfigSections = {
  voice_activity: {
    /** Speech probability at which speech starts, 0..1. */
    on_threshold: Fraction,
    /** Speech probability below which it ends, 0..1, at most `on_threshold`. */
    off_threshold: Fraction,
    window_ms: PositiveMilliseconds,
    min_speech_ms: Milliseconds,
    min_silence_ms: Milliseconds,
    /** Audio before the onset that belongs to the utterance. */
    prefix_ms: Milliseconds
  },
  recognition: {
    partial_interval_ms: PositiveMilliseconds,
    max_utterance_ms: PositiveMilliseconds
  },
  /** Silence after the last speech sample until a turn is proposed. */
  endpointing: {
    min_ms: Milliseconds,
    /** When the words heard so far probably go on. */
    unfinished_ms: Milliseconds,
    max_ms: Milliseconds
  },
  barge_in: {
    enabled: Schema.Boolean,
    /** Speech during playback that turns a pause into a cancel. */
    min_ms: Milliseconds,
    /** After which a pause that was no cut is taken back. */
    false_alarm_ms: Milliseconds
  }
} as const

/**
 * Settings of a session that decide when turns begin and end. They are hashed into the timeline header; what-if replay
 * changes them there.
 */
export const SessionConfig = Schema.Struct({
  schema_version: SchemaVersion,
  voice_activity: Schema.Struct(sessionConfigSections.voice_activity),
  recognition: Schema.Struct(sessionConfigSections.recognition),
  endpointing: Schema.Struct(sessionConfigSections.endpointing),
  barge_in: Schema.Struct(sessionConfigSections.barge_in),
  late_event_policy: LateEventPolicy
}).annotate({ identifier: "SessionConfig" })
export type SessionConfig = typeof SessionConfig.Type

/** The defaults of every session. */
export const defaultSessionConfig: SessionConfig = {
  schema_version: schemaVersion,
  voice_activity: {
    on_threshold: 0.5,
    off_threshold: 0.35,
    window_ms: 32,
    min_speech_ms: 50,
    min_silence_ms: 250,
    prefix_ms: 500
  },
  recognition: { partial_interval_ms: 500, max_utterance_ms: 20_000 },
  endpointing: { min_ms: 300, unfinished_ms: 800, max_ms: 2500 },
  barge_in: { enabled: true, min_ms: 500, false_alarm_ms: 2000 },
  late_event_policy: "drop"
}

/** A setting that contradicts another one. */
export interface SessionConfigProblem {
  readonly path: ReadonlyArray<string>
  readonly rule: string
  readonly message: string
}

/**
 * Relations between settings, which the form of the artifact does not check: `off_threshold ≤ on_threshold` and
 * `min_ms ≤ unfinished_ms ≤ max_ms`. Empty when all hold.
 */
export const sessionConfigProblems = (config: SessionConfig): ReadonlyArray<SessionConfigProblem> => {
  const { endpointing, voice_activity } = config
  const problems: Array<SessionConfigProblem> = []
  if (voice_activity.off_threshold > voice_activity.on_threshold) {
    problems.push({
      path: ["voice_activity", "off_threshold"],
      rule: "session_config.off-at-most-on",
      message: `off_threshold ${voice_activity.off_threshold} is above on_threshold ${voice_activity.on_threshold}`
    })
  }
  if (endpointing.min_ms > endpointing.unfinished_ms) {
    problems.push({
      path: ["endpointing", "min_ms"],
      rule: "session_config.min-at-most-unfinished",
      message: `min_ms ${endpointing.min_ms} is above unfinished_ms ${endpointing.unfinished_ms}`
    })
  }
  if (endpointing.unfinished_ms > endpointing.max_ms) {
    problems.push({
      path: ["endpointing", "unfinished_ms"],
      rule: "session_config.unfinished-at-most-max",
      message: `unfinished_ms ${endpointing.unfinished_ms} is above max_ms ${endpointing.max_ms}`
    })
  }
  return problems
}
