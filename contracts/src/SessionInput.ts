import * as Schema from "effect/Schema"
import { PayloadKind } from "./GraphDefinition.ts"
import { Id } from "./Identity.ts"
import { InvocationUsage, OutcomeClass } from "./Invocation.ts"
import { PayloadHandle } from "./PayloadHandle.ts"
import { Natural, Percent, Positive } from "./Quantity.ts"
import { SignalScope } from "./Signal.ts"
import { RememberedMessage } from "./SessionCommand.ts"
import { Snapshot } from "./Snapshot.ts"
import { RecordingLevel } from "./TurnPlan.ts"
import { Milliseconds } from "./Time.ts"

export const leaseStatuses = ["issued", "renewed", "rotated", "revoked", "expired"] as const
export const LeaseStatus = Schema.Literals(leaseStatuses)
export type LeaseStatus = typeof LeaseStatus.Type

/** What makes a recorder go down a level (CONTRACT section 7), and that it need not any longer. */
export const pressureReasons = ["append_queue_fill", "export_lag", "eased"] as const
export const PressureReason = Schema.Literals(pressureReasons)
export type PressureReason = typeof PressureReason.Type

export const connectionStates = ["connected", "reconnecting", "disconnected", "ended", "silence", "stall"] as const
export const ConnectionState = Schema.Literals(connectionStates)
export type ConnectionState = typeof ConnectionState.Type

/** Any input may say which epoch its producer worked under; the guard compares it with the session's. */
const input = <T extends string, F extends Schema.Struct.Fields>(type: T, fields: F) =>
  Schema.Struct({ type: Schema.Literal(type), authority_epoch: Schema.optionalKey(Natural), ...fields })

const segment = { turn_id: Id, segment_id: Id } as const
const turnSegment = { turn_id: Id, segment_id: Schema.optionalKey(Id) } as const
const providerChunk = { provider_invocation_id: Id, handle: PayloadHandle } as const

/**
 * Everything that crosses the one door of a session, except caller audio, which has run records of its own.
 *
 * The sequencer stamps each with `runtime_sequence` and time, records it and applies it. Discriminator: `type`.
 */
export const SessionInput = Schema.Union([
  input("session_started", {}),
  // A session that another placement began goes on here, with what that one had settled.
  input("session_resumed", {
    turns: Natural,
    invocations: Natural,
    accepted_turns: Natural,
    idempotency_keys: Schema.Array(Id),
    conversation: Schema.Array(RememberedMessage)
  }),
  input("shutdown", { reason: Id }),
  input("snapshot", { snapshot: Snapshot }),
  // Here the epoch is the lease's own, so it is required.
  Schema.Struct({
    type: Schema.Literal("lease"),
    authority_epoch: Natural,
    status: LeaseStatus,
    ttl_ms: Milliseconds,
    lease_token: Schema.optionalKey(Id)
  }),
  input("connection", { state: ConnectionState }),
  input("audio_ended", {}),
  input("voice_activity", { edge: Schema.Literals(["speech_started", "speech_ended"]), sample_index: Natural }),
  // The caller's key, where that says when the caller speaks (`turn_detection: push_to_talk`); `cancelled` takes back what
  // was said since the press.
  input("push_to_talk", { state: Schema.Literals(["pressed", "released", "cancelled"]) }),
  // How probable it is that the caller has finished, answering `predict_turn`; without `percent`, why there is no answer.
  input("turn_prediction", {
    provider_invocation_id: Id,
    pause_id: Natural,
    percent: Schema.optionalKey(Percent),
    reason: Schema.optionalKey(Id)
  }),
  input("transcript", {
    provider_invocation_id: Id,
    finality: Schema.Literals(["partial", "final"]),
    pause_id: Schema.optionalKey(Natural),
    handle: PayloadHandle
  }),
  input("text_delta", providerChunk),
  input("segment", providerChunk),
  input("voice_chunk", providerChunk),
  // What a custom node, text filter or segmenter gave; and that it is done with the item that it was pushed.
  input("node_item", { ...providerChunk, payload_kind: PayloadKind }),
  input("item_done", { provider_invocation_id: Id }),
  // `attempts` counts the requests that were made for it; `retry_after_ms` is how long its vendor asked to wait.
  input("invocation_ended", {
    provider_invocation_id: Id,
    outcome_class: OutcomeClass,
    retryable: Schema.Boolean,
    attempts: Positive,
    late_outputs: Natural,
    reason: Schema.optionalKey(Id),
    retry_after_ms: Schema.optionalKey(Milliseconds),
    usage: Schema.optionalKey(InvocationUsage)
  }),
  input("timer", { timer: Id, generation: Natural }),
  input("cancel_requested", {
    scope: SignalScope,
    turn_id: Schema.optionalKey(Id),
    node_id: Schema.optionalKey(Id),
    provider_invocation_id: Schema.optionalKey(Id),
    reason: Id,
    idempotency_key: Schema.optionalKey(Id)
  }),
  input("output_accepted", { ...segment, samples: Natural }),
  input("playback_started", segment),
  input("playback_completed", { ...segment, samples: Natural }),
  // `samples` counts what was heard before the cut.
  input("playback_cancelled", { ...turnSegment, samples: Natural }),
  Schema.Struct({
    type: Schema.Literal("output_rejected"),
    ...turnSegment,
    authority_epoch: Natural,
    reason: Schema.Literals(["fenced", "stale_epoch", "lease_expired"]),
    samples: Natural
  }),
  // What egress took off the voice edge and passed on: `items` chunks of `samples` samples in all.
  input("egress_dequeued", { turn_id: Id, items: Natural, samples: Natural }),
  input("egress_fenced", { turn_id: Id, dropped_samples: Natural }),
  input("egress_paused", { turn_id: Id, samples: Natural }),
  input("evidence_appended", { turn_id: Id, result: Schema.Literals(["appended", "refused"]) }),
  // The highest level at which the recorder keeps up: one below that in force, or, once the pressure has gone, a higher one.
  input("recording_pressure", { level: RecordingLevel, reason: PressureReason }),
  input("typed_text", { handle: PayloadHandle, idempotency_key: Schema.optionalKey(Id) }),
  input("turn_reserved", { reservation_id: Id, granted: Schema.Boolean, reason: Schema.optionalKey(Id) }),
  input("session_reserved", { granted: Schema.Boolean, reason: Schema.optionalKey(Id) }),
  // The execution pool had no room for a call: its end follows.
  input("dispatch_shed", { provider_invocation_id: Id, reason: Id }),
  input("media_loss", { edge_id: Id, count: Positive, first: Natural, last: Natural })
]).annotate({ identifier: "SessionInput" })
export type SessionInput = typeof SessionInput.Type
export type SessionInputType = SessionInput["type"]
/** The input of one type: `InputOf<"timer">`. */
export type InputOf<T extends SessionInputType> = Extract<SessionInput, { readonly type: T }>
