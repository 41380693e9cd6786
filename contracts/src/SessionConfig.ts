import * as Schema from "effect/Schema"
import { Id, SchemaVersion, schemaVersion, uniqueList } from "./Identity.ts"
import { Fraction, Natural, Percent } from "./Quantity.ts"
import { Milliseconds, PositiveMilliseconds } from "./Time.ts"

export const lateEventPolicies = ["drop", "remap", "diagnostics"] as const
export const LateEventPolicy = Schema.Literals(lateEventPolicies).annotate({
  description:
    "What becomes of a provider's result that comes after its turn has ended: it is dropped (`drop`), a late final transcript is taken as a new utterance (`remap`), or it is dropped and recorded as a diagnostic (`diagnostics`)."
})
export type LateEventPolicy = typeof LateEventPolicy.Type

export const turnDetections = ["automatic", "push_to_talk"] as const
/** Who says when the caller's turn begins and ends: voice activity, or a key that the caller holds. */
export const TurnDetection = Schema.Literals(turnDetections).annotate({
  description: "Who says when the caller's turn begins and ends: voice activity, or a key that the caller holds."
})
export type TurnDetection = typeof TurnDetection.Type

export const endpointingModes = ["fixed", "dynamic"] as const
export const EndpointingMode = Schema.Literals(endpointingModes).annotate({
  description:
    "`fixed`: the times as they are. `dynamic`: the caller's own pauses, learned between `min_ms` and `max_ms`."
})
export type EndpointingMode = typeof EndpointingMode.Type

/** Words and phrases that a session may take for signs of attention: 64. */
export const backchannelMax = 64

/** Fields of each section, shared with the partial sections that an author writes in a PipelineSpec. */
export const sessionConfigSections = {
  voice_activity: {
    on_threshold: Fraction.annotate({ description: "Speech probability at which speech starts." }),
    off_threshold: Fraction.annotate({
      description: "Speech probability below which it ends; at most `on_threshold`."
    }),
    window_ms: PositiveMilliseconds.annotate({
      description: "Length of one decision of the detector; the embedded one has windows of 32 ms only."
    }),
    min_speech_ms: Milliseconds.annotate({ description: "How long speech lasts before it counts as speech." }),
    min_silence_ms: Milliseconds.annotate({ description: "How long silence lasts before speech counts as ended." }),
    prefix_ms: Milliseconds.annotate({ description: "Audio before the onset that belongs to the utterance." })
  },
  recognition: {
    partial_interval_ms: PositiveMilliseconds.annotate({
      description: "How often a recogniser that recognises whole utterances tells what it has heard so far."
    }),
    max_utterance_ms: PositiveMilliseconds.annotate({
      description: "After which an utterance is cut and answered; that is told."
    })
  },
  /** Silence after the last speech sample until a turn is proposed. */
  endpointing: {
    min_ms: Milliseconds.annotate({
      description: "Silence after the last speech sample until a turn is proposed, when the words seem complete."
    }),
    unfinished_ms: Milliseconds.annotate({ description: "The same when the words heard so far probably go on." }),
    max_ms: Milliseconds.annotate({ description: "The longest silence that is waited for, whatever the words say." })
  },
  barge_in: {
    enabled: Schema.Boolean.annotate({ description: "Whether speech over the agent cuts it at all." }),
    min_ms: Milliseconds.annotate({ description: "Speech during playback that turns a pause into a cancel." }),
    false_alarm_ms: Milliseconds.annotate({ description: "After which a pause that was no cut is taken back." })
  }
} as const

/**
 * Settings that came after the first recordings: an artifact may leave them out, which is off, as it was before there
 * were any. An author writes them like all others, and the normalizer fills in what was left out.
 */
export const sessionConfigAdditions = {
  turn_detection: TurnDetection,
  endpointing: {
    /** `fixed`: the times above as they are. `dynamic`: the caller's own pauses, learned between `min_ms` and `max_ms`. */
    mode: EndpointingMode
  },
  barge_in: {
    min_words: Natural.annotate({
      description:
        "Words that must have been recognised before speech during playback is a cut; 0: its duration decides alone."
    }),
    backchannel: uniqueList(Id, { max: backchannelMax }).annotate({
      description:
        "Signs of attention, such as \"mhm\": speech during playback that is nothing else neither cuts nor is answered."
    })
  },
  /** A model that is asked, in each pause, how probable it is that the caller has finished. */
  end_of_turn: {
    enabled: Schema.Boolean.annotate({
      description: "Whether a model is asked, in each pause, how probable it is that the caller has finished."
    }),
    timeout_ms: PositiveMilliseconds.annotate({
      description: "How long an endpoint may wait for the answer; after that the text cue decides."
    }),
    likely_percent: Percent.annotate({ description: "From here on the pause ends after `endpointing.min_ms`." }),
    unlikely_percent: Percent.annotate({
      description: "Up to here it lasts for `endpointing.max_ms`. Below `likely_percent`."
    })
  },
  /** Whether a model may start in the pause after the caller's words, before the endpoint has passed. */
  speculation: {
    preemptive: Schema.Boolean.annotate({
      description: "Whether a model may start in the pause after the caller's words, before the endpoint has passed."
    })
  },
  /** A caller who neither speaks nor types while the agent is silent too. */
  idle: {
    timeout_ms: Milliseconds.annotate({
      description: "Silence of both sides after which that is told, again and again; 0: never."
    }),
    hang_up_after: Natural.annotate({
      description: "How many times it is told in a row until the session ends by itself; 0: it does not."
    })
  }
} as const

type Optional<F extends Readonly<Record<string, Schema.Constraint>>> = {
  readonly [K in keyof F]: Schema.optionalKey<F[K]>
}
const optional = <const F extends Readonly<Record<string, Schema.Constraint>>>(fields: F): Optional<F> =>
  Object.fromEntries(Object.entries(fields).map(([key, field]) => [key, Schema.optionalKey(field)])) as Optional<F>

/**
 * Settings of a session that decide when turns begin and end. They are hashed into the timeline header; what-if replay
 * changes them there.
 */
export const SessionConfig = Schema.Struct({
  schema_version: SchemaVersion,
  turn_detection: Schema.optionalKey(TurnDetection),
  voice_activity: Schema.Struct(sessionConfigSections.voice_activity),
  recognition: Schema.Struct(sessionConfigSections.recognition),
  endpointing: Schema.Struct({
    ...sessionConfigSections.endpointing,
    ...optional(sessionConfigAdditions.endpointing)
  }),
  barge_in: Schema.Struct({ ...sessionConfigSections.barge_in, ...optional(sessionConfigAdditions.barge_in) }),
  end_of_turn: Schema.optionalKey(Schema.Struct(sessionConfigAdditions.end_of_turn)),
  speculation: Schema.optionalKey(Schema.Struct(sessionConfigAdditions.speculation)),
  idle: Schema.optionalKey(Schema.Struct(sessionConfigAdditions.idle)),
  late_event_policy: LateEventPolicy
}).annotate({ identifier: "SessionConfig" })
export type SessionConfig = typeof SessionConfig.Type

/** A config in which nothing is left out. */
export type CompleteSessionConfig = {
  readonly [K in keyof SessionConfig]-?: NonNullable<SessionConfig[K]> extends infer S
    ? S extends string ? S : { readonly [F in keyof S]-?: NonNullable<S[F]> }
    : never
}

/** The defaults of every session. */
export const defaultSessionConfig: CompleteSessionConfig = {
  schema_version: schemaVersion,
  turn_detection: "automatic",
  voice_activity: {
    on_threshold: 0.5,
    off_threshold: 0.35,
    window_ms: 32,
    min_speech_ms: 50,
    min_silence_ms: 250,
    prefix_ms: 500
  },
  recognition: { partial_interval_ms: 500, max_utterance_ms: 20_000 },
  endpointing: { min_ms: 300, unfinished_ms: 800, max_ms: 2500, mode: "fixed" },
  // No words are a back-channel by default: "yeah" to a question that is still being asked is an answer.
  barge_in: { enabled: true, min_ms: 500, false_alarm_ms: 2000, min_words: 0, backchannel: [] },
  end_of_turn: { enabled: false, timeout_ms: 150, likely_percent: 70, unlikely_percent: 30 },
  speculation: { preemptive: false },
  idle: { timeout_ms: 0, hang_up_after: 0 },
  late_event_policy: "drop"
}

/** The config with nothing left out: what an older artifact does not have is off, and off is the default of all of it. */
export const completeSessionConfig = (config: SessionConfig): CompleteSessionConfig => ({
  ...defaultSessionConfig,
  ...config,
  endpointing: { ...defaultSessionConfig.endpointing, ...config.endpointing },
  barge_in: { ...defaultSessionConfig.barge_in, ...config.barge_in },
  end_of_turn: { ...defaultSessionConfig.end_of_turn, ...config.end_of_turn },
  idle: { ...defaultSessionConfig.idle, ...config.idle }
})

/** A setting that contradicts another one. */
export interface SessionConfigProblem {
  readonly path: ReadonlyArray<string>
  readonly rule: string
  readonly message: string
}

/**
 * Relations between settings, which the form of the artifact does not check: `off_threshold ≤ on_threshold`,
 * `min_ms ≤ unfinished_ms ≤ max_ms` and `unlikely_percent < likely_percent`. Empty when all hold.
 */
export const sessionConfigProblems = (config: SessionConfig): ReadonlyArray<SessionConfigProblem> => {
  const { end_of_turn, endpointing, voice_activity } = completeSessionConfig(config)
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
  if (end_of_turn.unlikely_percent >= end_of_turn.likely_percent) {
    const { likely_percent, unlikely_percent } = end_of_turn
    problems.push({
      path: ["end_of_turn", "unlikely_percent"],
      rule: "session_config.unlikely-below-likely",
      message: `unlikely_percent ${unlikely_percent} is not below likely_percent ${likely_percent}`
    })
  }
  return problems
}
