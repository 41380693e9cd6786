import * as Schema from "effect/Schema"
import { Id } from "./Identity.ts"
import { Modality } from "./Invocation.ts"
import { PayloadHandle } from "./PayloadHandle.ts"
import { Natural } from "./Quantity.ts"
import { Milliseconds, PositiveMilliseconds } from "./Time.ts"

const command = <T extends string, F extends Schema.Struct.Fields>(type: T, fields: F) =>
  Schema.Struct({ type: Schema.Literal(type), ...fields })

/** One line of the conversation as the language model is to see it: text by handle, `chars` of it (what was heard). */
export const ConversationMessage = Schema.Struct({
  role: Schema.Literals(["system", "user", "assistant"]),
  parts: Schema.Array(Schema.Struct({ handle_id: Id, chars: Natural }))
})
export type ConversationMessage = typeof ConversationMessage.Type

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
    conversation: Schema.optionalKey(Schema.Array(ConversationMessage))
  }),
  command("mark_utterance", {
    provider_invocation_id: Id,
    mark: Schema.Literals(["pause", "resume", "end"]),
    pause_id: Schema.optionalKey(Natural)
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
  command("end_session", { reason: Id })
]).annotate({ identifier: "SessionCommand" })
export type SessionCommand = typeof SessionCommand.Type
export type SessionCommandType = SessionCommand["type"]
/** The command of one type: `CommandOf<"arm_timer">`. */
export type CommandOf<T extends SessionCommandType> = Extract<SessionCommand, { readonly type: T }>
