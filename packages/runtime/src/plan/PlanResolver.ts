import type { SnapshotKind } from "@rspp/contracts/Snapshot"
import { snapshotKinds } from "@rspp/contracts/Snapshot"
import type { TimelineHeader } from "@rspp/contracts/Timeline"
import type { ResolvedTurnPlan } from "@rspp/contracts/TurnPlan"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import { digest } from "../determinism/Digest.ts"
import type { PlanVerdict } from "../turn/TurnArbiter.ts"
import type { SnapshotStore } from "./SnapshotStore.ts"

/** The merge rule that the sequencer follows (CONTRACT section 11, ordering): control lane first, then order of arrival. */
export const mergeRule = { id: "control-first-arrival", version: "v1.0" } as const

const levels = ["L0", "L1", "L2"] as const

/**
 * Plan resolver (RK-04): freezes everything that a turn may need to know into one hashed plan, from the pipeline that
 * the session was given and the six snapshots of this moment.
 *
 * Guarantees: I-PLAN-HASH `plan_hash` is the SHA-256 of the canonical JSON of every other field; I-PLAN-LOCAL the same
 * pipeline, snapshots, epoch and turn give the same plan.
 */
export class PlanResolver extends Context.Service<PlanResolver, {
  readonly resolve: (options: {
    readonly header: TimelineHeader
    readonly turnId: string
    readonly epoch: number
    readonly snapshots: SnapshotStore
  }) => PlanVerdict
}>()("rspp/PlanResolver") {
  static readonly layer = Layer.succeed(PlanResolver, {
    resolve: ({ header, turnId, epoch, snapshots }) => {
      const { pipeline } = header
      const policy = snapshots.get("policy_resolution_snapshot")
      const health = snapshots.get("provider_health_snapshot")
      if (policy === undefined || health === undefined) {
        return { ok: false, outcome: "reject", reason: "plan_without_policy" }
      }
      const bindings: Record<string, string> = {}
      for (const [modality, provider] of Object.entries(pipeline.provider_bindings)) {
        const open = health.body.providers[provider] === "open"
        if (modality.endsWith(".fallback")) {
          // A fallback that is down is not there; that is no reason to keep a healthy provider from its work.
          if (!open) bindings[modality] = provider
          continue
        }
        const fallback = pipeline.provider_bindings[`${modality}.fallback`]
        if (open && (fallback === undefined || health.body.providers[fallback] === "open")) {
          return { ok: false, outcome: "defer", reason: `provider_unhealthy:${provider}` }
        }
        bindings[modality] = open && fallback !== undefined ? fallback : provider
      }
      const provenance = Object.fromEntries(
        snapshotKinds.map((kind: SnapshotKind) => [kind, snapshots.get(kind)?.snapshot_id ?? ""])
      ) as ResolvedTurnPlan["snapshot_provenance"]
      const level = levels[
        Math.min(
          levels.indexOf(pipeline.recording_policy.recording_level),
          levels.indexOf(policy.body.max_recording_level)
        )
      ] ?? "L0"
      const replayModes = pipeline.recording_policy.allowed_replay_modes.filter((mode) =>
        policy.body.allowed_replay_modes.includes(mode)
      )
      if (replayModes.length === 0) return { ok: false, outcome: "reject", reason: "no_replay_mode_permitted" }
      const body: Omit<ResolvedTurnPlan, "plan_hash"> = {
        turn_id: turnId,
        pipeline_version: pipeline.pipeline_version,
        graph_definition_ref: pipeline.graph.graph_definition_ref,
        execution_profile: pipeline.execution_profile,
        authority_epoch: epoch,
        budgets: pipeline.budgets,
        provider_bindings: bindings,
        edge_buffer_policies: pipeline.edge_buffer_policies,
        flow_control: pipeline.flow_control,
        allowed_adaptive_actions: pipeline.allowed_adaptive_actions.filter((action) =>
          policy.body.allowed_adaptive_actions.includes(action)
        ),
        snapshot_provenance: provenance,
        recording_policy: { recording_level: level, allowed_replay_modes: replayModes },
        determinism: {
          seed: header.seed,
          ordering_markers: ["runtime_sequence"],
          merge_rule_id: mergeRule.id,
          merge_rule_version: mergeRule.version,
          // By name: a recording keeps its keys in another order than the spec had them.
          nondeterministic_inputs: Object.keys(bindings).sort().map((modality) => ({
            input_key: modality,
            source: "external_call" as const,
            evidence_ref: `provider:${bindings[modality]}`
          }))
        }
      }
      return { ok: true, plan: { ...body, plan_hash: digest(body) } }
    }
  })
}
