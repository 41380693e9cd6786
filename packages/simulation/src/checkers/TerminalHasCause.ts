import type { Checker } from "./Checker.ts"
import { beginsStep, Findings } from "./Checker.ts"

/** The causes that end a turn, strongest first (CONTRACT section 4, precedence), and the reason that each gives. */
const causes = ["authority", "cancel", "budget", "evidence", "provider", "node", "connection"] as const
type Cause = typeof causes[number]
const reasons: Readonly<Record<Cause, string>> = {
  authority: "authority_loss",
  cancel: "cancelled",
  budget: "turn_budget_exhausted",
  evidence: "recording_evidence_unavailable",
  provider: "provider_failure",
  node: "node_timeout_or_failure",
  connection: "transport_disconnect_or_stall"
}

/** Failures of one rank: the first that came counts. */
const failures: ReadonlySet<Cause> = new Set(["evidence", "provider", "node"])
/** Causes that a turn may outlive, as far as its plan and its graph allow. */
const survivable: ReadonlySet<Cause> = new Set(["provider", "node"])

interface Open {
  readonly id: string
  readonly causes: Set<Cause>
  /** Segments that were begun, by whether egress has accepted them. */
  readonly segments: Map<string, boolean>
  outputEnded: boolean
  asked: boolean
  fenced: boolean
}

export const terminalHasCause: Checker = {
  id: "C12",
  holds: ["I-FENCE-FIRST", "I-EVIDENCE-FIRST", "I-TURN-PRECEDENCE"],
  sentence:
    "A commit comes of appended evidence of a complete reply, an abort of a reported fence, with the reason of the strongest cause that was there; whatever ends a turn fences it in its own step.",
  check: (_header, records) => {
    const findings = new Findings("C12", records)
    let open: Open | undefined
    /** The turn of each node's call, and the segment of each voice's. */
    const nodes = new Map<string, string>()
    const speaking = new Map<string, string>()
    /** What the session takes in now. */
    let answered: string | undefined
    let ending: Cause | undefined
    /** The budget of the path ran out in this step, and no other cause of its kind was there before. */
    let pathRanOut = false
    let begun = 0

    const settle = () => {
      if (open === undefined) return
      const { id } = open
      if (ending !== undefined && !open.fenced) findings.broken(`${ending} ends ${id} and does not fence it`, begun, id)
      if (
        open.outputEnded && !open.fenced && !open.asked && [...open.segments.values()].every((accepted) => accepted)
      ) {
        findings.broken(`the reply of ${id} is complete and its evidence is not asked for`, begun, id)
      }
    }
    const ends = (turn_id: string | undefined, cause: Cause, must: boolean) => {
      if (open === undefined || (turn_id !== undefined && turn_id !== open.id)) return
      open.causes.add(cause)
      if (must) ending = cause
    }

    let index = -1
    for (const record of records) {
      index++
      if (beginsStep(record)) {
        settle()
        begun = index
        answered = undefined
        ending = undefined
        pathRanOut = false
      }
      if (record.record === "input") {
        const { input } = record
        if (input.type === "egress_fenced") answered = `fence ${input.turn_id}`
        else if (input.type === "invocation_ended") {
          // A node that the kernel had told to stop has not failed by that.
          const failed = input.outcome_class !== "success" && input.outcome_class !== "cancelled"
          if (failed && nodes.has(input.provider_invocation_id)) {
            ends(nodes.get(input.provider_invocation_id), "node", false)
          }
        } else if (input.type === "evidence_appended") {
          answered = `${input.result} ${input.turn_id}`
          if (input.result === "refused" && open?.asked === true) ends(input.turn_id, "evidence", true)
        } else if (input.type === "output_accepted" && open?.id === input.turn_id) {
          open.segments.set(input.segment_id, true)
        } else if (input.type === "shutdown") ends(undefined, "connection", true)
      } else if (record.record === "command") {
        const { command } = record
        if (command.type === "start_invocation" && command.segment_id !== undefined) {
          speaking.set(command.provider_invocation_id, command.segment_id)
        }
        if (command.type === "start_invocation" && command.modality === "external" && command.turn_id !== undefined) {
          nodes.set(command.provider_invocation_id, command.turn_id)
        }
        if (!("turn_id" in command) || command.turn_id !== open?.id || open === undefined) continue
        if (
          command.type === "start_invocation" || command.type === "enqueue_output" || command.type === "end_segment"
        ) {
          if (command.segment_id !== undefined && !open.segments.has(command.segment_id)) {
            open.segments.set(command.segment_id, false)
          }
        } else if (command.type === "end_output") open.outputEnded = true
        else if (command.type === "append_evidence") {
          if (open.asked) findings.broken(`the evidence of ${open.id} is asked for twice`, index, open.id)
          open.asked = true
        } else if (command.type === "fence_output") {
          open.fenced = true
          if (open.causes.size === 0) findings.broken(`${open.id} is fenced for no cause`, index, open.id)
        }
      } else if (record.record === "signal") {
        const { edge_id, provider_invocation_id: call = "", reason, signal, turn_id } = record.signal
        switch (signal) {
          case "turn_open":
            open = {
              id: turn_id ?? "",
              causes: new Set(),
              segments: new Map(),
              outputEnded: false,
              asked: false,
              fenced: false
            }
            break
          case "deauthorized_drain":
            if (turn_id !== undefined) ends(turn_id, "authority", true)
            break
          case "cancel":
            if (turn_id !== undefined) ends(turn_id, "cancel", true)
            break
          case "budget_exhausted":
            if (reason === "turn_budget" || reason === "path_budget") {
              pathRanOut = reason === "path_budget" && open?.causes.has("budget") === false
              ends(turn_id ?? "", "budget", true)
            } else if (nodes.has(call)) ends(nodes.get(call), "node", false)
            break
          case "provider_switch":
          case "fallback":
            // Another voice speaks the sentence, as one of its own.
            if (signal === "fallback" && edge_id !== undefined) open?.segments.delete(speaking.get(call) ?? "")
            // Another path is in use from now on, with a budget of its own.
            if (!pathRanOut || turn_id !== open?.id) break
            pathRanOut = false
            open?.causes.delete("budget")
            if (ending === "budget") ending = undefined
            break
          case "provider_error":
            if (turn_id !== undefined) ends(turn_id, "provider", false)
            break
          case "disconnected":
          case "stall":
          case "ended":
            ends(undefined, "connection", true)
            break
          case "commit":
          case "abort": {
            if (open === undefined || turn_id !== open.id) break
            const { id } = open
            if (signal === "commit") {
              if (answered !== `appended ${id}` || !open.asked) {
                findings.broken(`${id} commits without its evidence`, index, id)
              }
              if (!open.outputEnded) findings.broken(`${id} commits before the end of its output`, index, id)
              for (const [segment, accepted] of open.segments) {
                if (!accepted) findings.broken(`${id} commits before egress has accepted ${segment}`, index, id)
              }
              const strong = causes.find((cause) => !survivable.has(cause) && open?.causes.has(cause))
              if (strong !== undefined) findings.broken(`${id} commits in spite of ${strong}`, index, id)
            } else {
              if (answered !== `fence ${id}` || !open.fenced) {
                findings.broken(`${id} aborts before its fence is up`, index, id)
              }
              const cause = causes.find((candidate) => reasons[candidate] === reason)
              const strongest = causes.find((candidate) => open?.causes.has(candidate))
              // Of the causes of one rank the first that came counts.
              const sameRank = cause !== undefined && strongest !== undefined && failures.has(cause) &&
                failures.has(strongest)
              if (cause === undefined || !open.causes.has(cause)) {
                findings.broken(`${id} aborts with ${reason}, for which there is no cause`, index, id)
              } else if (cause !== strongest && !sameRank && !survivable.has(strongest ?? cause)) {
                findings.broken(`${id} aborts with ${reason} in spite of ${strongest}`, index, id)
              }
            }
            open = undefined
            ending = undefined
            break
          }
          default:
            break
        }
      }
    }
    settle()
    return findings.violations
  }
}
