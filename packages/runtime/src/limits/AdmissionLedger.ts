import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type { TenantLimits } from "./LocalAdmission.ts"
import { admissionReasons } from "./LocalAdmission.ts"
import { TokenBucket } from "./TokenBucket.ts"

/** Whether something was reserved, or why not. */
export type Reservation = { readonly granted: true } | { readonly granted: false; readonly reason: string }

/** What a tenant has in use in this process. */
interface Tenant {
  readonly sessions: Set<string>
  /** Reservations of turns, by session. */
  readonly turns: Map<string, Set<string>>
  readonly rate: TokenBucket
}

/** The reservations of one session of a tenant. */
export interface SessionReservations {
  /** A place among the tenant's sessions. */
  readonly session: (max: number) => Reservation
  /**
   * A turn of the tenant. The turns of one session count as one: the open one makes way for the next, so that a caller
   * who cuts in is never turned away for its own turn.
   */
  readonly turn: (reservation: string, limits: TenantLimits, nowMs: number) => Reservation
  readonly release: (reservation: string) => void
  /** The session is over: everything of it is free again. */
  readonly close: () => void
}

const granted: Reservation = { granted: true }

/**
 * Admission ledger (RK-25): what the tenants have in use in this process, over all sessions. It reserves before a
 * session accepts, in one synchronous step, so that no two sessions are given the same place.
 *
 * It is no part of a session's kernel: kernels ask by command and are answered by input.
 *
 * Guarantees: I-ADMIT-RESERVE reserved places never pass the limit that was asked with; what a session holds is free
 * again when it is over, however it ended.
 */
export class AdmissionLedger extends Context.Service<AdmissionLedger, {
  readonly open: (tenantId: string, sessionId: string) => SessionReservations
  /** Sessions and turns that a tenant has reserved. */
  readonly inUse: (tenantId: string) => { readonly sessions: number; readonly turns: number }
}>()("rspp/AdmissionLedger") {
  static readonly layer = Layer.sync(AdmissionLedger, () => {
    const tenants = new Map<string, Tenant>()
    const tenantOf = (id: string): Tenant => {
      const known = tenants.get(id)
      if (known !== undefined) return known
      const tenant: Tenant = { sessions: new Set(), turns: new Map(), rate: new TokenBucket() }
      tenants.set(id, tenant)
      return tenant
    }
    return {
      open: (tenantId, sessionId) => {
        const tenant = tenantOf(tenantId)
        return {
          session: (max) => {
            if (!tenant.sessions.has(sessionId) && tenant.sessions.size + 1 > max) {
              return { granted: false, reason: admissionReasons.tenantSessions }
            }
            tenant.sessions.add(sessionId)
            return granted
          },
          turn: (reservation, { max_concurrent_turns, max_turns_per_minute }, nowMs) => {
            const others = tenant.turns.size - (tenant.turns.has(sessionId) ? 1 : 0)
            if (max_concurrent_turns !== undefined && others + 1 > max_concurrent_turns) {
              return { granted: false, reason: admissionReasons.tenantTurns }
            }
            if (max_turns_per_minute !== undefined) {
              if (!tenant.rate.has(max_turns_per_minute, nowMs)) {
                return { granted: false, reason: admissionReasons.tenantRate }
              }
              tenant.rate.take(max_turns_per_minute, nowMs)
            }
            const own = tenant.turns.get(sessionId)
            if (own === undefined) tenant.turns.set(sessionId, new Set([reservation]))
            else own.add(reservation)
            return granted
          },
          release: (reservation) => {
            const own = tenant.turns.get(sessionId)
            if (own?.delete(reservation) === true && own.size === 0) tenant.turns.delete(sessionId)
          },
          close: () => {
            tenant.sessions.delete(sessionId)
            tenant.turns.delete(sessionId)
          }
        }
      },
      inUse: (tenantId) => {
        const tenant = tenants.get(tenantId)
        return { sessions: tenant?.sessions.size ?? 0, turns: tenant?.turns.size ?? 0 }
      }
    }
  })
}
