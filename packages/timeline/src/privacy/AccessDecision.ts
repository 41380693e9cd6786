import { accessAttributes } from "@rspp/contracts/Privacy"
import type { AccessFidelity, AccessPolicy, AccessScope } from "@rspp/contracts/Privacy"

/** The attributes of a request as they were given; each may be missing or unknown. */
export type AccessRequest = { readonly [K in (typeof accessAttributes)[number]]?: string }

/** What was decided. `reason` is a fixed word, `message` says it to a person. */
export type AccessDecision =
  | { readonly granted: true; readonly scope: AccessScope; readonly fidelity: AccessFidelity }
  | { readonly granted: false; readonly reason: string; readonly message: string }

const denied = (reason: string, message: string): AccessDecision => ({ granted: false, reason, message })

/**
 * Decides on a request for a recording of `tenantId`, in this order: all six attributes are there (I-SIX), request,
 * policy and recording are of one tenant (I-TENANT), one rule permits role, principal, purpose, scope and fidelity together. What no rule
 * permits is denied. The attributes are taken at their word: who authenticates the principal is the caller's matter.
 */
export const decideAccess = (
  policy: AccessPolicy,
  request: AccessRequest,
  tenantId: string
): AccessDecision => {
  const missing = accessAttributes.filter((name) => (request[name] ?? "") === "")
  if (missing.length > 0) return denied("attributes_missing", `the request lacks ${missing.join(", ")}`)
  if (request.tenant_id !== tenantId || policy.tenant_id !== tenantId) {
    return denied("cross_tenant", "the recording is of another tenant, and no role and no policy opens those")
  }
  for (const rule of policy.access_rules) {
    const scope = rule.scopes.find((scope) => scope === request.requested_scope)
    const fidelity = rule.fidelities.find((fidelity) => fidelity === request.requested_fidelity)
    if (
      scope !== undefined && fidelity !== undefined && rule.roles.includes(request.role ?? "") &&
      rule.purposes.includes(request.purpose ?? "") &&
      rule.principals?.includes(request.principal_id ?? "") !== false
    ) {
      return { granted: true, scope, fidelity }
    }
  }
  return denied(
    "not_permitted",
    `no rule of the policy permits ${request.principal_id} as ${request.role}, for ${request.purpose}, ` +
      `the scope ${request.requested_scope} at the fidelity ${request.requested_fidelity}`
  )
}
