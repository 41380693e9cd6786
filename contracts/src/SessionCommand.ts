import * as Schema from "effect/Schema"
import { PayloadKind } from "./GraphDefinition.ts"
import { Id } from "./Identity.ts"
import { Modality } from "./Invocation.ts"
import { PayloadHandle } from "./PayloadHandle.ts"
import { Natural, Positive } from "./Quantity.ts"
import { Milliseconds, PositiveMilliseconds } from "./Time.ts"
import { RecordingLevel } from "./TurnPlan.ts"

const command = <T extends string, F extends Schema.Struct.Fields>(type: T, fields: F) =>
  Schema.Struct({ type: Schema.Literal(type), ...fields })

/**
 * One line of the conversation as the language model is to see it: text by handle, `chars` of it (what was heard).
 * `chars_min` and `chars_max` say how sure that is; absent where it is certain.
 */
export const ConversationMessage = Schema.Struct({
  role: Schema.Literals(["system", "user", "assistant"]),
  parts: Schema.Array(Schema.Struct({
    handle_id: Id,
    chars: Natural,
    chars_min: Schema.optionalKey(Natural),
    chars_max: Schema.optionalKey(Natural)
  }))
})
export type ConversationMessage = typeof ConversationMessage.Type

/** A line that a session remembers, and the turn that it is the reply of. */
export const RememberedMessage = Schema.Struct({
  role: Schema.Literals(["system", "user", "assistant"]),
  turn_id: Schema.optionalKey(Id),
  parts: Schema.Array(Schema.Struct({ handle_id: Id, chars: Natural }))
})
export type RememberedMessage = typeof RememberedMessage.Type

const timer = { timer: Id, generation: Natural } as const

/** What the kernel asks its ports to do. Discriminator: `type`. */
export const SessionCommand = Schema.Union([
  command("start_invocation", {
    provider_invocation_id: Id,
    node_id: Id,
    modality: Modality,
    provider_id: Id,
    turn_id: Schema.optionalKey(Id),
    segment_id: Schema.optionalKey(Id),
    authority_epoch: Natural,
    idempotency_key: Id,
    cap_ms: PositiveMilliseconds,
    from_sample: Schema.optionalKey(Natural),
    text: Schema.optionalKey(PayloadHandle),
    conversation: Schema.optionalKey(Schema.Array(ConversationMessage)),
    // A language model whose text goes elsewhere than to a segmenter of its own; absent: sentences.
    emits: Schema.optionalKey(Schema.Literal("text")),
    // With whom it shares its part of the execution pool, where the plan's edge into it says so; else the tenant.
    fairness_key: Schema.optionalKey(Id)
  }),
  // What a node of its own process or fiber (modality `external`) is to work on, one after the other.
  command("push_item", { provider_invocation_id: Id, edge_id: Id, payload_kind: PayloadKind, handle: PayloadHandle }),
  command("end_items", { provider_invocation_id: Id }),
  // Something that a node may want to know while it works.
  command("notify_node", {
    provider_invocation_id: Id,
    notice: Schema.Literals(["barge_in", "false_alarm", "budget_warning"])
  }),
  command("write_transcript", {
    turn_id: Id,
    node_id: Id,
    role: Schema.Literals(["user", "assistant"]),
    handle: PayloadHandle
  }),
  command("mark_utterance", {
    provider_invocation_id: Id,
    mark: Schema.Literals(["pause", "resume", "end"]),
    pause_id: Schema.optionalKey(Natural)
  }),
  // The end-of-turn model is to say whether the caller has finished, the conversation so far being this.
  command("predict_turn", {
    provider_invocation_id: Id,
    pause_id: Natural,
    timeout_ms: PositiveMilliseconds,
    conversation: Schema.Array(ConversationMessage)
  }),
  command("cancel_invocation", { provider_invocation_id: Id, reason: Id }),
  // Back-pressure: the invocation holds its next result until it may go on.
  command("pause_invocation", { provider_invocation_id: Id }),
  command("resume_invocation", { provider_invocation_id: Id }),
  command("arm_timer", { ...timer, due_ms: Milliseconds }),
  command("disarm_timer", timer),
  command("enqueue_output", { turn_id: Id, segment_id: Id, handle_id: Id, authority_epoch: Natural }),
  command("end_segment", { turn_id: Id, segment_id: Id }),
  command("end_output", { turn_id: Id }),
  command("pause_output", { turn_id: Id }),
  command("resume_output", { turn_id: Id }),
  command("fence_output", { turn_id: Id, authority_epoch: Natural, reason: Id }),
  command("append_evidence", { turn_id: Id }),
  command("seal_supplement", { turn_id: Id }),
  // From here on nothing above this level is kept, whatever plans allow.
  command("limit_recording", { level: RecordingLevel }),
  // What outlives this runtime has changed: it is to be kept.
  command("keep_state", { revision: Natural }),
  // A turn is wanted while the tenant's turns are limited; `turn_reserved` answers. What is granted is given back once.
  command("reserve_turn", {
    reservation_id: Id,
    max_concurrent_turns: Schema.optionalKey(Positive),
    max_turns_per_minute: Schema.optionalKey(Positive)
  }),
  command("release_turn", { reservation_id: Id }),
  // The tenant's sessions are limited: this one wants its place; `session_reserved` answers.
  command("reserve_session", { max_sessions: Positive }),
  command("end_session", { reason: Id })
]).annotate({ identifier: "SessionCommand" })
export type SessionCommand = typeof SessionCommand.Type
export type SessionCommandType = SessionCommand["type"]
/** The command of one type: `CommandOf<"arm_timer">`. */
export type CommandOf<T extends SessionCommandType> = Extract<SessionCommand, { readonly type: T }>
