import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import { AuditLog } from "./AuditLog.ts"
import type { AuditEntry } from "./AuditLog.ts"
import { ControlConflict, ControlInvalid, Forbidden, notFound, Unauthenticated } from "./ControlError.ts"
import type { ControlNotFound, DatabaseFailure } from "./ControlError.ts"
import { hashSecret, isSameHash, KeySecrets, keyText, readKey, secretBytes } from "./KeySecrets.ts"
import { ActionName, isAllowed, isPlatformOnly, platformTenant, Role } from "./Permissions.ts"
import type { Action, Principal } from "./Permissions.ts"
import type { Page, PageRequest } from "./sql/Database.ts"
import { JsonText, Long, nextPosition, pageOf, readPage, rowsOf } from "./sql/Database.ts"

export const Tenant = Schema.Struct({
  tenant_id: Schema.String,
  name: Schema.String,
  created_ms: Schema.Int,
  /** Since when its keys are refused; absent: it is not suspended. */
  suspended_ms: Schema.optionalKey(Schema.Int)
})
export type Tenant = typeof Tenant.Type

/** A key as it is kept: without its secret. */
export const ApiKey = Schema.Struct({
  key_id: Schema.String,
  tenant_id: Schema.String,
  name: Schema.String,
  role: Role,
  scopes: Schema.Array(ActionName),
  created_ms: Schema.Int,
  expires_ms: Schema.optionalKey(Schema.Int),
  revoked_ms: Schema.optionalKey(Schema.Int)
})
export type ApiKey = typeof ApiKey.Type

/** A key that was just made, with its text: shown this once, kept nowhere. */
export const NewKey = Schema.Struct({ key: ApiKey, text: Schema.String })
export type NewKey = typeof NewKey.Type

/** What `createKey` is given. */
export interface KeyRequest {
  readonly tenant_id: string
  readonly name: string
  readonly role: Role
  readonly scopes?: ReadonlyArray<Action> | undefined
  /** Unix time in ms. */
  readonly expires_ms?: number | undefined
}

/**
 * Security and tenancy (CP-06): tenants, their API keys, and who may do what.
 *
 * Guarantees:
 * - **K1** of a key's secret (256 random bits) only a salted SHA-256 is kept; its text is given out once.
 * - **K2** `authenticate` gives one answer and one amount of work to a key that is unknown, wrong, expired, revoked or
 *   of a suspended tenant.
 * - **K3** what a key may do is read from the one table in `Permissions`; nothing is allowed in another tenant.
 * - **K4** every change of tenants and keys is in the audit log of the tenant.
 */
export class SecurityTenancy extends Context.Service<SecurityTenancy, {
  /** The first platform key of a new database; undefined when there is one already. */
  readonly bootstrap: Effect.Effect<NewKey | undefined, DatabaseFailure>
  /** Makes a tenant and its first key, an owner's. */
  readonly createTenant: (
    tenant_id: string,
    name: string
  ) => Effect.Effect<
    { readonly tenant: Tenant; readonly owner: NewKey },
    ControlInvalid | ControlConflict | DatabaseFailure
  >
  readonly getTenant: (tenant_id: string) => Effect.Effect<Tenant, ControlNotFound | DatabaseFailure>
  readonly listTenants: (page: PageRequest) => Effect.Effect<Page<Tenant>, ControlInvalid | DatabaseFailure>
  /** Refuses the keys of a tenant, or accepts them again. */
  readonly suspend: (
    tenant_id: string,
    suspended: boolean
  ) => Effect.Effect<Tenant, ControlNotFound | DatabaseFailure>
  readonly createKey: (
    request: KeyRequest
  ) => Effect.Effect<NewKey, ControlInvalid | ControlNotFound | DatabaseFailure>
  readonly listKeys: (
    tenant_id: string,
    page: PageRequest
  ) => Effect.Effect<Page<ApiKey>, ControlInvalid | DatabaseFailure>
  /** From now on the key is refused. Again: no change. */
  readonly revokeKey: (
    tenant_id: string,
    key_id: string
  ) => Effect.Effect<ApiKey, ControlNotFound | DatabaseFailure>
  /** Whose key this is. */
  readonly authenticate: (text: string) => Effect.Effect<Principal, Unauthenticated | DatabaseFailure>
  /** Fails unless the principal may do it there. */
  readonly authorise: (
    principal: Principal,
    action: Action,
    tenant_id: string
  ) => Effect.Effect<void, Forbidden>
}>()("rspp/SecurityTenancy") {
  /** Needs a source of secrets. */
  static readonly layerNoDeps: Layer.Layer<SecurityTenancy, never, SqlClient.SqlClient | AuditLog | KeySecrets> = Layer
    .effect(SecurityTenancy, Effect.suspend(() => make))

  /** With the system's secure source. */
  static readonly layer: Layer.Layer<SecurityTenancy, never, SqlClient.SqlClient | AuditLog> = SecurityTenancy
    .layerNoDeps.pipe(Layer.provide(KeySecrets.layer))
}

/** Names of tenants: they stand in addresses and file names. */
const tenantName = /^[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?$/u

const saltBytes = 16
const keyIdBytes = 6

const TenantRow = Schema.Struct({
  position: Long,
  tenant_id: Schema.String,
  name: Schema.String,
  created_ms: Long,
  suspended_ms: Schema.NullOr(Long)
})
const KeyRow = Schema.Struct({
  position: Long,
  key_id: Schema.String,
  tenant_id: Schema.String,
  name: Schema.String,
  role: Role,
  scopes: JsonText(Schema.Array(ActionName)),
  salt: Schema.String,
  secret_hash: Schema.String,
  created_ms: Long,
  expires_ms: Schema.NullOr(Long),
  revoked_ms: Schema.NullOr(Long)
})

const tenantOf = ({ position: _position, suspended_ms, ...row }: typeof TenantRow.Type): Tenant => ({
  ...row,
  ...(suspended_ms === null ? {} : { suspended_ms })
})

const keyOf = (
  { expires_ms, position: _p, revoked_ms, salt: _s, secret_hash: _h, ...row }: typeof KeyRow.Type
): ApiKey => ({
  ...row,
  ...(expires_ms === null ? {} : { expires_ms }),
  ...(revoked_ms === null ? {} : { revoked_ms })
})

const invalid = (path: string, message: string) =>
  new ControlInvalid({ code: "tenancy_invalid", message, problems: [{ path, rule: "tenancy", message }] })

const refusedKey = new Unauthenticated({
  code: "key_refused",
  message: "the API key is missing, unknown or no longer valid; send one as Authorization: Bearer rspp_…"
})

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const audit = yield* AuditLog
  const secrets = yield* KeySecrets
  const tenants = rowsOf("rspp_tenants", TenantRow)
  const keys = rowsOf("rspp_api_keys", KeyRow)
  const now = Effect.map(Clock.currentTimeMillis, Math.floor)

  const findTenant = Effect.fnUntraced(function*(tenant_id: string) {
    const [row] = yield* tenants(sql`SELECT * FROM rspp_tenants WHERE tenant_id = ${tenant_id}`)
    return row === undefined ? yield* notFound("tenant", tenant_id) : row
  })

  /** Puts in a key; within a write of the audit log. */
  const insertKey = Effect.fnUntraced(function*({ expires_ms, name, role, scopes = [], tenant_id }: KeyRequest) {
    const key_id = yield* secrets.hex(keyIdBytes)
    const secret = yield* secrets.hex(secretBytes)
    const salt = yield* secrets.hex(saltBytes)
    const created_ms = yield* now
    yield* sql`INSERT INTO rspp_api_keys ${
      sql.insert({
        position: yield* nextPosition(sql, "rspp_api_keys"),
        key_id,
        tenant_id,
        name,
        role,
        scopes: JSON.stringify(scopes),
        salt,
        secret_hash: hashSecret(secret, salt),
        created_ms,
        expires_ms: expires_ms ?? null
      })
    }`
    const key: ApiKey = {
      key_id,
      tenant_id,
      name,
      role,
      scopes,
      created_ms,
      ...(expires_ms === undefined ? {} : { expires_ms })
    }
    const entry: AuditEntry = { tenant_id, action: "key.create", subject: key_id, details: { name, role, scopes } }
    return { key: { key, text: keyText(key_id, secret) }, entry }
  })

  const bootstrap = audit.write(Effect.gen(function*() {
    const there = yield* keys(sql`SELECT * FROM rspp_api_keys WHERE role = 'platform' AND revoked_ms IS NULL LIMIT 1`)
    if (there.length > 0) return { result: undefined, entries: [] }
    const { entry, key } = yield* insertKey({ tenant_id: platformTenant, name: "bootstrap", role: "platform" })
    return { result: key, entries: [entry] }
  })).pipe(Effect.withSpan("SecurityTenancy.bootstrap"))

  const createTenant = Effect.fn("SecurityTenancy.createTenant")(function*(tenant_id: string, name: string) {
    if (!tenantName.test(tenant_id) || tenant_id === platformTenant) {
      return yield* invalid(
        "tenant_id",
        "a tenant id has 1 to 64 lower-case letters, digits, - and _, begins and ends with a letter or digit, and is not platform"
      )
    }
    return yield* audit.write(Effect.gen(function*() {
      const there = yield* tenants(sql`SELECT * FROM rspp_tenants WHERE tenant_id = ${tenant_id}`)
      if (there.length > 0) {
        return yield* new ControlConflict({ code: "tenant_exists", message: `there is a tenant ${tenant_id} already` })
      }
      const created_ms = yield* now
      const position = yield* nextPosition(sql, "rspp_tenants")
      yield* sql`INSERT INTO rspp_tenants ${sql.insert({ position, tenant_id, name, created_ms })}`
      const { entry, key } = yield* insertKey({ tenant_id, name: "first owner", role: "owner" })
      return {
        result: { tenant: { tenant_id, name, created_ms }, owner: key },
        entries: [{ tenant_id, action: "tenant.create", subject: tenant_id, details: { name } }, entry]
      }
    }))
  })

  const listTenants = Effect.fn("SecurityTenancy.listTenants")(function*(page: PageRequest) {
    const { after, limit } = yield* readPage(page)
    const found = yield* tenants(
      sql`SELECT * FROM rspp_tenants WHERE position > ${after} ORDER BY position LIMIT ${limit + 1}`
    )
    return pageOf(found, limit, tenantOf)
  })

  const suspend = Effect.fn("SecurityTenancy.suspend")((tenant_id: string, suspended: boolean) =>
    audit.write(Effect.gen(function*() {
      const row = yield* findTenant(tenant_id)
      if ((row.suspended_ms !== null) === suspended) return { result: tenantOf(row), entries: [] }
      const suspended_ms = suspended ? yield* now : null
      yield* sql`UPDATE rspp_tenants SET suspended_ms = ${suspended_ms} WHERE tenant_id = ${tenant_id}`
      return {
        result: tenantOf({ ...row, suspended_ms }),
        entries: [{
          tenant_id,
          action: suspended ? "tenant.suspend" : "tenant.resume",
          subject: tenant_id,
          details: {}
        }]
      }
    }))
  )

  const createKey = Effect.fn("SecurityTenancy.createKey")(function*(request: KeyRequest) {
    if ((request.role === "platform") !== (request.tenant_id === platformTenant)) {
      return yield* invalid("role", "a key with the role platform belongs to no tenant, and every other to one")
    }
    return yield* audit.write(Effect.gen(function*() {
      if (request.tenant_id !== platformTenant) yield* findTenant(request.tenant_id)
      const { entry, key } = yield* insertKey(request)
      return { result: key, entries: [entry] }
    }))
  })

  const listKeys = Effect.fn("SecurityTenancy.listKeys")(function*(tenant_id: string, page: PageRequest) {
    const { after, limit } = yield* readPage(page)
    const found = yield* keys(sql`SELECT * FROM rspp_api_keys
      WHERE tenant_id = ${tenant_id} AND position > ${after} ORDER BY position LIMIT ${limit + 1}`)
    return pageOf(found, limit, keyOf)
  })

  const revokeKey = Effect.fn("SecurityTenancy.revokeKey")((tenant_id: string, key_id: string) =>
    audit.write(Effect.gen(function*() {
      const [row] = yield* keys(
        sql`SELECT * FROM rspp_api_keys WHERE tenant_id = ${tenant_id} AND key_id = ${key_id}`
      )
      if (row === undefined) return yield* notFound("key", key_id)
      if (row.revoked_ms !== null) return { result: keyOf(row), entries: [] }
      const revoked_ms = yield* now
      yield* sql`UPDATE rspp_api_keys SET revoked_ms = ${revoked_ms} WHERE key_id = ${key_id}`
      return {
        result: keyOf({ ...row, revoked_ms }),
        entries: [{ tenant_id, action: "key.revoke", subject: key_id, details: { name: row.name } }]
      }
    }))
  )

  // compared with when there is no such key, so that an unknown one takes as long as a wrong one
  const nobody = { salt: yield* secrets.hex(saltBytes), secret_hash: hashSecret(yield* secrets.hex(1), "") }

  const authenticate = Effect.fn("SecurityTenancy.authenticate")(function*(text: string) {
    const read = readKey(text)
    const found = yield* keys(sql`SELECT k.* FROM rspp_api_keys k LEFT JOIN rspp_tenants t ON t.tenant_id = k.tenant_id
      WHERE k.key_id = ${read?.key_id ?? ""} AND t.suspended_ms IS NULL`)
    const [row] = found
    const { salt, secret_hash } = row ?? nobody
    const fits = isSameHash(hashSecret(read?.secret ?? "", salt), secret_hash)
    const current = yield* now
    if (
      row === undefined || !fits || row.revoked_ms !== null || (row.expires_ms !== null && row.expires_ms <= current)
    ) return yield* refusedKey
    const { key_id, role, scopes, tenant_id } = row
    return { key_id, tenant_id, role, scopes }
  })

  const authorise: SecurityTenancy["Service"]["authorise"] = (principal, action, tenant_id) =>
    isAllowed(principal, action, tenant_id)
      ? Effect.void
      : Effect.fail(
        new Forbidden({
          code: "not_allowed",
          message: `this key (role ${principal.role}) may not do ${action} there; ${
            isPlatformOnly(action) ? "it wants the platform key" : "ask an owner of the tenant for one that may"
          }`
        })
      )

  return SecurityTenancy.of({
    bootstrap,
    createTenant,
    getTenant: (tenant_id) => Effect.map(findTenant(tenant_id), tenantOf),
    listTenants,
    suspend,
    createKey,
    listKeys,
    revokeKey,
    authenticate,
    authorise
  })
})
