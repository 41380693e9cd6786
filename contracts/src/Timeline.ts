import * as Schema from "effect/Schema"
import { EventRecord, Lane, PayloadClass } from "./Event.ts"
import { BaselineEvidence, EvidenceSupplement, PayloadDecision } from "./Evidence.ts"
import { freeMap, Id, SchemaVersion, Sha256Hex } from "./Identity.ts"
import { InvocationFacts } from "./Invocation.ts"
import { NormalizedPipeline } from "./NormalizedPipeline.ts"
import { DecisionOutcome } from "./Outcome.ts"
import { Integer, Natural, Positive } from "./Quantity.ts"
import { SessionCommand } from "./SessionCommand.ts"
import { SessionConfig } from "./SessionConfig.ts"
import { SessionInput } from "./SessionInput.ts"
import { ControlSignal } from "./Signal.ts"
import { Milliseconds, PositiveMilliseconds } from "./Time.ts"
import { TurnTransition } from "./Turn.ts"
import { RecordingLevel, ResolvedTurnPlan } from "./TurnPlan.ts"

export type { InvocationFacts } from "./Invocation.ts"

/** Version of the timeline format that new recordings are written in. */
export const timelineFormatVersion = 2

/** Versions of the timeline format that are read. A recording is of the version that its header and its first line say. */
export const readableFormatVersions: ReadonlyArray<number> = [1, timelineFormatVersion]

/**
 * What kernels do since a certain version and did not do before: a replay does it only where the recording's header has
 * the number.
 *
 * - 1: the cut of an utterance at its length limit is told; what was heard of a reply that was cut has bounds, and
 *   characters of a sentence that the voice had not finished are counted at its usual speed.
 * - 2: what outlives the runtime is asked to be kept whenever the conversation has changed.
 * - 3: a call has limits after its first result too; turn and path warn before they run out; another path has a budget of
 *   its own; an edge's budget runs while its consumer is busy, and its latency bound acts; `lane_handling` decides what
 *   an edge does; telemetry is shed past its watermark; admission is asked before an open turn makes way; circuits tell.
 * - 4: evidence says of sound at L1 that it was masked (it said that it was hashed, and no hash was kept); what is
 *   dropped keeps no hash in its handle either.
 * - 5: evidence says at which level its turn was recorded.
 * - 6: what egress had taken just before the fence of its turn is not told once the fence is up.
 * - 7: a call is tried again after a wait, up to three times in all, and only if that fits into its turn's budgets.
 * - 8: a half-open circuit is tried by one call at a time, which decides it for the session; a recogniser whose circuit is
 *   open is replaced by its stand-in, and no model is asked early whose circuit is not closed.
 * - 9: what was heard of a sentence follows the marks of a voice that says how far it has spoken.
 * - 10: an interim transcript that comes after the cancel of its recogniser counts as late.
 * - 11: the total latency of a call counts from the first attempt at its work, waits included (it was that of the attempt alone).
 */
export const behaviourFlags = {
  turnTaking: 1,
  durableState: 2,
  limits: 3,
  truthfulRedaction: 4,
  levelInEvidence: 5,
  untoldAfterFence: 6,
  attempts: 7,
  trials: 8,
  marks: 9,
  lateInterims: 10,
  totalOverAttempts: 11
} as const

// A check and not a literal: `record` alone is to tell records apart, so that a header of another version is reported as that.
const FormatVersion = Integer.check(Schema.makeFilter<number>((version) => readableFormatVersions.includes(version), {
  expected: `format version ${readableFormatVersions.join(" or ")}`,
  rule: "enum",
  toJsonSchema: () => ({ enum: [...readableFormatVersions] })
}))

const record = <T extends string, F extends Schema.Struct.Fields>(name: T, fields: F) =>
  Schema.Struct({ record: Schema.Literal(name), ...fields }).annotate({ identifier: `${name}_record` })

const stamp = { runtime_sequence: Natural, runtime_timestamp_ms: Milliseconds } as const

/** First record of a timeline: everything that a replay needs besides the records that follow. */
export const TimelineHeader = record("header", {
  schema_version: SchemaVersion,
  format_version: FormatVersion,
  rspp_version: Id,
  session_id: Id,
  tenant_id: Id,
  pipeline_version: Id,
  /** Numbers of the behaviour flags that were on; a replay runs under the same ones. */
  behaviour_flags: Schema.Array(Natural),
  seed: Natural,
  wall_clock_start_ms: Milliseconds,
  clock: Schema.Literals(["realtime", "virtual"]),
  recording_level: RecordingLevel,
  session_config: SessionConfig,
  session_config_hash: Sha256Hex,
  pipeline: NormalizedPipeline,
  /** Time to the first result of the providers whose catalog entry declares one, by provider id. */
  provider_caps: freeMap(PositiveMilliseconds),
  /** The key that payloads are sealed under, and tokens made with; absent where they are in the clear. */
  payload_key_id: Schema.optionalKey(Id),
  /** What this recording leaves out on purpose. */
  not_captured: Schema.Array(Id)
})
export type TimelineHeader = typeof TimelineHeader.Type

/**
 * A run of caller frames: the frames `first_sequence … first_sequence + count - 1` of 20 ms each.
 *
 * `jitter` has one entry per frame after the first: its arrival minus the arrival of the frame before, minus 20 ms.
 * Absent means that all are 0.
 */
export const AudioRun = record("audio", {
  first_sequence: Natural,
  count: Positive,
  first_sample_index: Natural,
  first_timestamp_ms: Milliseconds,
  jitter: Schema.optionalKey(Schema.Array(Integer))
})
export type AudioRun = typeof AudioRun.Type

export const InputRecord = record("input", { ...stamp, lane: Lane, input: SessionInput })
export type InputRecord = typeof InputRecord.Type
export const SignalRecord = record("signal", { signal: ControlSignal })
export type SignalRecord = typeof SignalRecord.Type
export const DataEventRecord = record("event", { event: EventRecord })
export type DataEventRecord = typeof DataEventRecord.Type
export const TransitionRecord = record("transition", { ...stamp, turn_id: Id, transition: TurnTransition })
export type TransitionRecord = typeof TransitionRecord.Type
export const PlanRecord = record("plan", { ...stamp, plan: ResolvedTurnPlan })
export type PlanRecord = typeof PlanRecord.Type
export const DecisionRecord = record("decision", { runtime_sequence: Natural, decision: DecisionOutcome })
export type DecisionRecord = typeof DecisionRecord.Type
/** Written when an invocation has ended. */
export const InvocationRecord = record("invocation", { ...stamp, invocation: InvocationFacts })
export type InvocationRecord = typeof InvocationRecord.Type
export const CommandRecord = record("command", { ...stamp, command: SessionCommand })
export type CommandRecord = typeof CommandRecord.Type
export const EvidenceRecord = record("evidence", { evidence: BaselineEvidence })
export type EvidenceRecord = typeof EvidenceRecord.Type
export const SupplementRecord = record("supplement", { supplement: EvidenceSupplement })
export type SupplementRecord = typeof SupplementRecord.Type
/** What a recording keeps of a payload above L0: after redaction, by handle. */
export const PayloadRecord = record("payload", {
  handle_id: Id,
  payload_class: PayloadClass,
  action: Schema.Literals(["allow", "mask", "hash", "drop", "tokenize"]),
  text: Schema.optionalKey(Id),
  /** 16 kHz mono s16le. */
  pcm_base64: Schema.optionalKey(Id)
})
export type PayloadRecord = typeof PayloadRecord.Type
/** Caller audio kept at L2: the samples from `first_sample_index` on, 16 kHz mono s16le. */
export const CallerAudioRecord = record("caller_audio", { first_sample_index: Natural, pcm_base64: Id })
export type CallerAudioRecord = typeof CallerAudioRecord.Type
/** Turns that follow each other and were recorded below the level that their plans allow. */
export const LoweredTurns = Schema.Struct({
  first_turn: Id,
  last_turn: Id,
  turns: Positive,
  /** The lowest level at which one of them was recorded. */
  level: RecordingLevel
}).annotate({ identifier: "LoweredTurns" })
export type LoweredTurns = typeof LoweredTurns.Type
/**
 * What a recording does not have of its session, as its recorder knows when it closes it. A replay mode that needs
 * something of it refuses and names it.
 */
export const RecordingManifest = Schema.Struct({
  /** The lowest recording level that was in force. */
  level: RecordingLevel,
  /** Caller audio that was kept of what came in; `none` too where none came in. */
  caller_audio: Schema.Literals(["whole", "part", "none"]),
  /** Payloads that were not kept as they were: how many of which class met which redaction. */
  payloads: Schema.Array(PayloadDecision),
  /** Payload, caller audio and telemetry records that were made and had to go for lack of room. */
  detail_dropped: Natural,
  /** Any other records that were lost to overload or the disk. */
  records_lost: Natural,
  /** Turns that pressure on the recorder had recorded below their plan's level, oldest first; absent when there were none. */
  lowered_turns: Schema.optionalKey(Schema.Array(LoweredTurns))
}).annotate({ identifier: "RecordingManifest" })
export type RecordingManifest = typeof RecordingManifest.Type
const held = {
  /** Which record it was. */
  of: Schema.Literals(["payload", "caller_audio"]),
  payload_class: PayloadClass,
  handle_id: Schema.optionalKey(Id),
  first_sample_index: Schema.optionalKey(Natural)
} as const
/**
 * A payload or caller audio that only the holder of a key can read: the canonical JSON of its `payload` or
 * `caller_audio` record, by AES-256-GCM under the recording's key, the authentication tag last. The nonce is `nonce` as
 * 12 bytes, big-endian; the other fields are authenticated with it. Replay needs no payload and so no key.
 */
export const SealedRecord = record("sealed", { ...held, key_id: Id, nonce: Natural, data_base64: Id })
export type SealedRecord = typeof SealedRecord.Type
/** Stands where a payload or caller audio was that has been deleted since. */
export const RemovedRecord = record("removed", { ...held, why: Schema.Literals(["hard_delete", "retention"]) })
export type RemovedRecord = typeof RemovedRecord.Type
/** Last record of a timeline that was closed properly; `records` counts those before it. */
export const EndRecord = record("end", {
  last_sequence: Natural,
  runtime_timestamp_ms: Milliseconds,
  reason: Id,
  records: Natural,
  /** Absent in recordings of version 0.1 and before. */
  not_captured: Schema.optionalKey(RecordingManifest)
})
export type EndRecord = typeof EndRecord.Type

/** Any record of a timeline, told apart by `record`. The artifacts inside are held to all of their own rules. */
export const TimelineRecord = Schema.Union([
  TimelineHeader,
  AudioRun,
  InputRecord,
  SignalRecord,
  DataEventRecord,
  TransitionRecord,
  PlanRecord,
  DecisionRecord,
  InvocationRecord,
  CommandRecord,
  EvidenceRecord,
  SupplementRecord,
  PayloadRecord,
  CallerAudioRecord,
  SealedRecord,
  RemovedRecord,
  EndRecord
])
export type TimelineRecord = typeof TimelineRecord.Type
