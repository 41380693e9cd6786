import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { SessionCommand } from "@rspp/contracts/SessionCommand"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type { Turn } from "../turn/Turn.ts"

/** Lines of conversation that a session keeps for the model; older ones are forgotten first. */
export const rememberedLines = 64

type Lines = NonNullable<Extract<SessionCommand, { readonly type: "start_invocation" }>["conversation"]>

/** What one session remembers of its conversation, as handles. */
export interface SessionConversation {
  readonly userSaid: (handle: PayloadHandle) => void
  /** The reply of a turn, as far as it was heard; called again when more is known. */
  readonly agentSaid: (turn: Turn) => void
  /** `asked`: what the last thing that the caller said has become on its way to the model. */
  readonly lines: (asked?: ReadonlyArray<PayloadHandle>) => Lines
}

/**
 * Session state (RK-20): the conversation that the model is given.
 *
 * What the agent said is what the caller heard: a reply that was cut counts up to where playback had come, in
 * characters in proportion to the samples that were heard (an estimate, as long as the voice gives no word times).
 */
export class Conversation extends Context.Service<Conversation, {
  readonly open: () => SessionConversation
}>()("rspp/Conversation") {
  static readonly layer = Layer.succeed(Conversation, {
    open: () => {
      const lines: Array<{ readonly turnId?: string; line: Lines[number] }> = []
      const trim = () => {
        if (lines.length > rememberedLines) lines.splice(0, lines.length - rememberedLines)
      }
      return {
        lines: (asked) => {
          const last = asked === undefined ? undefined : lines.findLast(({ line }) => line.role === "user")
          return lines
            .map((entry): Lines[number] =>
              entry === last
                ? {
                  role: "user",
                  parts: (asked ?? []).map((handle) => ({ handle_id: handle.id, chars: handle.length }))
                }
                : entry.line
            )
            .filter((line) => line.parts.length > 0)
        },
        userSaid: (handle) => {
          lines.push({ line: { role: "user", parts: [{ handle_id: handle.id, chars: handle.length }] } })
          trim()
        },
        agentSaid: (turn) => {
          const parts = turn.segments
            .map((segment) => ({
              handle_id: segment.handle.id,
              chars: segment.samples === 0
                ? 0
                : Math.floor(segment.handle.length * Math.min(1, segment.heardSamples / segment.samples))
            }))
            .filter((part) => part.chars > 0)
          const known = lines.find((entry) => entry.turnId === turn.turnId)
          if (known !== undefined) known.line = { role: "assistant", parts }
          else {
            // Also when nothing was heard yet: the place of the line is that of its turn.
            lines.push({ turnId: turn.turnId, line: { role: "assistant", parts } })
            trim()
          }
        }
      }
    }
  })
}
