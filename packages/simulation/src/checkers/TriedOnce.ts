import { providerVerdicts } from "@rspp/contracts/Invocation"
import type { ProviderHealthSnapshot } from "@rspp/contracts/Snapshot"
import { behaviourFlags } from "@rspp/contracts/Timeline"
import type { Checker } from "./Checker.ts"
import { beginsStep, Findings } from "./Checker.ts"

type State = ProviderHealthSnapshot["body"]["providers"][string]

/** What the records say of one provider's circuit so far. */
interface Known {
  told: State
  /** What a call has shown since it was told that the circuit is half-open. */
  shown: "closed" | "open" | undefined
  /** The record that told the state. */
  toldAt: number
  /** Calls that try it and have not ended. */
  readonly calls: Set<string>
}

export const triedOnce: Checker = {
  id: "C38",
  holds: ["I-TRIAL-ONE", "I-TRIAL-ENDS"],
  sentence:
    "A half-open circuit is tried by one call at a time and by none early, in a turn without retry; the first call that says something of its provider decides it until a snapshot says otherwise; each change is told, and nothing else is.",
  check: (header, records) => {
    const findings = new Findings("C38", records)
    if (!header.behaviour_flags.includes(behaviourFlags.trials)) return findings.violations
    const circuits = new Map<string, Known>(
      Object.values(header.pipeline.provider_bindings).map((provider) => [
        provider,
        { told: "closed", toldAt: -1, shown: undefined, calls: new Set<string>() }
      ])
    )
    const stateOf = ({ shown, told }: Known): State => told === "half_open" ? shown ?? told : told
    const shed = new Set<string>()
    const plannedAt = new Map<string, number>()
    let version = -1
    /** Changes of this step that are to be told. */
    let due = new Set<string>()
    let index = -1
    for (const record of records) {
      index++
      if (beginsStep(record) && due.size > 0) {
        for (const reason of due) findings.broken(`nobody is told that ${reason}`, index)
        due = new Set()
      }
      if (record.record === "input" && record.input.type === "dispatch_shed") {
        shed.add(record.input.provider_invocation_id)
      } else if (record.record === "input" && record.input.type === "snapshot") {
        const { snapshot } = record.input
        if (snapshot.snapshot_kind !== "provider_health_snapshot" || snapshot.version < version) continue
        version = snapshot.version
        for (const [provider, known] of circuits) {
          const told = snapshot.body.providers[provider] ?? "closed"
          if (told === known.told) continue
          if (told !== stateOf(known)) due.add(`${told}:${provider}`)
          known.told = told
          known.shown = undefined
          known.toldAt = index
        }
      } else if (record.record === "plan") {
        const { allowed_adaptive_actions, provider_bindings, turn_id } = record.plan
        plannedAt.set(turn_id, index)
        for (const [modality, provider] of Object.entries(provider_bindings)) {
          const known = circuits.get(provider)
          if (known === undefined || modality === "stt" || modality.includes(".fallback")) continue
          if (stateOf(known) === "half_open" && allowed_adaptive_actions.includes("retry")) {
            findings.broken(`${turn_id} tries ${provider}, and may retry`, index, turn_id)
          }
        }
      } else if (record.record === "command" && record.command.type === "start_invocation") {
        const { modality, provider_id, provider_invocation_id: id, turn_id } = record.command
        const known = circuits.get(provider_id)
        if (known === undefined || modality === "stt" || modality === "external") continue
        const state = stateOf(known)
        if (turn_id === undefined && state !== "closed") {
          findings.broken(`${provider_id} is asked early, and its circuit is ${state}`, index)
        }
        // A plan that was made before the circuit was half-open stands, with the retries that it allows.
        const planned = turn_id === undefined ? index : plannedAt.get(turn_id) ?? index
        if (known.shown === "open" && known.told === "half_open" && planned > known.toldAt) {
          findings.broken(`${id} tries ${provider_id} again, which has just failed`, index, turn_id)
        }
        if (state !== "half_open") continue
        if (known.calls.size > 0) findings.broken(`${id} tries ${provider_id} while another call does`, index, turn_id)
        known.calls.add(id)
      } else if (record.record === "invocation") {
        const { outcome_class, provider_id, provider_invocation_id: id } = record.invocation
        const known = circuits.get(provider_id)
        const said = providerVerdicts[outcome_class]
        const wasShed = shed.delete(id)
        known?.calls.delete(id)
        if (known === undefined || wasShed || said === undefined || stateOf(known) !== "half_open") continue
        known.shown = said === "succeeded" ? "closed" : "open"
        due.add(`${known.shown}:${provider_id}`)
      } else if (record.record === "signal" && record.signal.signal === "circuit_event") {
        const { reason = "" } = record.signal
        if (!due.delete(reason)) findings.broken(`it is told that ${reason}, and nothing says so`, index)
      }
    }
    return findings.violations
  }
}
