import * as Schema from "effect/Schema"

/**
 * What a key is for. `platform` keys make tenants and see nothing inside one; the others belong to a tenant: `owner`
 * (everything in it, keys too), `operator` (pipelines, policies, rollouts, sessions), `viewer` (reads), `runtime` (what a
 * runtime needs: resolve and run sessions, report health).
 */
export const roles = ["platform", "owner", "operator", "viewer", "runtime"] as const
export const Role = Schema.Literals(roles)
export type Role = typeof Role.Type

/**
 * The one table of permissions: each action, and the roles that may do it. Whatever is not in it is nobody's.
 *
 * Every action is done in the tenant of the key (those of `platform`: in none), so that no role reaches another tenant.
 */
export const permissions = {
  "tenant:create": ["platform"],
  "tenant:list": ["platform"],
  "tenant:suspend": ["platform"],
  "tenant:read": ["owner", "operator", "viewer", "runtime"],
  "key:create": ["owner"],
  "key:list": ["owner"],
  "key:revoke": ["owner"],
  "pipeline:publish": ["owner", "operator"],
  "pipeline:deprecate": ["owner", "operator"],
  "pipeline:read": ["owner", "operator", "viewer", "runtime"],
  "policy:write": ["owner", "operator"],
  "policy:read": ["owner", "operator", "viewer", "runtime"],
  "admission:write": ["owner", "operator"],
  "admission:read": ["owner", "operator", "viewer", "runtime"],
  "rollout:write": ["owner", "operator"],
  "rollout:read": ["owner", "operator", "viewer", "runtime"],
  "health:report": ["operator", "runtime"],
  "health:read": ["owner", "operator", "viewer", "runtime"],
  "session:create": ["owner", "operator", "runtime"],
  "session:end": ["owner", "operator", "runtime"],
  "session:read": ["owner", "operator", "viewer", "runtime"],
  "placement:write": ["runtime"],
  "placement:read": ["owner", "operator", "viewer", "runtime"],
  "lease:read": ["owner", "operator", "viewer", "runtime"],
  "lease:revoke": ["owner", "operator"],
  "audit:read": ["owner", "viewer"],
  "audit:verify": ["platform"]
} as const satisfies Readonly<Record<string, ReadonlyArray<Role>>>

export type Action = keyof typeof permissions
export const actions = Object.keys(permissions) as ReadonlyArray<Action>
export const ActionName = Schema.Literals(actions)

/** Whether no role of a tenant has `action`: its owners cannot give out a key for it. */
export const isPlatformOnly = (action: Action): boolean => permissions[action].every((role) => role === "platform")

/** The tenant that platform keys stand in; no tenant can have this name. */
export const platformTenant = "platform"

/** Who asks, once its key was checked. */
export interface Principal {
  readonly key_id: string
  readonly tenant_id: string
  readonly role: Role
  /** What the key is narrowed to; empty: all that its role may do. */
  readonly scopes: ReadonlyArray<Action>
}

/**
 * Whether `principal` may do `action` in `tenant_id`: its role has the action, its scopes do not leave it out, and the
 * tenant is its own. There is no exception to the last.
 */
export const isAllowed = ({ role, scopes, tenant_id: own }: Principal, action: Action, tenant_id: string): boolean => {
  const allowed: ReadonlyArray<Role> = permissions[action]
  return own === tenant_id && allowed.includes(role) && (scopes.length === 0 || scopes.includes(action))
}
