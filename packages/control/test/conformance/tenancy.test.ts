// Tenants, keys and permissions, the same cases on SQLite and on a real PostgreSQL.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import { AuditLog } from "../../src/AuditLog.ts"
import { actions, isAllowed, permissions, roles } from "../../src/Permissions.ts"
import { SecurityTenancy } from "../../src/SecurityTenancy.ts"
import { onBothDatabases } from "./support/Databases.ts"

const modules = SecurityTenancy.layer.pipe(Layer.provideMerge(AuditLog.layer))

onBothDatabases("security and tenancy", (make) => {
  const test = <E>(
    name: string,
    body: Effect.Effect<unknown, E, SecurityTenancy | AuditLog | SqlClient.SqlClient>
  ) =>
    it.live(
      name,
      () =>
        Effect.flatMap(make, ({ client }) =>
          Effect.provide(body, modules.pipe(Layer.provideMerge(client)), { local: true }))
    )

  test(
    "gives a new database one platform key, once",
    Effect.gen(function*() {
      const security = yield* SecurityTenancy
      const first = yield* security.bootstrap
      assert.match(first?.text ?? "", /^rspp_[0-9a-f]{12}_[0-9a-f]{64}$/u)
      assert.isUndefined(yield* security.bootstrap)
      const principal = yield* security.authenticate(first?.text ?? "")
      assert.deepInclude(principal, { role: "platform", tenant_id: "platform" })
    })
  )

  test(
    "keeps of a key's secret nothing that it can be made from",
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const { owner } = yield* (yield* SecurityTenancy).createTenant("acme", "Acme")
      const secret = owner.text.split("_")[2] ?? ""
      const kept = JSON.stringify([
        yield* sql`SELECT key_id, name, role, scopes, salt, secret_hash FROM rspp_api_keys`,
        yield* sql`SELECT sequence || details || subject AS row FROM rspp_audit`
      ])
      assert.include(kept, owner.key.key_id)
      assert.notInclude(kept, secret)
      assert.notInclude(kept, owner.text)
    })
  )

  test(
    "knows a key until it expires or is revoked, or its tenant is suspended",
    Effect.gen(function*() {
      const security = yield* SecurityTenancy
      const { owner } = yield* security.createTenant("acme", "Acme")
      const expected = { key_id: owner.key.key_id, tenant_id: "acme", role: "owner" as const, scopes: [] }
      assert.deepStrictEqual(yield* security.authenticate(owner.text), expected)
      const refused = (text: string) => Effect.map(Effect.flip(security.authenticate(text)), ({ message }) => message)
      const unknown = yield* refused(`rspp_${"0".repeat(12)}_${"0".repeat(64)}`)
      assert.strictEqual(yield* refused(owner.text.slice(0, -1) + (owner.text.endsWith("0") ? "1" : "0")), unknown)
      assert.strictEqual(yield* refused("nonsense"), unknown)
      const short = yield* security.createKey({ tenant_id: "acme", name: "short", role: "viewer", expires_ms: 1 })
      assert.strictEqual(yield* refused(short.text), unknown)
      yield* security.suspend("acme", true)
      assert.strictEqual(yield* refused(owner.text), unknown)
      yield* security.suspend("acme", false)
      assert.strictEqual((yield* security.authenticate(owner.text)).role, "owner")
      yield* security.revokeKey("acme", owner.key.key_id)
      yield* security.revokeKey("acme", owner.key.key_id)
      assert.strictEqual(yield* refused(owner.text), unknown)
      const { items } = yield* (yield* AuditLog).list("acme", {})
      assert.deepStrictEqual(items.map(({ action }) => action), [
        "tenant.create",
        "key.create",
        "key.create",
        "tenant.suspend",
        "tenant.resume",
        "key.revoke"
      ])
    })
  )

  test(
    "keeps tenants apart",
    Effect.gen(function*() {
      const security = yield* SecurityTenancy
      const acme = yield* security.createTenant("acme", "Acme")
      yield* security.createTenant("other", "Other")
      assert.strictEqual((yield* Effect.flip(security.createTenant("acme", "again")))._tag, "ControlConflict")
      for (const name of ["platform", "", "UP", "a b", "-a", "x".repeat(65)]) {
        assert.strictEqual((yield* Effect.flip(security.createTenant(name, "x")))._tag, "ControlInvalid", name)
      }
      assert.strictEqual(
        (yield* Effect.flip(security.revokeKey("other", acme.owner.key.key_id)))._tag,
        "ControlNotFound"
      )
      const { items } = yield* security.listKeys("other", {})
      assert.deepStrictEqual(items.map(({ tenant_id }) => tenant_id), ["other"])
      const platform = yield* Effect.flip(security.createKey({ tenant_id: "acme", name: "x", role: "platform" }))
      assert.strictEqual(platform._tag, "ControlInvalid")
      const nowhere = yield* Effect.flip(security.createKey({ tenant_id: "gone", name: "x", role: "viewer" }))
      assert.strictEqual(nowhere._tag, "ControlNotFound")
      const page = yield* security.listTenants({ limit: 1 })
      assert.deepStrictEqual(page.items.map(({ tenant_id }) => tenant_id), ["acme"])
      const rest = yield* security.listTenants({ cursor: page.next_cursor })
      assert.deepStrictEqual(rest.items.map(({ tenant_id }) => tenant_id), ["other"])
    })
  )

  test(
    "refuses what a role or a scope does not have",
    Effect.gen(function*() {
      const security = yield* SecurityTenancy
      yield* security.createTenant("acme", "Acme")
      const narrow = yield* security.createKey({
        tenant_id: "acme",
        name: "ci",
        role: "operator",
        scopes: ["pipeline:publish"]
      })
      const principal = yield* security.authenticate(narrow.text)
      yield* security.authorise(principal, "pipeline:publish", "acme")
      for (
        const [action, tenant] of [["pipeline:publish", "other"], ["pipeline:read", "acme"], [
          "key:create",
          "acme"
        ]] as const
      ) {
        assert.strictEqual((yield* Effect.flip(security.authorise(principal, action, tenant)))._tag, "Forbidden")
      }
    })
  )
})

describe("the table of permissions", () => {
  it("allows no role anything in another tenant, and platform nothing inside one", () => {
    for (const role of roles) {
      for (const action of actions) {
        const principal = { key_id: "k", tenant_id: role === "platform" ? "platform" : "a", role, scopes: [] }
        assert.isFalse(isAllowed(principal, action, "b"), `${role} ${action}`)
        const own: ReadonlyArray<string> = permissions[action]
        assert.strictEqual(isAllowed(principal, action, principal.tenant_id), own.includes(role))
      }
    }
    const shared = actions.filter((action) => {
      const own: ReadonlyArray<string> = permissions[action]
      return own.includes("platform") && own.length > 1
    })
    assert.deepStrictEqual(shared, [])
  })
})
