import type { Checker } from "./Checker.ts"
import { beginsStep, Findings, isData } from "./Checker.ts"

export const controlFirst: Checker = {
  id: "C08",
  holds: ["I-LANE-CONTROL", "I-CANCEL-FENCE"],
  sentence:
    "Control never waits behind data: egress's answer to a fence or a pause comes before any data, and an accepted cancel is fenced in its step before anything else of the turn.",
  check: (_header, records) => {
    const findings = new Findings("C08", records)
    /** What egress was asked in the last step and has put on the control lane at once. */
    const asked = new Map<string, number>()
    const fenced = new Set<string>()
    /** The turn whose cancel was accepted and that is not fenced yet. */
    let cancelled: { readonly turn: string; readonly index: number } | undefined
    let index = -1
    for (const record of records) {
      index++
      if (beginsStep(record)) {
        if (cancelled !== undefined) {
          findings.broken(`the cancel of ${cancelled.turn} put up no fence`, cancelled.index, cancelled.turn)
          cancelled = undefined
        }
        const data = record.record === "audio" || (record.record === "input" && isData(record.input.type))
        if (data && asked.size > 0) {
          findings.broken(`data comes before the answer to ${[...asked.keys()].join(", ")}`, index)
          asked.clear()
        }
      }
      if (record.record === "input") {
        const { input, lane } = record
        const right = isData(input.type) ? "DataLane" : "ControlLane"
        if (lane !== right) findings.broken(`${input.type} came over the ${lane}`, index)
        if (input.type === "egress_fenced") asked.delete(`fence_output ${input.turn_id}`)
        else if (input.type === "egress_paused") asked.delete(`pause_output ${input.turn_id}`)
      } else if (record.record === "signal") {
        const { lane, scope, signal, turn_id } = record.signal
        if (lane !== "ControlLane") findings.broken(`${signal} is not on the control lane`, index)
        if (signal === "cancel" && turn_id !== undefined && !fenced.has(turn_id)) {
          if (scope === "turn" || scope === "session") cancelled = { turn: turn_id, index }
        }
      } else if (record.record === "event") {
        if (cancelled !== undefined && record.event.lane === "DataLane") {
          findings.broken(`data comes between the cancel of ${cancelled.turn} and its fence`, index, cancelled.turn)
        }
      } else if (record.record === "command") {
        const { command } = record
        if (command.type === "fence_output") {
          fenced.add(command.turn_id)
          asked.set(`fence_output ${command.turn_id}`, index)
          asked.delete(`pause_output ${command.turn_id}`)
          if (cancelled?.turn === command.turn_id) cancelled = undefined
        } else if (command.type === "pause_output") {
          if (!fenced.has(command.turn_id)) asked.set(`pause_output ${command.turn_id}`, index)
        } else if (cancelled !== undefined) {
          findings.broken(
            `${command.type} comes between the cancel of ${cancelled.turn} and its fence`,
            index,
            cancelled.turn
          )
        }
      }
    }
    return findings.violations
  }
}
