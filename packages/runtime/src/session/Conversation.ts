import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { RememberedMessage, SessionCommand } from "@rspp/contracts/SessionCommand"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type { KernelContext } from "../kernel/KernelContext.ts"
import type { Segment, Turn } from "../turn/Turn.ts"
import { heardOf } from "./Heard.ts"

/** Lines of conversation that a session keeps for the model; older ones are forgotten first. */
export const rememberedLines = 64

type Lines = NonNullable<Extract<SessionCommand, { readonly type: "start_invocation" }>["conversation"]>
type Part = Lines[number]["parts"][number]

/** What one session remembers of its conversation, as handles. */
export interface SessionConversation {
  readonly userSaid: (handle: PayloadHandle) => void
  /** The reply of a turn, as far as it was heard; called again when more is known. */
  readonly agentSaid: (turn: Turn) => void
  /**
   * `asked`: what the last thing that the caller said has become on its way to the model. `next`: what the caller has
   * probably said, and is not remembered yet.
   */
  readonly lines: (asked?: ReadonlyArray<PayloadHandle>, next?: PayloadHandle) => Lines
  /** Changes whenever what is remembered does. */
  readonly version: () => number
  /** Everything, with the turns of replies: what another placement needs to go on. */
  readonly remembered: () => ReadonlyArray<RememberedMessage>
  readonly restore: (lines: ReadonlyArray<RememberedMessage>) => void
}

/** What was heard of a sentence, as recordings of before `turnTaking` have it: without bounds. */
const shareOf = ({ handle, heardSamples, samples }: Segment): number =>
  samples === 0 ? 0 : Math.floor(handle.length * Math.min(1, heardSamples / samples))

/**
 * Session state (RK-20): the conversation that the model is given.
 *
 * What the agent said is what the caller heard: a reply that was cut counts up to where playback had come. How many
 * characters that is, is an estimate by the rule of {@link heardOf}; a part that is not certain says between what it lies
 * (`chars_min`, `chars_max`), and what the model is given is the estimate. A sentence of which nothing was heard for
 * certain, by that estimate, is left out.
 */
export class Conversation extends Context.Service<Conversation, {
  readonly open: (context: KernelContext) => SessionConversation
}>()("rspp/Conversation") {
  static readonly layer = Layer.succeed(Conversation, {
    open: (context) => {
      const bounded = context.behaves("turnTaking")
      const partOf = (segment: Segment): Part => {
        const handle_id = segment.handle.id
        if (!bounded) return { handle_id, chars: shareOf(segment) }
        const { chars, max, min } = heardOf(segment)
        return min < max ? { handle_id, chars, chars_min: min, chars_max: max } : { handle_id, chars }
      }
      const lines: Array<{ readonly turnId?: string; line: Lines[number] }> = []
      let version = 0
      const userLine = (handles: ReadonlyArray<PayloadHandle>): Lines[number] => ({
        role: "user",
        parts: handles.map((handle) => ({ handle_id: handle.id, chars: handle.length }))
      })
      const trim = () => {
        while (lines.length > rememberedLines) lines.shift()
      }
      return {
        version: () => version,
        remembered: () =>
          lines.filter(({ line }) => line.parts.length > 0).map(({ line, turnId }) => ({
            role: line.role,
            ...(turnId === undefined ? {} : { turn_id: turnId }),
            parts: line.parts.map(({ chars, handle_id }) => ({ handle_id, chars }))
          })),
        restore: (remembered) => {
          version++
          for (const { parts, role, turn_id } of remembered) {
            lines.push({ line: { role, parts }, ...(turn_id === undefined ? {} : { turnId: turn_id }) })
          }
          trim()
        },
        lines: (asked, next) => {
          const last = asked === undefined ? undefined : lines.findLast(({ line }) => line.role === "user")
          const given: Array<Lines[number]> = []
          for (const entry of lines) {
            const line = entry === last ? userLine(asked ?? []) : entry.line
            if (line.parts.length > 0) given.push(line)
          }
          if (next !== undefined) given.push(userLine([next]))
          return given
        },
        userSaid: (handle) => {
          version++
          lines.push({ line: userLine([handle]) })
          trim()
        },
        agentSaid: (turn) => {
          const parts = turn.segments.map(partOf).filter((part) => part.chars > 0)
          const known = lines.findLast((entry) => entry.turnId === turn.turnId)
          if (known !== undefined) {
            if (!sameParts(known.line.parts, parts)) version++
            known.line = { role: "assistant", parts }
          } else {
            if (parts.length > 0) version++
            // Also when nothing was heard yet: the place of the line is that of its turn.
            lines.push({ turnId: turn.turnId, line: { role: "assistant", parts } })
            trim()
          }
        }
      }
    }
  })
}

const sameParts = (a: Lines[number]["parts"], b: Lines[number]["parts"]): boolean =>
  a.length === b.length && a.every((part, i) => part.handle_id === b[i]?.handle_id && part.chars === b[i].chars)
