import type { Snapshot } from "@rspp/contracts/Snapshot"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type { KernelContext } from "../kernel/KernelContext.ts"
import type { Verdict } from "../turn/TurnArbiter.ts"
import { TokenBucket } from "./TokenBucket.ts"

type AdmissionPolicy = Extract<Snapshot, { readonly snapshot_kind: "admission_policy_snapshot" }>

/** Reasons of admission besides the policy's own. */
export const admissionReasons = {
  rate: "turn_rate_exceeded",
  tenantRate: "tenant_turn_rate_exceeded",
  tenantTurns: "tenant_turns_in_use",
  tenantSessions: "tenant_sessions_in_use",
  notAdmitted: "session_not_admitted"
} as const

/** Limits that hold for the sessions of a tenant together: whoever knows them all is asked. */
export interface TenantLimits {
  readonly max_concurrent_turns?: number
  readonly max_turns_per_minute?: number
}

/** Admission of one session. */
export interface SessionAdmission {
  /** A policy is in force: the session asks for its own place, once, where its tenant's sessions are limited. */
  readonly policyCame: (policy: AdmissionPolicy | undefined) => void
  /** The session has its place, or is to end. */
  readonly sessionAnswered: (granted: boolean) => void
  /** Whether another turn may open, as far as this session knows. Changes nothing. */
  readonly verdict: (policy: AdmissionPolicy) => Verdict
  /** What has to be reserved for a turn besides; undefined: nothing. */
  readonly tenantLimits: (policy: AdmissionPolicy | undefined) => TenantLimits | undefined
  /** A turn opened: it is counted. */
  readonly opened: (policy: AdmissionPolicy | undefined) => void
  /** Turns that were accepted; `atLeast`: another placement has accepted so many. */
  readonly accepted: (atLeast?: number) => number
}

/**
 * Local admission (RK-25): decides from the last admission policy snapshot whether a turn may open, with no call to the
 * control plane. What the sessions of a tenant share is reserved in the process's `AdmissionLedger`, whose answer comes
 * in as an input, so that a replay needs no ledger.
 *
 * Guarantees: I-ADMIT-RESERVE the count includes the turn that is being opened, so a burst is never over-admitted;
 * I-ADMIT-LOCAL the same snapshot, count and stamps give the same verdict.
 */
export class LocalAdmission extends Context.Service<LocalAdmission, {
  /** `accepted`: turns that this session has opened so far. */
  readonly admitTurn: (policy: AdmissionPolicy, accepted: number) => Verdict
  readonly open: (context: KernelContext) => SessionAdmission
}>()("rspp/LocalAdmission") {
  static readonly layer = Layer.sync(LocalAdmission, () => {
    const admitTurn = (policy: AdmissionPolicy, accepted: number): Verdict =>
      accepted + 1 > policy.body.max_turns_per_session
        ? { ok: false, outcome: policy.body.over_quota, reason: policy.body.reason }
        : { ok: true }
    return { admitTurn, open: (context) => openAdmission(context, admitTurn) }
  })
}

const openAdmission = (
  context: KernelContext,
  admitTurn: (policy: AdmissionPolicy, accepted: number) => Verdict
): SessionAdmission => {
  let accepted = 0
  let place: "unlimited" | "asked" | "granted" | "refused" = "unlimited"
  const rate = new TokenBucket()
  return {
    policyCame: (policy) => {
      const max_sessions = policy?.body.max_sessions_per_tenant
      if (max_sessions === undefined || place !== "unlimited" || !context.behaves("limits")) return
      place = "asked"
      context.command({ type: "reserve_session", max_sessions })
    },
    sessionAnswered: (granted) => {
      place = granted ? "granted" : "refused"
    },
    verdict: (policy) => {
      const { max_turns_per_minute, over_quota } = policy.body
      if (place === "asked" || place === "refused") {
        return { ok: false, outcome: over_quota, reason: admissionReasons.notAdmitted }
      }
      const verdict = admitTurn(policy, accepted)
      if (!verdict.ok || max_turns_per_minute === undefined) return verdict
      return rate.has(max_turns_per_minute, context.now)
        ? verdict
        : { ok: false, outcome: over_quota, reason: admissionReasons.rate }
    },
    tenantLimits: (policy) => {
      if (policy === undefined || !context.behaves("limits")) return undefined
      const { max_concurrent_turns_per_tenant: turns, max_turns_per_minute_per_tenant: perMinute } = policy.body
      if (turns === undefined && perMinute === undefined) return undefined
      return {
        ...(turns === undefined ? {} : { max_concurrent_turns: turns }),
        ...(perMinute === undefined ? {} : { max_turns_per_minute: perMinute })
      }
    },
    accepted: (atLeast = 0) => accepted = Math.max(accepted, atLeast),
    opened: (policy) => {
      accepted += 1
      const perMinute = policy?.body.max_turns_per_minute
      if (perMinute !== undefined) rate.take(perMinute, context.now)
    }
  }
}
