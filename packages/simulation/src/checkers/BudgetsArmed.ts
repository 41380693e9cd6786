import type { ResolvedTurnPlan } from "@rspp/contracts/TurnPlan"
import type { Checker } from "./Checker.ts"
import { beginsStep, Findings } from "./Checker.ts"

/** What a firing must bring about, by the timer's name up to its colon. */
const effects: Readonly<Record<string, string>> = {
  "budget.turn": "budget_exhausted",
  "budget.path": "budget_exhausted",
  "budget.call": "budget_exhausted",
  "budget.latency": "budget_exhausted",
  "budget.turn_soft": "budget_warning",
  "budget.path_soft": "budget_warning",
  "budget.node": "budget_warning",
  "budget.edge": "budget_warning",
  grace: "seal_supplement"
}

export const budgetsArmed: Checker = {
  id: "C16",
  holds: ["I-BUDGET-NAMED"],
  sentence:
    "Every turn, every provider call and every utterance runs under its limit, armed in the step that begins it with the time of the plan; what runs out is told by its name, and nothing takes a limit away before it is kept.",
  check: (header, records) => {
    const findings = new Findings("C16", records)
    const armed = new Map<string, { readonly generation: number; readonly dueMs: number }>()
    const caps = new Map<string, number>()
    const plans = new Map<string, ResolvedTurnPlan>()
    /** Turns whose envelope may end: speech was sent, or their output or themselves ended. */
    const settled = new Set<string>()
    /** Limits that this step must arm, and when they are due. */
    let wanted = new Map<string, number | undefined>()
    /** Limits that this step took away. */
    let disarmed: Array<string> = []
    let effect: { readonly timer: string; readonly name: string } | undefined
    let newPath = false
    /** Calls that gave a result, were cancelled, were told to go on, or ended in this step. */
    let served = new Set<string>()
    /** Calls that are held on purpose: nothing of theirs runs out meanwhile. */
    const held = new Set<string>()
    let begun = 0
    const capOf = (provider: string) => header.provider_caps[provider] ?? header.pipeline.provider_first_result_ms

    const settle = () => {
      for (const [timer, due] of wanted) {
        const set = armed.get(timer)
        if (set === undefined) findings.broken(`${timer} is not armed`, begun)
        else if (due !== undefined && set.dueMs !== due) {
          findings.broken(`${timer} is due at ${set.dueMs}, not ${due}`, begun)
        }
      }
      for (const timer of disarmed) {
        const subject = timer.slice(timer.indexOf(":") + 1)
        if (timer.startsWith("budget.turn:") || timer.startsWith("budget.path:")) {
          // Another path has a budget of its own, from when it is chosen.
          if (timer.startsWith("budget.path:") && newPath && armed.has(timer)) continue
          if (!settled.has(subject)) findings.broken(`${timer} is taken away before any speech`, begun, subject)
        } else if (timer.startsWith("budget.call:") && !served.has(subject) && !armed.has(timer)) {
          findings.broken(`${timer} is taken away and nothing came`, begun)
        }
      }
      if (effect !== undefined) findings.broken(`${effect.timer} fires, and no ${effect.name} comes of it`, begun)
      effect = undefined
      if (wanted.size > 0) wanted = new Map()
      if (disarmed.length > 0) disarmed = []
      if (served.size > 0) served = new Set()
      newPath = false
    }

    let index = -1
    for (const record of records) {
      index++
      if (beginsStep(record)) {
        settle()
        begun = index
      }
      switch (record.record) {
        case "input": {
          const { input } = record
          if (input.type === "timer") {
            if (armed.get(input.timer)?.generation !== input.generation) break
            armed.delete(input.timer)
            const name = effects[input.timer.slice(0, Math.max(0, input.timer.indexOf(":")))]
            const subject = input.timer.slice(input.timer.indexOf(":") + 1)
            if (name !== undefined && !held.has(subject)) effect = { timer: input.timer, name }
          } else if ("provider_invocation_id" in input && input.provider_invocation_id !== undefined) {
            served.add(input.provider_invocation_id)
          }
          break
        }
        case "plan":
          plans.set(record.plan.turn_id, record.plan)
          break
        case "signal": {
          const { runtime_timestamp_ms: now, signal, turn_id = "" } = record.signal
          if (effect?.name === signal) effect = undefined
          if (signal === "provider_switch" || signal === "fallback") newPath = true
          if (signal === "turn_open") {
            const budgets = plans.get(turn_id)?.budgets
            if (budgets === undefined) break
            wanted.set(`budget.turn:${turn_id}`, now + budgets.turn_budget_ms)
            wanted.set(`budget.path:${turn_id}`, now + budgets.path_budget_ms_default)
          } else if (signal === "close") wanted.set(`grace:${turn_id}`, now + header.pipeline.cancellation_grace_ms)
          else if (signal === "commit" || signal === "abort") settled.add(turn_id)
          break
        }
        case "command": {
          const { command, runtime_timestamp_ms: now } = record
          if (effect?.name === command.type) effect = undefined
          switch (command.type) {
            case "arm_timer":
              armed.set(command.timer, { generation: command.generation, dueMs: command.due_ms })
              break
            case "disarm_timer":
              armed.delete(command.timer)
              disarmed.push(command.timer)
              break
            case "start_invocation": {
              const { cap_ms, modality, provider_id, provider_invocation_id, turn_id } = command
              if (cap_ms !== capOf(provider_id)) {
                findings.broken(`${provider_invocation_id} has a cap of ${cap_ms} ms`, index)
              }
              caps.set(provider_invocation_id, cap_ms)
              if (modality === "stt") wanted.set("utterance_limit", undefined)
              else {
                wanted.set(`budget.call:${provider_invocation_id}`, now + cap_ms)
                const soft = plans.get(turn_id ?? "")?.budgets.node_budget_ms_default
                if (soft !== undefined && soft < cap_ms) wanted.set(`budget.node:${provider_invocation_id}`, now + soft)
              }
              break
            }
            // A node has the time of a first result for each item, and to end.
            case "push_item":
            case "end_items": {
              const { provider_invocation_id: id } = command
              wanted.set(`budget.call:${id}`, now + (caps.get(id) ?? 0))
              break
            }
            case "mark_utterance":
              if (command.mark === "pause") wanted.set(`budget.call:${command.provider_invocation_id}`, undefined)
              else {
                wanted.delete(`budget.call:${command.provider_invocation_id}`)
                served.add(command.provider_invocation_id)
              }
              break
            case "pause_invocation":
              held.add(command.provider_invocation_id)
              break
            case "resume_invocation":
              held.delete(command.provider_invocation_id)
              served.add(command.provider_invocation_id)
              break
            case "cancel_invocation":
              wanted.delete(`budget.call:${command.provider_invocation_id}`)
              wanted.delete(`budget.node:${command.provider_invocation_id}`)
              served.add(command.provider_invocation_id)
              break
            case "enqueue_output":
            case "end_output":
              settled.add(command.turn_id)
              break
            default:
              break
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
