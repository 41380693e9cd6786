import { Id } from "@rspp/contracts/Identity"
import { Natural, Percent, Positive } from "@rspp/contracts/Quantity"
import { admissionLimits } from "@rspp/contracts/Snapshot"
import type { AdmissionPolicySnapshot } from "@rspp/contracts/Snapshot"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as SqlClient from "effect/sql/SqlClient"
import type { AuditLog } from "./AuditLog.ts"
import { defaultMaxTurnsPerSession } from "./ControlPlane.ts"
import { ControlInvalid } from "./ControlError.ts"
import type { DatabaseFailure } from "./ControlError.ts"
import type { CostCap } from "./PolicyEvaluation.ts"
import type { NormalizedSpec } from "./SpecNormalizer.ts"
import { makeDocuments } from "./sql/Documents.ts"
import type { Document, DocumentError } from "./sql/Documents.ts"

/** What a tenant may use. Every part may be left out; what is left out does not limit. */
export const AdmissionRules = Schema.Struct({
  max_turns_per_session: Schema.optionalKey(Natural.annotate({ description: "Turns that a session may have in all." })),
  ...admissionLimits,
  over_quota: Schema.optionalKey(
    Schema.Literals(["reject", "defer"]).annotate({
      description: "What a turn over a quota gets; `reject` by default."
    })
  ),
  reason: Schema.optionalKey(Id.annotate({ description: "The reason that is given then." })),
  fairness: Schema.optionalKey(
    Schema.Struct({ key: Schema.Literals(["caller", "pipeline"]), max_sessions: Positive }).annotate({
      description:
        "No caller (or no pipeline) has more sessions than this at one time: one cannot take the room of all."
    })
  ),
  /**
   * Who is turned away first when sessions of the tenant come near `capacity`: a session of a tier in the list is
   * admitted while fewer than its percentage of the capacity are in use; others up to the whole.
   */
  overload: Schema.optionalKey(
    Schema.Struct({
      capacity: Positive.annotate({ description: "Sessions that the tenant has room for." }),
      precedence: Schema.Array(Schema.Struct({
        cost_tier: Id.annotate({ description: "Sessions of this tier are turned away first." }),
        admit_below_percent: Percent.annotate({
          description: "They are admitted while fewer than this percentage of `capacity` are in use."
        })
      }))
    })
  )
})
export type AdmissionRules = typeof AdmissionRules.Type

/** How many sessions there are when another one is asked for. */
export interface SessionLoad {
  readonly ofTenant: number
  /** Of the same fairness key. */
  readonly ofKey: number
}

/** Why a new session is not admitted. */
export interface Turned {
  readonly outcome: "reject" | "defer"
  readonly reason: string
  readonly message: string
}

/**
 * Admission policy (CP-05): the quotas of a tenant, and who goes first when there is no room for all.
 *
 * Guarantees:
 * - **M1** the body of `admission_policy_snapshot` has, of each limit, the lowest of what the tenant's rules, the
 *   pipeline's spec and the cost cap say.
 * - **M2** new sessions are judged by `max_sessions_per_tenant`, then the fairness key, then the precedence under
 *   overload; the same rules and load give the same answer.
 */
export class AdmissionPolicy extends Context.Service<AdmissionPolicy, {
  /** The rules of a tenant; revision 0 and no limits where none were ever written. */
  readonly get: (tenant_id: string) => Effect.Effect<Document<AdmissionRules>, DatabaseFailure>
  readonly put: (
    tenant_id: string,
    rules: unknown,
    expected?: number
  ) => Effect.Effect<Document<AdmissionRules>, DocumentError>
}>()("rspp/AdmissionPolicy") {
  static readonly layer: Layer.Layer<AdmissionPolicy, never, SqlClient.SqlClient | AuditLog> = Layer.effect(
    AdmissionPolicy,
    Effect.suspend(() => make)
  )
}

const lowest = (...values: ReadonlyArray<number | undefined>): number | undefined => {
  const said = values.filter((value) => value !== undefined)
  return said.length === 0 ? undefined : Math.min(...said)
}

const limitNames = Object.keys(admissionLimits) as ReadonlyArray<keyof typeof admissionLimits>

/** M1: the body of `admission_policy_snapshot`; pure. */
export const admissionBody = (
  rules: AdmissionRules,
  admission: NormalizedSpec["admission"],
  cap: CostCap | undefined
): AdmissionPolicySnapshot["body"] => {
  const affordable = cap === undefined ? undefined : Math.floor(cap.max_session_cost_micros / cap.turn_cost_micros)
  const turns = lowest(rules.max_turns_per_session, admission.max_turns_per_session, affordable) ??
    defaultMaxTurnsPerSession
  const limits = Object.fromEntries(
    limitNames.map((name) => [name, lowest(rules[name], admission[name])]).filter(([, value]) => value !== undefined)
  ) as { readonly [K in keyof typeof admissionLimits]?: number }
  return {
    max_turns_per_session: turns,
    ...limits,
    over_quota: rules.over_quota ?? "reject",
    reason: affordable === turns ? "cost_cap_reached" : rules.reason ?? "turn_quota_exhausted"
  }
}

/** M2: why a session more is not admitted; undefined when it is; pure. */
export const judgeSession = (
  rules: AdmissionRules,
  cost_tier: string | undefined,
  load: SessionLoad
): Turned | undefined => {
  const outcome = rules.over_quota ?? "reject"
  const { fairness, max_sessions_per_tenant: most, overload } = rules
  if (most !== undefined && load.ofTenant >= most) {
    return {
      outcome,
      reason: "session_quota_exhausted",
      message: `the tenant has ${most} sessions, all that it may have`
    }
  }
  if (fairness !== undefined && load.ofKey >= fairness.max_sessions) {
    return {
      outcome,
      reason: "fair_share_exhausted",
      message: `this ${fairness.key} has ${fairness.max_sessions} sessions, all that one may have`
    }
  }
  if (overload === undefined) return undefined
  const percent = overload.precedence.find((entry) => entry.cost_tier === cost_tier)?.admit_below_percent ?? 100
  return load.ofTenant * 100 < overload.capacity * percent ? undefined : {
    outcome: "defer",
    reason: "overload",
    message: `${load.ofTenant} of ${overload.capacity} sessions are in use; ${
      cost_tier === undefined ? "a session without a tier" : `tier ${cost_tier}`
    } is admitted below ${percent} %`
  }
}

/** A tenant has one set of rules. */
const rulesId = "default"

const make = Effect.gen(function*() {
  const documents = yield* makeDocuments("rspp_admission", "admission", AdmissionRules)
  return AdmissionPolicy.of({
    get: Effect.fn("AdmissionPolicy.get")((tenant_id: string) =>
      Effect.map(
        documents.find(tenant_id, rulesId),
        (found) => found ?? { id: rulesId, revision: 0, updated_ms: 0, body: {} }
      )
    ),
    put: Effect.fn("AdmissionPolicy.put")((tenant_id: string, rules: unknown, expected?: number) =>
      documents.put(tenant_id, rulesId, rules, expected, (body) => {
        const tiers = body.overload?.precedence.map(({ cost_tier }) => cost_tier) ?? []
        const twice = tiers.find((tier, at) => tiers.indexOf(tier) !== at)
        if (twice === undefined) return Effect.succeed(body)
        const message = `overload.precedence names the tier ${twice} twice; keep one of the two`
        return Effect.fail(
          new ControlInvalid({
            code: "admission_invalid",
            message,
            problems: [{ path: "overload.precedence", rule: "unique", message }]
          })
        )
      })
    )
  })
})
