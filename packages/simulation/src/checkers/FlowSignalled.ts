import type { ResolvedTurnPlan } from "@rspp/contracts/TurnPlan"
import type { Checker } from "./Checker.ts"
import { beginsStep, Findings } from "./Checker.ts"

export const flowSignalled: Checker = {
  id: "C20",
  holds: ["I-EDGE-BOUND"],
  sentence:
    "Back-pressure is told in the plan's own mode: a producer that is held has its flow_xoff, one that goes on its flow_xon or its credit; watermarks cross up and down in turn.",
  check: (header, records) => {
    const findings = new Findings("C20", records)
    const plans = new Map<string, ResolvedTurnPlan>()
    const owners = new Map<string, string>()
    /** Calls that work ahead of their turn: they are held by what is kept of them, and no edge has to do with it. */
    const ahead = new Set<string>()
    const aheadHeld = new Set<string>()
    const held = new Set<string>()
    /** Last crossing of each mark, by turn, edge and mark. */
    const marks = new Map<string, string>()
    let told = new Map<string, number>()
    const modeOf = (turn_id: string | undefined) => plans.get(turn_id ?? "")?.flow_control.mode_by_lane.DataLane
    let index = -1
    for (const record of records) {
      index++
      if (beginsStep(record)) {
        if (told.size > 0) told = new Map()
      } else if (record.record === "plan") plans.set(record.plan.turn_id, record.plan)
      else if (record.record === "signal") {
        const { amount, edge_id = "", reason = "", signal, target_lane, turn_id } = record.signal
        if (target_lane === "ControlLane" || target_lane === "TelemetryLane") {
          if (signal === "watermark") {
            if (reason === (marks.get(target_lane) ?? "lane_low")) {
              findings.broken(`${target_lane} crosses its ${reason} mark again`, index)
            }
            marks.set(target_lane, reason)
          }
          const laneMode = header.pipeline.flow_control.mode_by_lane[target_lane]
          const untold = signal === "credit_grant" ? "signal" : signal.startsWith("flow_") ? "credit" : undefined
          if (laneMode === untold) findings.broken(`${signal} of the ${target_lane} in ${laneMode} mode`, index)
          if (signal === "drop_notice" && target_lane === "ControlLane") findings.broken("control was lost", index)
          continue
        }
        switch (signal) {
          case "watermark": {
            const lane = reason.startsWith("lane_")
            const key = `${turn_id} ${lane ? "lane" : edge_id}`
            const crossing = lane ? reason.slice("lane_".length) : reason
            if (crossing === (marks.get(key) ?? "low")) {
              findings.broken(`${key} crosses its ${crossing} mark again`, index, turn_id)
            }
            marks.set(key, crossing)
            break
          }
          case "flow_xoff":
          case "flow_xon":
            if (modeOf(turn_id) === "credit") findings.broken(`${signal} in credit mode`, index, turn_id)
            told.set(`${signal} ${turn_id}`, index)
            break
          case "credit_grant": {
            if (modeOf(turn_id) === "signal") findings.broken("credit in signal mode", index, turn_id)
            const bound = plans.get(turn_id ?? "")?.edge_buffer_policies[edge_id]?.max_queue_items
            if (amount === undefined || bound === undefined || amount > bound) {
              findings.broken(`credit for ${amount} on an edge of ${bound}`, index, turn_id)
            }
            told.set(`${signal} ${turn_id}`, index)
            break
          }
          default:
            break
        }
      } else if (record.record === "command") {
        const { command } = record
        if (command.type === "start_invocation") {
          if (command.turn_id !== undefined) owners.set(command.provider_invocation_id, command.turn_id)
          else if (command.modality === "llm") ahead.add(command.provider_invocation_id)
        } else if (command.type === "pause_invocation") {
          if (ahead.has(command.provider_invocation_id)) {
            held.add(command.provider_invocation_id)
            aheadHeld.add(command.provider_invocation_id)
            continue
          }
          const turn_id = owners.get(command.provider_invocation_id)
          if (!owners.has(command.provider_invocation_id)) findings.broken("a call is held that is not at work", index)
          if (modeOf(turn_id) !== "credit" && !told.has(`flow_xoff ${turn_id}`)) {
            findings.broken(`${command.provider_invocation_id} is held without flow_xoff`, index, turn_id)
          }
          held.add(command.provider_invocation_id)
        } else if (command.type === "resume_invocation") {
          const { provider_invocation_id: id } = command
          const turn_id = owners.get(id)
          if (!held.delete(id)) findings.broken(`${id} goes on and was not held`, index, turn_id)
          // It is a turn's from this step on.
          if (aheadHeld.delete(id)) continue
          const mode = modeOf(turn_id)
          if (mode !== "credit" && !told.has(`flow_xon ${turn_id}`)) {
            findings.broken(`${id} goes on without flow_xon`, index, turn_id)
          }
          if (mode !== "signal" && !told.has(`credit_grant ${turn_id}`)) {
            findings.broken(`${id} goes on without credit`, index, turn_id)
          }
        }
      } else if (record.record === "event" && record.event.reason === "speculation_promoted") {
        const { provider_invocation_id: id = "", turn_id = "" } = record.event
        ahead.delete(id)
        owners.set(id, turn_id)
      } else if (record.record === "invocation") {
        ahead.delete(record.invocation.provider_invocation_id)
        held.delete(record.invocation.provider_invocation_id)
        owners.delete(record.invocation.provider_invocation_id)
      }
    }
    return findings.violations
  }
}
