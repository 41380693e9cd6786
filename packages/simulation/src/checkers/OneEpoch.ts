import type { SessionInput } from "@rspp/contracts/SessionInput"
import type { Checker } from "./Checker.ts"
import { Findings } from "./Checker.ts"

/** What must come of the input that is being applied. */
interface Expected {
  readonly index: number
  /** A rejection of something of this epoch. */
  reject: number | undefined
  /** The turns that are to be drained. */
  readonly drain: Set<string>
  /** Nothing else may come of it. */
  readonly alone: boolean
}

/** What the guard turns away when it is of another epoch. */
const guarded = new Set<SessionInput["type"]>([
  "transcript",
  "text_delta",
  "segment",
  "voice_chunk",
  "voice_activity",
  "cancel_requested"
])

export const oneEpoch: Checker = {
  id: "C04",
  holds: ["I-EPOCH-MONOTONE", "I-OUT-EPOCH"],
  sentence:
    "Everything carries the epoch in force, which never goes back; what comes of another epoch is turned away and said, and a turn whose epoch is lost is drained at once.",
  check: (_header, records) => {
    const findings = new Findings("C04", records)
    let epoch = 0
    let held = false
    let lost = -1
    let over = false
    let proposedUnder: number | undefined
    let expected: Expected | undefined
    const open = new Map<string, { readonly epoch: number; drained: boolean }>()
    const recognitions = new Map<string, number>()

    const settle = () => {
      if (expected === undefined) return
      const { drain, index, reject } = expected
      expected = undefined
      if (reject !== undefined) findings.broken(`something of epoch ${reject} was not turned away (${epoch})`, index)
      for (const turn of drain) findings.broken(`${turn} was not drained when its epoch was lost`, index, turn)
    }
    const undrained = () => new Set([...open].filter(([, turn]) => !turn.drained).map(([id]) => id))
    const lose = (index: number) => {
      expected = { index, reject: undefined, drain: undrained(), alone: false }
    }
    const foreign = (index: number, of: number, alone: boolean) => {
      expected = { index, reject: of, drain: new Set(), alone }
    }
    const take = (input: SessionInput, index: number): void => {
      proposedUnder = undefined
      if (input.type === "lease") {
        const { authority_epoch, status } = input
        const holds = status !== "revoked" && status !== "expired"
        if (authority_epoch < epoch || (holds && authority_epoch === lost)) return foreign(index, authority_epoch, true)
        const rotated = authority_epoch > epoch && epoch > 0
        epoch = authority_epoch
        held = holds
        if (!holds) lost = epoch
        if (rotated || !holds) lose(index)
      } else if (input.type === "output_rejected") {
        if (input.reason === "stale_epoch") foreign(index, input.authority_epoch, true)
        else if (input.reason === "lease_expired" && input.authority_epoch === epoch) {
          held = false
          lost = epoch
          lose(index)
        }
      } else if (input.type === "shutdown" || (input.type === "connection" && input.state === "ended")) over = true
      else if (input.authority_epoch !== undefined && input.authority_epoch !== epoch && guarded.has(input.type)) {
        if (!(over && input.type === "voice_activity")) foreign(index, input.authority_epoch, true)
      } else if (input.type === "typed_text") proposedUnder = input.authority_epoch
    }

    let index = -1
    for (const record of records) {
      index++
      switch (record.record) {
        case "audio":
          settle()
          break
        case "input":
          settle()
          take(record.input, index)
          break
        case "signal": {
          const { authority_epoch, provider_invocation_id, reason, signal, target_lane, turn_id } = record.signal
          if (signal === "stale_epoch_reject") {
            if (expected?.reject === authority_epoch) expected.reject = undefined
            if (authority_epoch === epoch && reason !== "lease_of_a_lost_epoch") {
              findings.broken(`something of the epoch in force (${epoch}) is turned away as stale`, index, turn_id)
            }
            break
          }
          if (authority_epoch !== undefined && authority_epoch !== epoch) {
            findings.broken(`${signal} carries epoch ${authority_epoch}; ${epoch} is in force`, index, turn_id)
          }
          // The pressure of a lane goes on whoever comes.
          const ofLane = target_lane === "ControlLane" || target_lane === "TelemetryLane"
          if (expected?.alone === true && !ofLane) {
            findings.broken(`${signal} comes of something of another epoch`, index, turn_id)
          }
          if (signal === "turn_open_proposed") {
            proposedUnder ??= provider_invocation_id === undefined
              ? undefined
              : recognitions.get(provider_invocation_id)
          } else if (signal === "turn_open" && turn_id !== undefined) {
            if (!held) findings.broken(`${turn_id} opens without authority`, index, turn_id)
            if (proposedUnder !== undefined && proposedUnder !== epoch) {
              findings.broken(`${turn_id} opens for an intent of epoch ${proposedUnder}`, index, turn_id)
            }
            open.set(turn_id, { epoch, drained: false })
          } else if (turn_id !== undefined) {
            const turn = open.get(turn_id)
            if (signal === "deauthorized_drain") {
              if (turn !== undefined) turn.drained = true
              expected?.drain.delete(turn_id)
            } else if (signal === "commit" && turn !== undefined && (turn.epoch !== epoch || !held)) {
              findings.broken(
                `${turn_id} of epoch ${turn.epoch} commits under ${held ? epoch : "no lease"}`,
                index,
                turn_id
              )
            } else if (signal === "close") open.delete(turn_id)
          }
          break
        }
        case "event":
          if (record.event.authority_epoch !== undefined && record.event.authority_epoch !== epoch) {
            findings.broken(`an event carries epoch ${record.event.authority_epoch}; ${epoch} is in force`, index)
          }
          if (expected?.alone === true) findings.broken("an event comes of something of another epoch", index)
          break
        case "plan":
          if (record.plan.authority_epoch !== epoch) {
            findings.broken(`a plan of epoch ${record.plan.authority_epoch} under ${epoch}`, index, record.plan.turn_id)
          }
          break
        case "command": {
          const { command } = record
          if (expected?.alone === true) findings.broken(`${command.type} comes of something of another epoch`, index)
          if (command.type === "start_invocation") {
            if (command.modality === "stt") recognitions.set(command.provider_invocation_id, command.authority_epoch)
            if (command.authority_epoch !== epoch) {
              findings.broken(`a call starts under epoch ${command.authority_epoch}; ${epoch} is in force`, index)
            }
          } else if (command.type === "enqueue_output" || command.type === "fence_output") {
            const own = open.get(command.turn_id)?.epoch
            if (own !== undefined && command.authority_epoch !== own) {
              findings.broken(`${command.type} of epoch ${command.authority_epoch} in a turn of ${own}`, index)
            }
            if (command.type === "enqueue_output" && (command.authority_epoch !== epoch || !held)) {
              findings.broken(`output of epoch ${command.authority_epoch} under ${held ? epoch : "no lease"}`, index)
            }
          }
          break
        }
        default:
          break
      }
    }
    settle()
    return findings.violations
  }
}
