import { Id } from "@rspp/contracts/Identity"
import type { NormalizedPipeline } from "@rspp/contracts/NormalizedPipeline"
import { Natural, Positive } from "@rspp/contracts/Quantity"
import type { PolicyResolutionSnapshot } from "@rspp/contracts/Snapshot"
import { adaptiveActions, AdaptiveActions, RecordingLevel, ReplayModes } from "@rspp/contracts/TurnPlan"
import type { AdaptiveAction } from "@rspp/contracts/TurnPlan"
import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as SqlClient from "effect/sql/SqlClient"
import type { AuditLog } from "./AuditLog.ts"
import { ControlConflict } from "./ControlError.ts"
import type { DatabaseFailure } from "./ControlError.ts"
import { makeDocuments } from "./sql/Documents.ts"
import type { Document, DocumentError, Documents } from "./sql/Documents.ts"

/** What of a session is known when policy is asked. */
export const SessionFacets = Schema.Struct({
  language: Schema.optionalKey(Id.annotate({ description: "Only sessions of this language." })),
  region: Schema.optionalKey(Id.annotate({ description: "Only sessions of this region." })),
  cost_tier: Schema.optionalKey(Id.annotate({ description: "Only sessions of this tier." }))
})
export type SessionFacets = typeof SessionFacets.Type

/** How far a session may get worse before it fails: `allow`, `fallback_only` (nothing is left out), `never`. */
export const DegradePosture = Schema.Literals(["allow", "fallback_only", "never"]).annotate({
  description:
    "How far a session may get worse before it fails: `allow`, `fallback_only` (nothing is left out), `never`."
})

/** The most that a session may cost, and what a turn is reckoned at, in millionths of the currency. */
export const CostCap = Schema.Struct({
  max_session_cost_micros: Natural.annotate({
    description: "The most that a session may cost, in millionths of the currency."
  }),
  turn_cost_micros: Positive.annotate({ description: "What a turn is reckoned at." })
})
export type CostCap = typeof CostCap.Type

/** A binding: for which sessions of the tenant, and what it decides. What it leaves out, a less specific one decides. */
export const PolicyBinding = Schema.Struct({
  match: SessionFacets,
  allowed_adaptive_actions: Schema.optionalKey(AdaptiveActions),
  max_recording_level: Schema.optionalKey(RecordingLevel),
  allowed_replay_modes: Schema.optionalKey(ReplayModes),
  degrade_posture: Schema.optionalKey(DegradePosture),
  cost_cap: Schema.optionalKey(CostCap)
})
export type PolicyBinding = typeof PolicyBinding.Type

const decided = [
  "allowed_adaptive_actions",
  "max_recording_level",
  "allowed_replay_modes",
  "degrade_posture",
  "cost_cap"
] as const
type Decided = typeof decided[number]

/** What policy says of a session. */
export interface PolicyDecision {
  /** The body of `policy_resolution_snapshot`. */
  readonly body: PolicyResolutionSnapshot["body"]
  readonly cost_cap?: CostCap
  /** Which binding decided what; `pipeline`: none did, and the pipeline's own wish stands. */
  readonly sources: Readonly<Record<Decided, string>>
}

/**
 * Policy evaluation (CP-04): which actions, recording and cost a session may have, by bindings of its tenant.
 *
 * Guarantees:
 * - **Y1** precedence: a binding that names the cost tier goes before one that does not; among those, one that names the
 *   region; then one that names the language; one that names nothing is last. There is one binding for each match, so
 *   that no two are equal: a second is refused ({@link ControlConflict}).
 * - **Y2** each field is decided by the first binding in that order that has it; what none has, the pipeline decides.
 * - **Y3** a posture only takes away: `fallback_only` the action `degrade`, `never` also `fallback`.
 * - **Y4** the same bindings and session give the same body.
 */
export class PolicyEvaluation extends Context.Service<PolicyEvaluation, {
  readonly policies:
    & Pick<Documents<PolicyBinding>, "get" | "list" | "remove">
    & {
      readonly put: (
        tenant_id: string,
        policy_id: string,
        binding: unknown,
        expected?: number
      ) => Effect.Effect<Document<PolicyBinding>, DocumentError>
    }
  readonly evaluate: (
    tenant_id: string,
    facets: SessionFacets,
    pipeline: NormalizedPipeline
  ) => Effect.Effect<PolicyDecision, DatabaseFailure>
}>()("rspp/PolicyEvaluation") {
  static readonly layer: Layer.Layer<PolicyEvaluation, never, SqlClient.SqlClient | AuditLog> = Layer.effect(
    PolicyEvaluation,
    Effect.suspend(() => make)
  )
}

/** A binding applies when each facet that it names is the session's. */
const applies = ({ match }: PolicyBinding, facets: SessionFacets): boolean =>
  (match.cost_tier === undefined || match.cost_tier === facets.cost_tier) &&
  (match.region === undefined || match.region === facets.region) &&
  (match.language === undefined || match.language === facets.language)

/** Y1: the heavier goes first. */
const weightOf = ({ match }: PolicyBinding): number =>
  (match.cost_tier === undefined ? 0 : 4) + (match.region === undefined ? 0 : 2) +
  (match.language === undefined ? 0 : 1)

const takenAway: Readonly<Record<typeof DegradePosture.Type, ReadonlyArray<AdaptiveAction>>> = {
  allow: [],
  fallback_only: ["degrade"],
  never: ["degrade", "fallback"]
}

/** What the bindings of a tenant say of a session; pure. */
export const evaluatePolicies = (
  policies: ReadonlyArray<{ readonly id: string; readonly body: PolicyBinding }>,
  facets: SessionFacets,
  pipeline: NormalizedPipeline
): PolicyDecision => {
  const ordered = policies.filter(({ body }) => applies(body, facets)).sort((a, b) =>
    weightOf(b.body) - weightOf(a.body)
  )
  const first = (field: Decided) => ordered.find(({ body }) => body[field] !== undefined)
  const said: Partial<PolicyBinding> = Object.assign(
    {},
    ...decided.map((field) => ({ [field]: first(field)?.body[field] }))
  )
  const allowed = said.allowed_adaptive_actions ?? pipeline.allowed_adaptive_actions
  const without = takenAway[said.degrade_posture ?? "allow"]
  return {
    body: {
      allowed_adaptive_actions: adaptiveActions.filter((action) =>
        allowed.includes(action) && !without.includes(action)
      ),
      max_recording_level: said.max_recording_level ?? pipeline.recording_policy.recording_level,
      allowed_replay_modes: said.allowed_replay_modes ?? pipeline.recording_policy.allowed_replay_modes
    },
    ...(said.cost_cap === undefined ? {} : { cost_cap: said.cost_cap }),
    sources: {
      allowed_adaptive_actions: first("allowed_adaptive_actions")?.id ?? "pipeline",
      max_recording_level: first("max_recording_level")?.id ?? "pipeline",
      allowed_replay_modes: first("allowed_replay_modes")?.id ?? "pipeline",
      degrade_posture: first("degrade_posture")?.id ?? "pipeline",
      cost_cap: first("cost_cap")?.id ?? "pipeline"
    }
  }
}

const make = Effect.gen(function*() {
  const { all, get, list, put, remove } = yield* makeDocuments("rspp_policies", "policy", PolicyBinding)
  return PolicyEvaluation.of({
    policies: {
      get,
      list,
      remove,
      put: (tenant_id, policy_id, binding, expected) =>
        put(tenant_id, policy_id, binding, expected, (body) =>
          Effect.flatMap(all(tenant_id), (others) => {
            const same = others.find((other) =>
              other.id !== policy_id && canonicalJson(other.body.match) === canonicalJson(body.match)
            )
            return same === undefined ? Effect.succeed(body) : Effect.fail(
              new ControlConflict({
                code: "policy_match_taken",
                message: `policy ${same.id} is for the same sessions; change that one, or another match`
              })
            )
          }))
    },
    evaluate: Effect.fn("PolicyEvaluation.evaluate")((tenant_id, facets, pipeline) =>
      Effect.map(all(tenant_id), (policies) => evaluatePolicies(policies, facets, pipeline))
    )
  })
})
