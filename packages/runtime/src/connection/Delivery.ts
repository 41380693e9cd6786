import type { InputOf } from "@rspp/contracts/SessionInput"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type { SessionGateway } from "../events/EventGateway.ts"
import type { KernelContext } from "../kernel/KernelContext.ts"
import type { SessionConversation } from "../session/Conversation.ts"
import type { Segment, Turn } from "../turn/Turn.ts"

type Report = InputOf<"output_accepted" | "playback_started" | "playback_completed" | "playback_cancelled">

/** Delivery of one session. */
export interface SessionDelivery {
  /** Applies a report of egress to the turn that it names. */
  readonly report: (turn: Turn, report: Report) => void
}

/**
 * Transport mapping (RK-22), the kernel's side: what egress reports becomes signals by segment, and what was heard
 * becomes what the conversation remembers.
 *
 * Guarantees: I-PLAY-ID a report is matched by segment id, never by counting; I-PLAY-ONCE each segment starts once and
 * ends once, completed or cancelled.
 */
export class Delivery extends Context.Service<Delivery, {
  readonly open: (
    context: KernelContext,
    gateway: SessionGateway,
    conversation: SessionConversation
  ) => SessionDelivery
}>()("rspp/Delivery") {
  static readonly layer = Layer.succeed(Delivery, {
    open: (context, gateway, conversation) => {
      const tellsAfterFence = !context.behaves("untoldAfterFence")
      const tell = (turn: Turn, segment: Segment | undefined, report: Report) =>
        gateway.signal(report.type, "RK-22", {
          turn_id: turn.turnId,
          ...(segment?.invocation === undefined ? {} : { provider_invocation_id: segment.invocation })
        })
      return {
        report: (turn, report) => {
          const segment = turn.segments.find((candidate) => candidate.segmentId === report.segment_id)
          switch (report.type) {
            case "output_accepted": {
              if (segment === undefined || segment.accepted || turn.fenced) return
              segment.accepted = true
              // Nothing to play: its playback is over with its acceptance.
              if (report.samples === 0) segment.playbackEnded = true
              // It was on its way when the fence went up: the caller gets no more of the turn.
              if (!turn.fenceRequested || tellsAfterFence) tell(turn, segment, report)
              return
            }
            case "playback_started": {
              if (segment === undefined || segment.playbackStarted || segment.playbackEnded) return
              segment.playbackStarted = true
              tell(turn, segment, report)
              return
            }
            case "playback_completed": {
              if (segment === undefined || segment.playbackEnded) return
              segment.playbackEnded = true
              segment.heardSamples = segment.samples
              tell(turn, segment, report)
              conversation.agentSaid(turn)
              return
            }
            case "playback_cancelled": {
              if (segment !== undefined) {
                if (segment.playbackEnded) return
                segment.playbackEnded = true
                segment.heardSamples = Math.min(segment.samples, report.samples)
              }
              tell(turn, segment, report)
              conversation.agentSaid(turn)
              return
            }
          }
        }
      }
    }
  })
}
