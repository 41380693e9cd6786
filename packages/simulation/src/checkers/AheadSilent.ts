import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { Checker } from "./Checker.ts"
import { beginsStep, Findings } from "./Checker.ts"

/** A call that works ahead of its turn. */
interface Ahead {
  readonly node: string
  /** Handles of the caller's words that it was asked, as the last line of its conversation. */
  readonly asked: ReadonlyArray<string>
  readonly epoch: number
  readonly provider: string
  readonly conversation: string
  /** It was withdrawn, and nothing of it may be used. */
  withdrawn: boolean
}

export const aheadSilent: Checker = {
  id: "C33",
  holds: ["I-AHEAD-SILENT", "I-AHEAD-CAS", "I-AHEAD-ONE"],
  sentence:
    "A model works ahead of its turn only where the session wants it, once for one turn; nothing of it is spoken, shown or remembered before the turn is open, and it becomes the turn's own only with the same words, conversation and epoch.",
  check: (header, records) => {
    const findings = new Findings("C33", records)
    const wanted = header.session_config.speculation?.preemptive === true
    const ahead = new Map<string, Ahead>()
    /** What calls ahead of a turn gave, by handle. */
    const given = new Map<string, string>()
    /** The turn that opens in this step. */
    let opened: string | undefined
    /** Words that were proposed last. */
    let heard: PayloadHandle | undefined
    const texts = new Map<string, PayloadHandle>()
    let input: unknown
    let promoted: Array<string> = []
    let index = -1
    const uses = (handle: string | undefined, what: string) => {
      const call = given.get(handle ?? "")
      if (call === undefined) return
      const own = ahead.get(call)
      if (own === undefined) return
      findings.broken(`${what} ${handle} of ${call}, which is ${own.withdrawn ? "withdrawn" : "no turn's yet"}`, index)
    }
    for (const record of records) {
      index++
      if (beginsStep(record)) {
        opened = undefined
        promoted = []
        input = record.record === "input" ? record.input : undefined
      }
      switch (record.record) {
        case "input": {
          const { input: taken } = record
          if (taken.type === "transcript" && taken.finality === "final") {
            texts.set(taken.provider_invocation_id, taken.handle)
          } else if ("handle" in taken && "provider_invocation_id" in taken) {
            if (ahead.has(taken.provider_invocation_id)) given.set(taken.handle.id, taken.provider_invocation_id)
          }
          break
        }
        case "signal": {
          const { provider_invocation_id = "", signal, turn_id } = record.signal
          if (signal === "turn_open") opened = turn_id
          else if (signal === "turn_open_proposed") {
            const said = input as { readonly handle?: PayloadHandle } | undefined
            heard = texts.get(provider_invocation_id) ?? said?.handle
          }
          break
        }
        case "event": {
          const { provider_invocation_id: id = "", reason = "", turn_id } = record.event
          if (!reason.startsWith("speculation_")) break
          const call = ahead.get(id)
          if (call === undefined) {
            findings.broken(`${reason} of ${id}, which does not work ahead`, index)
          } else if (reason.startsWith("speculation_withdrawn:")) {
            if (call.withdrawn) findings.broken(`${id} is withdrawn twice`, index)
            call.withdrawn = true
          } else if (reason === "speculation_promoted") {
            if (opened === undefined || turn_id !== opened) {
              findings.broken(`${id} is given to no turn that opens`, index)
            }
            if (call.withdrawn) findings.broken(`${id} is promoted and was withdrawn`, index, turn_id)
            if (heard !== undefined && !call.asked.includes(heard.id)) {
              findings.broken(`${id} is promoted, and was asked something else`, index, turn_id)
            }
            if (record.event.authority_epoch !== undefined && record.event.authority_epoch !== call.epoch) {
              findings.broken(`${id} is promoted under another epoch`, index, turn_id)
            }
            ahead.delete(id)
            promoted.push(call.conversation)
          }
          break
        }
        case "command": {
          const { command } = record
          if (command.type === "start_invocation") {
            const { conversation = [], modality, node_id, provider_invocation_id: id, text, turn_id } = command
            uses(text?.id, "somebody speaks")
            for (const { parts } of conversation) for (const { handle_id } of parts) uses(handle_id, "a model is told")
            if (modality === "llm" && turn_id !== undefined && promoted.length > 0) {
              // Who starts in the same step sees the same conversation: what was promoted is not older.
              const same = promoted.every((other) => other === linesOf(conversation.slice(0, -1)))
              const whole = conversation.at(-1)?.role === "user"
              if (whole && !same) {
                findings.broken(`${id} sees another conversation than what was promoted`, index, turn_id)
              }
            }
            if (modality !== "llm" || turn_id !== undefined) break
            if (!wanted) findings.broken(`${id} works ahead, and the session does not want that`, index)
            for (const [other, own] of ahead) {
              if (!own.withdrawn && (own.node === node_id || own.asked.join() !== lastOf(conversation).join())) {
                findings.broken(`${id} works ahead beside ${other}`, index)
              }
            }
            ahead.set(id, {
              node: node_id,
              asked: lastOf(conversation),
              epoch: command.authority_epoch,
              provider: command.provider_id,
              conversation: linesOf(conversation.slice(0, -1)),
              withdrawn: false
            })
          } else if (command.type === "push_item" || command.type === "write_transcript") {
            uses(command.handle.id, "a node gets")
          } else if (command.type === "enqueue_output") uses(command.handle_id, "the caller hears")
          else if (command.type === "end_session") {
            for (const [id, own] of ahead) {
              if (!own.withdrawn) findings.broken(`the session ends, and ${id} still works ahead`, index)
            }
          }
          break
        }
        default:
          break
      }
    }
    return findings.violations
  }
}

interface Line {
  readonly role: string
  readonly parts: ReadonlyArray<{ readonly handle_id: string; readonly chars: number }>
}
const lastOf = (lines: ReadonlyArray<Line>) => lines.at(-1)?.parts.map(({ handle_id }) => handle_id) ?? []
const linesOf = (lines: ReadonlyArray<Line>) =>
  lines.map(({ parts, role }) => `${role} ${parts.map(({ chars, handle_id }) => `${handle_id}:${chars}`).join()}`).join(
    "\n"
  )
