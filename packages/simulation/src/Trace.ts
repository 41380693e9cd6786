import type { InputRecord } from "@rspp/contracts/Timeline"
import type { KernelOutput } from "@rspp/runtime/kernel/KernelContext"

const fields = (value: Readonly<Record<string, unknown>>): string =>
  Object.entries(value)
    .filter(([key, field]) => key !== "type" && field !== undefined && typeof field !== "object")
    .map(([key, field]) => `${key}=${String(field)}`)
    .join(" ")

/** One line for a person: what went into a session. */
export const inputLine = ({ input }: InputRecord): string => {
  const handle = "handle" in input ? ` ${input.handle.id}(${input.handle.length})` : ""
  return `→ ${input.type}${handle} ${fields(input)}`.trimEnd()
}

/** One line for a person: what came out of a session. */
export const outputLine = (output: KernelOutput): string => {
  switch (output.record) {
    case "signal": {
      const { amount, edge_id, provider_invocation_id, reason, scope, signal, turn_id } = output.signal
      return `← ${signal} ${fields({ turn_id, reason, scope, edge_id, amount, provider_invocation_id })}`.trimEnd()
    }
    case "event": {
      const { edge_id, lane, reason, turn_id } = output.event
      return `  · ${lane} ${fields({ turn_id, edge_id, reason })}`
    }
    case "decision": {
      const { outcome_kind, phase, reason, scope, turn_id } = output.decision
      return `  ? ${outcome_kind} ${fields({ phase, scope, turn_id, reason })}`
    }
    case "transition":
      return `  ${output.turn_id}: ${output.transition.from_state} → ${output.transition.to_state}`
    case "plan":
      return `  plan of ${output.plan.turn_id} ${output.plan.plan_hash.slice(0, 12)}`
    case "invocation": {
      const { modality, outcome_class, provider_invocation_id, retry_decision } = output.invocation
      return `  ended ${fields({ provider_invocation_id, modality, outcome_class, retry_decision })}`
    }
    case "command":
      return `  ! ${output.command.type} ${fields(output.command)}`
  }
}
