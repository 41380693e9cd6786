import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import type { PlatformError } from "effect"
import { readAudioFile, type WaveFileError } from "./WaveFile.ts"

/** A call script cannot be used. `message` names the file, says what is wrong and where; `hint` shows a right one. */
export class CallScriptError extends Schema.TaggedError<CallScriptError>()("CallScriptError", {
  code: Schema.Literals(["missing", "unreadable", "not_json", "invalid"]),
  input: Schema.String,
  message: Schema.String,
  hint: Schema.optionalKey(Schema.String),
  cause: Schema.optionalKey(Schema.Defect())
}) {}

const DelayMs = Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 0, maximum: 14_400_000 })))
const WaitMs = Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 20, maximum: 14_400_000 })))

/**
 * When something happens: `delay_ms` after
 *
 * - `start`: the start of the call
 * - `previous`: the end of what the caller said (or typed) before
 * - `agent_started`: the first sample of the agent's answer to it
 * - `agent_finished`: the agent's answer has ended, and `agent_quiet_ms` have passed
 *
 * Nothing overlaps what the caller said before. An agent that does not start within `reply_timeout_ms` is not waited
 * for any longer.
 */
export const CallTrigger = Schema.Struct({
  after: Schema.Literals(["start", "previous", "agent_started", "agent_finished"]).annotate({
    description:
      "After what: the start of the call, the end of what the caller said before, the agent's first sample of its answer, or its end."
  }),
  delay_ms: DelayMs.annotate({ description: "How long after that; 0 by default." }).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(0))
  )
})
export type CallTrigger = typeof CallTrigger.Type

/** Defaults of a script's settings, in ms. A pause between two sentences of the agent must be shorter than the quiet. */
export const callScriptDefaults = {
  reply_timeout_ms: 6_000,
  agent_quiet_ms: 1_200,
  /** The bound on every call: 4 h. */
  max_call_ms: 14_400_000
} as const

/**
 * A script as a JSON file: what the caller says (WAV files, relative to the script) or types, and when.
 *
 * With `hold_key` the caller holds its key while it says that (sessions with `turn_detection: push_to_talk`).
 * Without `at`, the first step is at the start and each other one when the agent has finished; `hang_up` is when the
 * agent has finished.
 *
 * @example
 * { "steps": [
 *     { "say": "question.wav" },
 *     { "say": "wait-stop.wav", "at": { "after": "agent_started", "delay_ms": 2500 } }
 *   ],
 *   "hang_up": { "after": "agent_finished", "delay_ms": 500 } }
 */
export const CallScriptFile = Schema.Struct({
  steps: Schema.Array(Schema.Union([
    Schema.Struct({
      say: Schema.NonEmptyString.annotate({ description: "A WAV file, relative to the script." }),
      at: Schema.optionalKey(CallTrigger),
      hold_key: Schema.optionalKey(
        Schema.Boolean.annotate({ description: "The caller holds its key meanwhile (`turn_detection: push_to_talk`)." })
      )
    }),
    Schema.Struct({
      text: Schema.NonEmptyString.annotate({ description: "What the caller types." }),
      at: Schema.optionalKey(CallTrigger)
    })
  ])).pipe(Schema.check(Schema.isMinLength(1), Schema.isMaxLength(1_000))),
  hang_up: Schema.optionalKey(CallTrigger),
  reply_timeout_ms: Schema.optionalKey(
    WaitMs.annotate({ description: "How long an agent is waited for that does not start." })
  ),
  agent_quiet_ms: Schema.optionalKey(
    WaitMs.annotate({
      description: "Quiet after which the agent has finished; longer than its pauses between sentences."
    })
  ),
  max_call_ms: Schema.optionalKey(WaitMs.annotate({ description: "The longest that the call may take." }))
})
export type CallScriptFile = typeof CallScriptFile.Type

/** One thing that the caller does: says samples (mono, 16 kHz) or types. */
export type CallStep =
  | { readonly say: Int16Array; readonly at: CallTrigger; readonly hold_key?: boolean }
  | { readonly text: string; readonly at: CallTrigger }

/** What the caller does in a call. */
export interface CallScript {
  readonly steps: ReadonlyArray<CallStep>
  readonly hang_up: CallTrigger
  readonly reply_timeout_ms: number
  readonly agent_quiet_ms: number
  readonly max_call_ms: number
  /** Steps that are not due by this time of the call, ms, are left out, and the caller hangs up; by default none is. */
  readonly last_step_ms?: number
}

type WithoutAt<Step> = Step extends unknown ? Omit<Step, "at"> & { readonly at?: CallTrigger } : never

/** A script with the defaults of {@link CallScriptFile} filled in. */
export const makeCallScript = (
  steps: ReadonlyArray<WithoutAt<CallStep>>,
  settings?: Partial<Omit<CallScript, "steps">>
): CallScript => ({
  steps: steps.map((step, i) => ({
    ...step,
    at: step.at ?? { after: i === 0 ? "start" : "agent_finished", delay_ms: 0 }
  })),
  hang_up: { after: "agent_finished", delay_ms: 0 },
  ...callScriptDefaults,
  ...settings
})

/** The script for one recording: play it from the start, hear the answer out, hang up. */
export const singleCallScript = (samples: Int16Array): CallScript => makeCallScript([{ say: samples }])

/** Reads a script and the recordings that it names. The notices are those of the recordings. */
export const loadCallScript = (
  path: string
): Effect.Effect<
  { readonly script: CallScript; readonly notices: ReadonlyArray<string> },
  CallScriptError | WaveFileError,
  FileSystem.FileSystem | Path.Path
> =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const paths = yield* Path.Path
    const text = yield* Effect.mapError(fs.readFileString(path), (error) => unreadable(path, error))
    const json = yield* Effect.try({
      try: () => JSON.parse(text) as unknown,
      catch: (cause) =>
        fault(path, "not_json", `it is not JSON (${cause instanceof Error ? cause.message : "?"})`, cause)
    })
    const file = yield* Effect.mapError(
      Schema.decodeUnknownEffect(CallScriptFile, { onExcessProperty: "error" })(json),
      (error) => fault(path, "invalid", oneLine(error.message), error)
    )
    const notices: Array<string> = []
    const steps = yield* Effect.forEach(file.steps, (step) =>
      Effect.gen(function*() {
        if ("text" in step) return step
        const recording = yield* readAudioFile(paths.resolve(paths.dirname(path), step.say))
        notices.push(...recording.notices)
        return { ...step, say: recording.samples }
      }))
    const { steps: _, ...settings } = file
    return { script: makeCallScript(steps, settings), notices }
  })

const fault = (input: string, code: CallScriptError["code"], what: string, cause: unknown): CallScriptError =>
  new CallScriptError({
    code,
    input,
    message: `The call script ${input} cannot be used: ${what}`,
    ...(code === "invalid" || code === "not_json" ? { hint: example } : {}),
    cause
  })

const example =
  `A script is, for example: { "steps": [{ "say": "question.wav" }, { "text": "Stop.", "at": { "after": "agent_started", "delay_ms": 800 } }] }`

/** The schema's words, each fault once, on one line. */
const oneLine = (message: string): string => [...new Set(message.replace(/\n\s+at /gu, " at ").split("\n"))].join("; ")

const unreadable = (path: string, error: PlatformError.PlatformError): CallScriptError =>
  error.reason._tag === "NotFound"
    ? fault(path, "missing", "there is no such file; check the path.", error)
    : fault(path, "unreadable", `reading it failed (${error.message}).`, error)
