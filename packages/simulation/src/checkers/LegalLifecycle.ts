import type { TurnState } from "@rspp/contracts/Turn"
import { legalTransitions } from "@rspp/contracts/Turn"
import type { Checker } from "./Checker.ts"
import { beginsStep, Findings } from "./Checker.ts"

const rows = new Map<string, typeof legalTransitions[number]>(legalTransitions.map((row) => [row.trigger, row]))

const refusals = new Set(["reject", "defer", "stale_epoch_reject", "deauthorized_drain"])

export const legalLifecycle: Checker = {
  id: "C11",
  holds: ["I-TURN-LEGAL", "I-TURN-ONE"],
  sentence:
    "Turns move only along the rows of CONTRACT section 4, one turn at a time; each step of a turn has its signal, each refusal and admission its decision, and every intent comes to one of them.",
  check: (_header, records) => {
    const findings = new Findings("C11", records)
    const states = new Map<string, TurnState>()
    let current: string | undefined
    let proposals = 0
    let taken = 0
    /** Triggers of this step: what was signalled, what was decided, and how turns moved. */
    let signalled: Array<string> = []
    let decided: Array<string> = []
    let moved: Array<string> = []
    let begun = 0

    const settle = () => {
      if (signalled.length > 0 || moved.length > 0) {
        const [signals, moves] = [signalled.sort().join(", "), moved.sort().join(", ")]
        if (signals !== moves) findings.broken(`turns moved by [${moves}], and the signals were [${signals}]`, begun)
        for (const move of moved) {
          const [trigger = "", turn = ""] = move.split(" ")
          const outcome = refusals.has(trigger) ? trigger : trigger === "turn_open" ? "admit" : undefined
          if (outcome !== undefined && !decided.includes(`${outcome} ${turn}`)) {
            findings.broken(`${trigger} of ${turn} has no decision`, begun, turn)
          }
        }
      }
      for (const decision of decided) {
        const [outcome = "", turn = ""] = decision.split(" ")
        const trigger = outcome === "admit" ? "turn_open" : outcome
        if (!moved.includes(`${trigger} ${turn}`)) findings.broken(`${outcome} of ${turn} moved no turn`, begun, turn)
      }
      if (current !== undefined) {
        const state = states.get(current)
        if (state === "Opening" || state === "Terminal") findings.broken(`${current} stays ${state}`, begun, current)
      }
      if (signalled.length > 0) signalled = []
      if (decided.length > 0) decided = []
      if (moved.length > 0) moved = []
    }

    let index = -1
    for (const record of records) {
      index++
      if (beginsStep(record)) {
        settle()
        begun = index
      } else if (record.record === "transition") {
        const { transition, turn_id } = record
        const { from_state, to_state, trigger } = transition
        const row = rows.get(trigger)
        const state = states.get(turn_id)
        if (row === undefined || row.from_state !== from_state || row.to_state !== to_state) {
          findings.broken(`${trigger} does not lead from ${from_state} to ${to_state}`, index, turn_id)
        }
        if (trigger === "turn_open_proposed" ? state !== undefined : state !== from_state) {
          findings.broken(`${trigger} of ${turn_id} in state ${state ?? "none"}`, index, turn_id)
        }
        if (trigger === "turn_open_proposed") {
          if (current !== undefined && states.get(current) !== "Active") {
            findings.broken(`${turn_id} is arbitrated while ${current} is`, index, turn_id)
          }
          if (++taken > proposals) findings.broken(`${turn_id} was wanted by nobody`, index, turn_id)
        } else {
          moved.push(`${trigger} ${turn_id}`)
          if (trigger === "turn_open") {
            if (current !== undefined) findings.broken(`${turn_id} opens while ${current} is open`, index, turn_id)
            current = turn_id
          } else if (to_state === "Closed") current = undefined
        }
        states.set(turn_id, to_state)
      } else if (record.record === "signal") {
        const { event_scope, signal, turn_id } = record.signal
        if (signal === "turn_open_proposed") proposals++
        else if (turn_id !== undefined && rows.has(signal)) {
          if (!refusals.has(signal) || event_scope === "session") signalled.push(`${signal} ${turn_id}`)
        }
      } else if (record.record === "decision") {
        const { outcome_kind, phase, scope, turn_id } = record.decision
        if (phase === "pre_turn" && scope === "turn" && turn_id !== undefined) {
          decided.push(`${outcome_kind} ${turn_id}`)
        }
      } else if (record.record === "command" && record.command.type === "end_session") {
        if (taken !== proposals) findings.broken(`${proposals} turns were wanted and ${taken} were arbitrated`, index)
      }
    }
    settle()
    return findings.violations
  }
}
