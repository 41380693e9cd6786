import type { Snapshot, SnapshotKind } from "@rspp/contracts/Snapshot"
import { snapshotKinds } from "@rspp/contracts/Snapshot"
import { behaviourFlags } from "@rspp/contracts/Timeline"
import type { ResolvedTurnPlan } from "@rspp/contracts/TurnPlan"
import type { Checker } from "./Checker.ts"
import { Findings } from "./Checker.ts"

interface Known {
  readonly snapshot: Snapshot
  readonly receivedMs: number
}

/** Reasons that are given before authority and plan are looked at, and those that are given after. */
const later = new Set(["stale_epoch_reject", "deauthorized_drain"])

export const admittedByFacts: Checker = {
  id: "C14",
  holds: ["I-SNAP-MONOTONE", "I-ADMIT-RESERVE", "I-TURN-ORDER"],
  sentence:
    "A turn opens only from six snapshots that are there, fresh and compatible, within its quota and with providers that are up; its plan names them, and a refusal for one of them tells the truth.",
  check: (header, records) => {
    const findings = new Findings("C14", records)
    const { pipeline } = header
    const latest = new Map<SnapshotKind, Known>()
    let accepted = 0
    let plan: ResolvedTurnPlan | undefined
    const get = <K extends SnapshotKind>(kind: K) =>
      latest.get(kind)?.snapshot as Extract<Snapshot, { readonly snapshot_kind: K }> | undefined

    /** Why no turn may open now, if there is a reason. */
    const obstacle = (now: number): string | undefined => {
      for (const kind of snapshotKinds) {
        const known = latest.get(kind)
        if (known === undefined) return `snapshot_missing:${kind}`
        if (now - known.receivedMs > known.snapshot.ttl_ms) return `snapshot_stale:${kind}`
      }
      const version = get("version_resolution_snapshot")?.body
      const compatible = get("abi_compatibility_snapshot")?.body.contract_versions.includes("v1.0") === true &&
        version?.pipeline_version === pipeline.pipeline_version &&
        version.graph_definition_ref === pipeline.graph.graph_definition_ref
      if (!compatible) return "snapshot_incompatible"
      const quota = get("admission_policy_snapshot")?.body
      return quota !== undefined && accepted + 1 > quota.max_turns_per_session ? quota.reason : undefined
    }
    const opens = (turn_id: string, now: number, index: number) => {
      const why = obstacle(now)
      if (why !== undefined) findings.broken(`${turn_id} opens in spite of ${why}`, index, turn_id)
      accepted++
      if (plan === undefined || plan.turn_id !== turn_id) return
      const { health, wrong } = judge(plan)
      for (const kind of wrong) findings.broken(`the plan of ${turn_id} names another ${kind}`, index, turn_id)
      for (const provider of health) findings.broken(`${turn_id} is given ${provider}, which is down`, index, turn_id)
    }
    const isDown = (provider: string) => get("provider_health_snapshot")?.body.providers[provider] === "open"
    /** A recogniser has done its work when the turn opens: without a stand-in that is up no turn is refused for it. */
    const mayBeDown = (modality: string): boolean => {
      if (!header.behaviour_flags.includes(behaviourFlags.trials) || modality.split(".")[0] !== "stt") return false
      const standIn = pipeline.provider_bindings["stt.fallback"]
      return standIn === undefined || isDown(standIn)
    }
    const judge = ({ provider_bindings, snapshot_provenance }: ResolvedTurnPlan) => ({
      wrong: snapshotKinds.filter((kind) => latest.get(kind)?.snapshot.snapshot_id !== snapshot_provenance[kind]),
      health: Object.entries(provider_bindings).flatMap(([modality, provider]) =>
        isDown(provider) && !mayBeDown(modality) ? [provider] : []
      )
    })
    const refused = (signal: string, reason: string, turn_id: string, now: number, index: number) => {
      const why = obstacle(now)
      if (later.has(signal)) {
        if (why !== undefined) findings.broken(`${turn_id} is refused for ${reason}, before it ${why}`, index, turn_id)
      } else if (reason.startsWith("snapshot_") || reason === get("admission_policy_snapshot")?.body.reason) {
        if (why !== reason) {
          findings.broken(`${turn_id} is refused for ${reason}; it is ${why ?? "not so"}`, index, turn_id)
        }
      }
    }

    let index = -1
    for (const record of records) {
      index++
      if (record.record === "input" && record.input.type === "snapshot") {
        const { snapshot } = record.input
        const known = latest.get(snapshot.snapshot_kind)
        if (known !== undefined && known.snapshot.version > snapshot.version) continue
        latest.set(snapshot.snapshot_kind, { snapshot, receivedMs: record.runtime_timestamp_ms })
      } else if (record.record === "plan") plan = record.plan
      else if (record.record === "signal") {
        const { event_scope, reason = "", runtime_timestamp_ms, signal, turn_id } = record.signal
        if (turn_id === undefined) continue
        if (signal === "turn_open") opens(turn_id, runtime_timestamp_ms, index)
        else if (event_scope === "session" && (signal === "reject" || signal === "defer" || later.has(signal))) {
          refused(signal, reason, turn_id, runtime_timestamp_ms, index)
        }
      }
    }
    return findings.violations
  }
}
