import type { ResolvedTurnPlan } from "@rspp/contracts/TurnPlan"
import type { Checker } from "./Checker.ts"
import { beginsStep, Findings } from "./Checker.ts"
import { recordedGraph } from "./RecordedGraph.ts"
import { attemptsOf, triedAgain } from "./RetriesWait.ts"

export const adaptsAsPlanned: Checker = {
  id: "C19",
  holds: ["I-PLAN-FROZEN"],
  sentence:
    "A turn works with the providers of its plan, and adapts only as the plan allows: another attempt, another provider and a reply without speech each need their action, a failure that was told, and a signal of their own.",
  check: (header, records) => {
    const findings = new Findings("C19", records)
    const graph = recordedGraph(header)
    const plans = new Map<string, ResolvedTurnPlan>()
    /** Provider and attempts of the latest call for each piece of work. */
    const works = new Map<string, { readonly provider: string; readonly attempts: number }>()
    const maxAttempts = attemptsOf(header.behaviour_flags)
    /** The work of each call, and the work that waits to be done again after a failure that was told. */
    const workOf = new Map<string, string>()
    const toAgain = new Set<string>()
    let told = new Set<string>()
    const allows = (turn_id: string, action: ResolvedTurnPlan["allowed_adaptive_actions"][number]) =>
      plans.get(turn_id)?.allowed_adaptive_actions.includes(action) === true
    let index = -1
    for (const record of records) {
      index++
      if (beginsStep(record)) {
        if (told.size > 0) told = new Set()
      } else if (record.record === "plan") plans.set(record.plan.turn_id, record.plan)
      else if (record.record === "signal") {
        const { emitted_by, node_id = "", reason = "", signal, turn_id } = record.signal
        told.add(signal)
        if (turn_id === undefined) continue
        if (signal === "provider_switch" && !allows(turn_id, signal)) {
          findings.broken("the plan allows no switch", index, turn_id)
        } else if (signal === "fallback" || signal === "degrade") {
          const shedding = plans.get(turn_id)?.flow_control.shedding_strategy_by_lane.DataLane
          const allowed = emitted_by === "RK-13" ? shedding === signal : allows(turn_id, signal)
          if (!allowed) findings.broken(`the plan allows no ${signal}`, index, turn_id)
          if (reason.startsWith("node_passed_by:") && graph.node(node_id)?.optional !== true) {
            findings.broken(`${node_id} is gone round, and is not optional`, index, turn_id)
          }
        }
      } else if (record.record === "command" && record.command.type === "arm_timer") {
        const work = workOf.get(triedAgain(record.command.timer) ?? "")
        if (work !== undefined && told.has("provider_error")) toAgain.add(work)
      } else if (record.record === "command" && record.command.type === "start_invocation") {
        const { idempotency_key, modality, node_id, provider_id, provider_invocation_id: id, turn_id } = record.command
        const bindings = (turn_id === undefined ? header.pipeline : plans.get(turn_id))?.provider_bindings
        const before = works.get(idempotency_key)
        const again = before?.provider === provider_id
        workOf.set(id, idempotency_key)
        const failed = told.has("provider_error") || (again && toAgain.has(idempotency_key))
        toAgain.delete(idempotency_key)
        works.set(idempotency_key, { provider: provider_id, attempts: again ? before.attempts + 1 : 1 })
        if (bindings === undefined) {
          findings.broken(`${id} is started for ${turn_id}, which has no plan`, index, turn_id)
        } else if (before === undefined) {
          // A spare that stands in for speech stays with its sentence; a new sentence begins with the plan's own.
          const node = graph.node(node_id)
          const own = bindings[`${modality}.${node_id}`] ?? bindings[modality] ?? node?.provider_id ??
            `builtin/${node?.node_type}`
          if (provider_id !== own) findings.broken(`${id} is not the plan's ${modality}`, index, turn_id)
        } else {
          if (!failed) findings.broken(`${id} stands in, and no failure was told`, index, turn_id)
          if (again) {
            if (turn_id === undefined || !allows(turn_id, "retry")) {
              findings.broken("the plan allows no retry", index, turn_id)
            }
            if (before.attempts >= maxAttempts) {
              findings.broken(`${id} is attempt ${before.attempts + 1}`, index, turn_id)
            }
          } else {
            if (provider_id !== bindings[`${modality}.fallback`]) {
              findings.broken(`${id} is not the plan's spare`, index, turn_id)
            }
            if (!told.has("provider_switch") && !told.has("fallback")) {
              findings.broken(`${id} stands in untold`, index, turn_id)
            }
          }
        }
      }
    }
    return findings.violations
  }
}
