import type { SessionCommand } from "@rspp/contracts/SessionCommand"
import type { SessionInput } from "@rspp/contracts/SessionInput"

/**
 * The conversation that a command belongs to, with a provider call, with the output of a turn or with the recorder: its
 * answers are filed there too ({@link dialogueOfAnswer}). Undefined where nobody answers.
 */
export const dialogueOfAsk = (command: SessionCommand): string | undefined => {
  switch (command.type) {
    case "start_invocation":
    case "mark_utterance":
    case "cancel_invocation":
    case "pause_invocation":
    case "resume_invocation":
    case "push_item":
    case "end_items":
      return `call:${command.provider_invocation_id}`
    case "predict_turn":
      return `prediction:${command.provider_invocation_id}:${command.pause_id}`
    case "enqueue_output":
    case "end_segment":
    case "end_output":
    case "pause_output":
    case "resume_output":
    case "fence_output":
      return `output:${command.turn_id}`
    case "append_evidence":
      return `evidence:${command.turn_id}`
    case "reserve_turn":
      return `reservation:${command.reservation_id}`
    default:
      return undefined
  }
}

/** The conversation in which an input is an answer; undefined for what comes from elsewhere, such as the caller. */
export const dialogueOfAnswer = (input: SessionInput): string | undefined => {
  switch (input.type) {
    case "transcript":
    case "text_delta":
    case "segment":
    case "voice_chunk":
    case "node_item":
    case "item_done":
    case "dispatch_shed":
    case "invocation_ended":
      return `call:${input.provider_invocation_id}`
    case "turn_prediction":
      return `prediction:${input.provider_invocation_id}:${input.pause_id}`
    // Whether output may leave is for the lease to say, at its own time: `output_rejected` is no answer.
    case "output_accepted":
    case "playback_started":
    case "playback_completed":
    case "playback_cancelled":
    case "egress_dequeued":
    case "egress_fenced":
    case "egress_paused":
      return `output:${input.turn_id}`
    case "evidence_appended":
      return `evidence:${input.turn_id}`
    case "turn_reserved":
      return `reservation:${input.reservation_id}`
    default:
      return undefined
  }
}
