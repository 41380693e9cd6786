import type { Checker } from "./Checker.ts"
import { beginsStep, Findings } from "./Checker.ts"

/** What is known of a turn that was opened. */
interface Holder {
  closed: boolean
  fenced: boolean
  /** Sentences with speech that was sent and has not come to its end. */
  readonly speech: Set<string>
}

/** Closed turns whose playback a session still follows. */
const followed = 4

const refusals = new Set(["reject", "defer", "stale_epoch_reject", "deauthorized_drain"])

export const floorKept: Checker = {
  id: "C24",
  holds: ["I-TURN-ONE"],
  sentence:
    "One turn at a time has the floor: an intent that is not turned away fences the turn that is open or still heard, so does the loss of the lease, and nothing is paused or cut but a turn that is.",
  check: (_header, records) => {
    const findings = new Findings("C24", records)
    const turns = new Map<string, Holder>()
    const closed: Array<string> = []
    /** Turns that this step has to fence, because of an intent or a lost lease, unless that is turned away. */
    let due: ReadonlyArray<string> = []
    let cause = ""
    let refused = false
    let begun = 0

    const holds = (turn_id: string): boolean => {
      const turn = turns.get(turn_id)
      if (turn === undefined || turn.fenced) return false
      return !turn.closed || (turn.speech.size > 0 && closed.slice(-followed).includes(turn_id))
    }
    const settle = () => {
      if (!refused) {
        for (const turn_id of due) {
          if (turns.get(turn_id)?.fenced === false) {
            findings.broken(`${turn_id} goes on speaking beside ${cause}`, begun, turn_id)
          }
        }
      }
      if (due.length > 0) due = []
      refused = false
    }

    let index = -1
    for (const record of records) {
      index++
      if (beginsStep(record)) {
        settle()
        begun = index
      }
      if (record.record === "input") {
        const { input } = record
        if (input.type === "playback_completed" || input.type === "playback_cancelled") {
          if (input.segment_id !== undefined) turns.get(input.turn_id)?.speech.delete(input.segment_id)
        } else if (input.type === "lease" && input.status !== "issued" && input.status !== "renewed") {
          due = [...turns.keys()].filter(holds)
          cause = "a lease that is lost"
        } else if (input.type === "turn_reserved" && input.granted) {
          due = [...turns.keys()].filter(holds)
          cause = "a new intent"
        }
      } else if (record.record === "signal") {
        const { event_scope, signal, turn_id } = record.signal
        if (signal === "turn_open_proposed") {
          due = [...turns.keys()].filter(holds)
          cause = "a new intent"
        } else if (signal === "stale_epoch_reject") refused = true
        else if (event_scope === "session" && refusals.has(signal)) refused = true
        else if (turn_id !== undefined && signal === "turn_open") {
          turns.set(turn_id, { closed: false, fenced: false, speech: new Set() })
        } else if (turn_id !== undefined && signal === "close") {
          const turn = turns.get(turn_id)
          if (turn !== undefined) turn.closed = true
          closed.push(turn_id)
        } else if (turn_id !== undefined && signal === "cancel" && record.signal.scope === "turn" && !holds(turn_id)) {
          findings.broken(`${turn_id} is cut and was not heard`, index, turn_id)
        }
      } else if (record.record === "command") {
        const { command } = record
        // It makes way only when the new turn has its place; one that nobody waits for any more is given back.
        if (command.type === "reserve_turn") due = []
        else if (command.type === "release_turn") refused = true
        else if (command.type === "enqueue_output") turns.get(command.turn_id)?.speech.add(command.segment_id)
        else if (command.type === "fence_output") {
          const turn = turns.get(command.turn_id)
          if (turn !== undefined) turn.fenced = true
        } else if (command.type === "pause_output" && !holds(command.turn_id)) {
          findings.broken(`${command.turn_id} is paused and was not heard`, index, command.turn_id)
        }
      }
    }
    settle()
    return findings.violations
  }
}
