import { createHash } from "node:crypto"
import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { TimelineHeader } from "@rspp/contracts/Timeline"
import type { ResolvedTurnPlan } from "@rspp/contracts/TurnPlan"
import type { Checker } from "./Checker.ts"
import { Findings } from "./Checker.ts"

/** The hash that a plan must carry: SHA-256 of the canonical JSON of every other field. */
const hashOf = (plan: ResolvedTurnPlan): string =>
  createHash("sha256").update(canonicalJson({ ...plan, plan_hash: undefined })).digest("hex")

const same = (a: unknown, b: unknown): boolean => a === b || canonicalJson(a) === canonicalJson(b)

/** What a plan takes over from the session's pipeline, and does not. */
const differences = (plan: ResolvedTurnPlan, { pipeline, seed }: TimelineHeader): ReadonlyArray<string> => {
  const wrong: Array<string> = []
  const must = (field: string, holds: boolean) => {
    if (!holds) wrong.push(field)
  }
  must("pipeline_version", plan.pipeline_version === pipeline.pipeline_version)
  must("graph_definition_ref", plan.graph_definition_ref === pipeline.graph.graph_definition_ref)
  must("execution_profile", plan.execution_profile === pipeline.execution_profile)
  must("budgets", same(plan.budgets, pipeline.budgets))
  must("edge_buffer_policies", same(plan.edge_buffer_policies, pipeline.edge_buffer_policies))
  must("flow_control", same(plan.flow_control, pipeline.flow_control))
  must("determinism.seed", plan.determinism.seed === seed)
  const { allowed_adaptive_actions: actions } = pipeline
  must("allowed_adaptive_actions", plan.allowed_adaptive_actions.every((action) => actions.includes(action)))
  const bound = Object.values(pipeline.provider_bindings)
  must("provider_bindings", Object.values(plan.provider_bindings).every((provider) => bound.includes(provider)))
  const named = new Set(plan.determinism.nondeterministic_inputs.map(({ input_key }) => input_key))
  must("nondeterministic_inputs", Object.keys(plan.provider_bindings).every((modality) => named.has(modality)))
  return wrong
}

export const planFrozen: Checker = {
  id: "C13",
  holds: ["I-PLAN-HASH", "I-PLAN-FROZEN"],
  sentence:
    "Each turn has one plan, made before it opens out of the session's pipeline; its hash is that of its content, and it is the same to the turn's end.",
  check: (header, records) => {
    const findings = new Findings("C13", records)
    const plans = new Map<string, string>()
    const opened = new Set<string>()
    let index = -1
    for (const record of records) {
      index++
      if (record.record === "plan") {
        const { plan } = record
        const { turn_id } = plan
        if (plans.has(turn_id)) findings.broken(`${turn_id} gets a second plan`, index, turn_id)
        if (opened.has(turn_id)) findings.broken(`${turn_id} gets its plan after it opened`, index, turn_id)
        plans.set(turn_id, plan.plan_hash)
        if (hashOf(plan) !== plan.plan_hash) {
          findings.broken(`the hash of ${turn_id}'s plan is not its content's`, index, turn_id)
        }
        for (const field of differences(plan, header)) {
          findings.broken(`${field} of ${turn_id}'s plan is not the pipeline's`, index, turn_id)
        }
      } else if (record.record === "signal" && record.signal.signal === "turn_open") {
        const turn_id = record.signal.turn_id ?? ""
        opened.add(turn_id)
        if (!plans.has(turn_id)) findings.broken(`${turn_id} opens without a plan`, index, turn_id)
      } else if (record.record === "evidence") {
        const { plan_hash, turn_id } = record.evidence
        const plan = plans.get(turn_id)
        if (plan !== plan_hash) findings.broken(`the plan of ${turn_id} is another one at its end`, index, turn_id)
      }
    }
    return findings.violations
  }
}
