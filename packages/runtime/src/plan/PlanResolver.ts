import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { SnapshotKind } from "@rspp/contracts/Snapshot"
import { snapshotKinds } from "@rspp/contracts/Snapshot"
import { behaviourFlags } from "@rspp/contracts/Timeline"
import type { TimelineHeader } from "@rspp/contracts/Timeline"
import type { ResolvedTurnPlan } from "@rspp/contracts/TurnPlan"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import { digestAfter } from "../determinism/Digest.ts"
import type { Circuits } from "../invocation/CircuitWatch.ts"
import type { PlanVerdict } from "../turn/TurnArbiter.ts"
import type { SnapshotStore } from "./SnapshotStore.ts"

/** The merge rule that the sequencer follows (CONTRACT section 11, ordering): control lane first, then order of arrival. */
export const mergeRule = { id: "control-first-arrival", version: "v1.0" } as const

const levels = ["L0", "L1", "L2"] as const

/** Everything of a plan but whose turn it is, and the hash of it with that. */
interface Frozen {
  readonly header: TimelineHeader
  readonly epoch: number
  readonly revision: number
  readonly circuits: number | undefined
  readonly common: Omit<ResolvedTurnPlan, "plan_hash" | "turn_id">
  /** The digest of the plan of this turn. */
  readonly hash: (turnId: string) => string
}

type CommonVerdict = { readonly ok: true; readonly frozen: Frozen } | Extract<PlanVerdict, { readonly ok: false }>

/**
 * Plan resolver (RK-04): freezes everything that a turn may need to know into one hashed plan, from the pipeline that
 * the session was given and the six snapshots of this moment.
 *
 * A provider whose circuit is open makes way for its stand-in; without one no plan is made, unless it is the recogniser.
 * One that is half-open is bound for one call that tries it (see `CircuitWatch`), and `retry` is not allowed in that turn:
 * a trial that failed is over.
 *
 * Guarantees: I-PLAN-HASH `plan_hash` is the SHA-256 of the canonical JSON of every other field; I-PLAN-LOCAL the same
 * pipeline, snapshots, circuits, epoch and turn give the same plan.
 */
export class PlanResolver extends Context.Service<PlanResolver, {
  readonly resolve: (options: {
    readonly header: TimelineHeader
    readonly turnId: string
    readonly epoch: number
    readonly snapshots: SnapshotStore
    /** As the session's own calls have shown them since the last snapshot; by default as that says. */
    readonly circuits?: Circuits
  }) => PlanVerdict
}>()("rspp/PlanResolver") {
  static readonly layer = Layer.sync(PlanResolver, () => {
    // The plans of a session differ in their turn, until a snapshot, the epoch or the pipeline changes.
    const latest = new WeakMap<SnapshotStore, Frozen>()
    return {
      resolve: ({ circuits, header, turnId, epoch, snapshots }) => {
        const known = latest.get(snapshots)
        const holds = known?.header === header && known.epoch === epoch && known.revision === snapshots.revision &&
          known.circuits === circuits?.revision
        const verdict: CommonVerdict = holds ? { ok: true, frozen: known } : freeze(header, epoch, snapshots, circuits)
        if (!verdict.ok) return verdict
        const { common, hash } = verdict.frozen
        latest.set(snapshots, verdict.frozen)
        return { ok: true, plan: Object.freeze({ turn_id: turnId, ...common, plan_hash: hash(turnId) }) }
      }
    }
  })
}

/** What the plans of a session have in common, or why there can be none. */
const freeze = (
  header: TimelineHeader,
  epoch: number,
  snapshots: SnapshotStore,
  circuits: Circuits | undefined
): CommonVerdict => {
  const { pipeline } = header
  const policy = snapshots.get("policy_resolution_snapshot")
  const health = snapshots.get("provider_health_snapshot")
  if (policy === undefined || health === undefined) {
    return { ok: false, outcome: "reject", reason: "plan_without_policy" }
  }
  const stateOf = (provider: string) => circuits?.stateOf(provider) ?? health.body.providers[provider]
  const trials = header.behaviour_flags.includes(behaviourFlags.trials)
  const bindings: Record<string, string> = {}
  for (const [modality, provider] of Object.entries(pipeline.provider_bindings)) {
    const open = stateOf(provider) === "open"
    if (modality.endsWith(".fallback")) {
      // A fallback that is down is not there; that is no reason to keep a healthy provider from its work.
      if (!open) bindings[modality] = provider
      continue
    }
    // Several nodes of a modality (`llm.<node>`) share its stand-in.
    const fallback = pipeline.provider_bindings[`${modality.split(".")[0]}.fallback`]
    const replaced = open && fallback !== undefined && stateOf(fallback) !== "open" ? fallback : undefined
    // A recogniser has done its work, or the caller has typed: nothing of the turn waits for it.
    if (open && replaced === undefined && !(trials && modality.split(".")[0] === "stt")) {
      return { ok: false, outcome: "defer", reason: `provider_unhealthy:${provider}` }
    }
    bindings[modality] = replaced ?? provider
  }
  // A recogniser has done its work, and stand-ins are not called first.
  const tries = trials &&
    Object.entries(bindings).some(([modality, provider]) =>
      modality.split(".")[0] !== "stt" && !modality.endsWith(".fallback") && stateOf(provider) === "half_open"
    )
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
  const common: Frozen["common"] = {
    pipeline_version: pipeline.pipeline_version,
    graph_definition_ref: pipeline.graph.graph_definition_ref,
    execution_profile: pipeline.execution_profile,
    authority_epoch: epoch,
    budgets: pipeline.budgets,
    provider_bindings: bindings,
    edge_buffer_policies: pipeline.edge_buffer_policies,
    flow_control: pipeline.flow_control,
    allowed_adaptive_actions: pipeline.allowed_adaptive_actions.filter((action) =>
      policy.body.allowed_adaptive_actions.includes(action) && !(tries && action === "retry")
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
  frozen(common)
  const text = canonicalJson(common)
  // Canonical JSON sorts its members: with the turn's id as the last one, everything before it is the same for all.
  if (Object.keys(common).some((key) => key > "turn_id")) throw new Error("turn_id is not the last member of a plan")
  const rest = digestAfter(`${text.slice(0, -1)},"turn_id":`)
  return {
    ok: true,
    frozen: {
      header,
      epoch,
      revision: snapshots.revision,
      circuits: circuits?.revision,
      common,
      hash: (turnId) => rest(`${JSON.stringify(turnId)}}`)
    }
  }
}

/** Nobody can change it any more, at any depth. */
const frozen = (value: unknown): void => {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return
  Object.freeze(value)
  for (const inner of Object.values(value)) frozen(inner)
}
