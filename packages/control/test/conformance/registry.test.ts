// The pipeline registry and the audit log, the same cases on SQLite and on a real PostgreSQL.
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import { Actor } from "../../src/Actor.ts"
import { AuditLog } from "../../src/AuditLog.ts"
import { PipelineRegistry, specOf } from "../../src/PipelineRegistry.ts"
import { SpecNormalizer } from "../../src/SpecNormalizer.ts"
import { migrateControl, migrationState } from "../../src/sql/Migrations.ts"
import { onBothDatabases } from "./support/Databases.ts"

const modules = (options: Parameters<typeof PipelineRegistry.layer>[0] = {}) =>
  PipelineRegistry.layer(options).pipe(
    Layer.provideMerge(AuditLog.layer),
    Layer.provide(SpecNormalizer.layer)
  )

const spec = (version: string, more: object = {}) => ({
  schema_version: "v1.0",
  pipeline_id: "assistant",
  pipeline_version: version,
  ...more
})

onBothDatabases("the pipeline registry", (make) => {
  const test = <E>(
    name: string,
    body: Effect.Effect<unknown, E, PipelineRegistry | AuditLog | SqlClient.SqlClient>
  ) =>
    it.live(
      name,
      () =>
        Effect.flatMap(make, ({ client }) =>
          Effect.provide(body, modules().pipe(Layer.provideMerge(client)), { local: true }))
    )

  test(
    "publishes a version once: the same content again is no change, other content is refused",
    Effect.gen(function*() {
      const registry = yield* PipelineRegistry
      const first = yield* registry.publish({ tenant_id: "acme", spec: spec("1") })
      assert.isTrue(first.created)
      assert.match(first.published.content_hash, /^sha256:[0-9a-f]{64}$/u)
      const { pipeline_version, schema_version, pipeline_id } = spec("1")
      const again = yield* registry.publish({
        tenant_id: "acme",
        spec: { pipeline_version, pipeline_id, schema_version }
      })
      assert.isFalse(again.created)
      assert.deepStrictEqual(again.published, first.published)
      const other = yield* Effect.flip(
        registry.publish({ tenant_id: "acme", spec: spec("1", { budgets: { turn_budget_ms: 9000 } }) })
      )
      assert.strictEqual(other._tag, "ControlConflict")
      assert.include(other.message, "publish the change under another version")
      const window = yield* Effect.flip(
        registry.publish({ tenant_id: "acme", spec: spec("1"), compatibility: { min_contract_version: "v1.0" } })
      )
      assert.strictEqual(window._tag, "ControlConflict")
      assert.deepStrictEqual(yield* registry.get("acme", "assistant", "1"), first.published)
      const { items } = yield* (yield* AuditLog).list("acme", {})
      assert.deepStrictEqual(items.map(({ action, subject }) => `${action} ${subject}`), [
        "pipeline.publish assistant@1"
      ])
    })
  )

  test(
    "gives back what was published, by version and by hash, ready to run",
    Effect.gen(function*() {
      const registry = yield* PipelineRegistry
      const { published } = yield* registry.publish({
        tenant_id: "acme",
        spec: spec("1", { admission: { max_turns_per_minute: 7 } })
      })
      const found = yield* registry.getByHash("acme", published.content_hash)
      assert.deepStrictEqual(found, published)
      assert.strictEqual(specOf(found).pipeline.pipeline_version, "1")
      assert.deepStrictEqual(specOf(found).admission, { max_turns_per_minute: 7 })
    })
  )

  test(
    "refuses what the normalizer or the graph compiler refuses, and names node and rule",
    Effect.gen(function*() {
      const registry = yield* PipelineRegistry
      const refused = yield* Effect.flip(registry.publish({
        tenant_id: "acme",
        spec: spec("1", {
          nodes: [
            { node_id: "input", node_type: "audio_input" },
            { node_id: "stt", node_type: "speech_to_txt" }
          ],
          edges: [{ from_node_id: "input", to_node_id: "gone", payload_kind: "caller_audio" }]
        })
      }))
      if (refused._tag !== "SpecRejected") return assert.fail(refused._tag)
      const found = refused.errors.map(({ message, path, rule }) => `${path} ${rule} ${message}`).join("\n")
      assert.include(found, "nodes[1].node_type graph.")
      assert.include(found, "speech_to_txt")
      assert.include(found, "edges[0]")
      assert.include(found, "gone")
      assert.deepStrictEqual((yield* registry.list("acme", {})).items, [])
      assert.deepStrictEqual((yield* (yield* AuditLog).list("acme", {})).items, [])
    })
  )

  test(
    "shows a tenant its own pipelines only",
    Effect.gen(function*() {
      const registry = yield* PipelineRegistry
      const { published } = yield* registry.publish({ tenant_id: "acme", spec: spec("1") })
      assert.strictEqual((yield* Effect.flip(registry.get("other", "assistant", "1")))._tag, "ControlNotFound")
      const byHash = yield* Effect.flip(registry.getByHash("other", published.content_hash))
      assert.strictEqual(byHash._tag, "ControlNotFound")
      assert.deepStrictEqual((yield* registry.list("other", {})).items, [])
      const theirs = yield* registry.publish({
        tenant_id: "other",
        spec: spec("1", { budgets: { turn_budget_ms: 9 } })
      })
      assert.isTrue(theirs.created)
    })
  )

  test(
    "lists page by page, in the order of publication",
    Effect.gen(function*() {
      const registry = yield* PipelineRegistry
      const versions = ["10", "9", "b", "a", "C"]
      for (const version of versions) yield* registry.publish({ tenant_id: "acme", spec: spec(version) })
      yield* registry.publish({ tenant_id: "acme", spec: { ...spec("1"), pipeline_id: "second" } })
      const seen: Array<string> = []
      let cursor: string | undefined
      do {
        const page = yield* registry.list("acme", { cursor, limit: 2, pipeline_id: "assistant" })
        assert.isAtMost(page.items.length, 2)
        seen.push(...page.items.map(({ pipeline_version }) => pipeline_version))
        cursor = page.next_cursor
      } while (cursor !== undefined)
      assert.deepStrictEqual(seen, versions)
      assert.strictEqual((yield* registry.list("acme", {})).items.length, 6)
      assert.strictEqual((yield* Effect.flip(registry.list("acme", { cursor: "zzz" })))._tag, "ControlInvalid")
    })
  )

  test(
    "deprecates a version, which stays as it is",
    Effect.gen(function*() {
      const registry = yield* PipelineRegistry
      yield* registry.publish({ tenant_id: "acme", spec: spec("1") })
      const said = yield* registry.deprecate("acme", "assistant", "1", "use 2")
      assert.strictEqual(said.deprecation, "use 2")
      assert.isNumber(said.deprecated_ms)
      assert.strictEqual((yield* registry.get("acme", "assistant", "1")).deprecation, "use 2")
      yield* registry.deprecate("acme", "assistant", "1", "use 2")
      assert.isFalse((yield* registry.publish({ tenant_id: "acme", spec: spec("1") })).created)
      assert.strictEqual(
        (yield* Effect.flip(registry.deprecate("acme", "assistant", "9", "x")))._tag,
        "ControlNotFound"
      )
      const { items } = yield* (yield* AuditLog).list("acme", {})
      assert.deepStrictEqual(items.map(({ action }) => action), ["pipeline.publish", "pipeline.deprecate"])
    })
  )

  it.live("says under which versions of the contract a pipeline may run", () =>
    Effect.flatMap(make, ({ client }) =>
      Effect.gen(function*() {
        const registry = yield* PipelineRegistry
        const bodyOf = (version: string, compatibility: object) =>
          Effect.flatMap(
            registry.publish({ tenant_id: "acme", spec: spec(version), compatibility }),
            ({ published }) => registry.abiOf(published)
          )
        assert.deepStrictEqual(yield* bodyOf("1", {}), { contract_versions: ["v1.0", "v1.2", "v1.10"] })
        assert.deepStrictEqual(yield* bodyOf("2", { min_contract_version: "v1.2.0" }), {
          contract_versions: ["v1.2", "v1.10"]
        })
        assert.deepStrictEqual(yield* bodyOf("3", { min_contract_version: "v1.1", max_contract_version: "v1.9" }), {
          contract_versions: ["v1.2"]
        })
        assert.strictEqual(
          (yield* Effect.flip(bodyOf("4", { min_contract_version: "v2.0" })))._tag,
          "ControlConflict"
        )
        const upside = yield* Effect.flip(
          bodyOf("5", { min_contract_version: "v1.2", max_contract_version: "v1.0" })
        )
        assert.strictEqual(upside._tag, "ControlInvalid")
      }).pipe(Effect.provide(
        modules({ contractVersions: ["v1.0", "v1.2", "v1.10"] }).pipe(Layer.provideMerge(client)),
        { local: true }
      ))))

  it.live("says which tables a database lacks, and makes none by asking", () =>
    Effect.flatMap(make, ({ client }) =>
      Effect.gen(function*() {
        const { missing: none } = yield* migrationState
        assert.include(none, "0001_audit")
        assert.isAbove(none.length, 9)
        assert.deepStrictEqual((yield* migrationState).missing, none)
        yield* migrateControl
        assert.deepStrictEqual((yield* migrationState).missing, [])
        yield* (yield* SqlClient.SqlClient)`DELETE FROM rspp_control_migrations WHERE migration_id = 2`
        assert.deepStrictEqual((yield* migrationState).missing, ["0002_pipelines"])
        // it is made though later ones are there
        yield* (yield* SqlClient.SqlClient)`DROP TABLE rspp_pipelines`
        yield* migrateControl
        assert.deepStrictEqual((yield* migrationState).missing, [])
        assert.deepStrictEqual(yield* (yield* SqlClient.SqlClient)`SELECT position FROM rspp_pipelines`, [])
      }).pipe(Effect.provide(client, { local: true }))))

  it.live("opens a new database from eight clients at once, and they publish one version of each", () =>
    Effect.flatMap(make, ({ client }) =>
      Effect.gen(function*() {
        const results = yield* Effect.forEach(Array.from({ length: 8 }), () =>
          Effect.flatMap(PipelineRegistry, (registry) =>
            Effect.forEach(["1", "2"], (version) =>
              registry.publish({ tenant_id: "acme", spec: spec(version) }))).pipe(
              Effect.provide(modules().pipe(Layer.provide(Layer.fresh(client))), { local: true })
            ), { concurrency: "unbounded" })
        assert.strictEqual(
          results.flat().filter(({ created }) =>
            created
          ).length,
          2
        )
        const verdict = yield* Effect.flatMap(AuditLog, (audit) =>
          audit.verify).pipe(
            Effect.provide(modules().pipe(Layer.provide(Layer.fresh(client))), { local: true })
          )
        assert.deepInclude(verdict, { intact: true, records: 2 })
      })))
})

onBothDatabases("the audit log", (make) => {
  const test = <E>(
    name: string,
    body: Effect.Effect<unknown, E, PipelineRegistry | AuditLog | SqlClient.SqlClient>
  ) =>
    it.live(
      name,
      () =>
        Effect.flatMap(make, ({ client }) =>
          Effect.provide(body, modules().pipe(Layer.provideMerge(client)), { local: true }))
    )

  const three = Effect.gen(function*() {
    const registry = yield* PipelineRegistry
    for (const version of ["1", "2", "3"]) yield* registry.publish({ tenant_id: "acme", spec: spec(version) })
    assert.deepInclude(yield* (yield* AuditLog).verify, { intact: true, records: 3 })
  })

  test(
    "names the actor and the request of a change, and is written with it",
    Effect.gen(function*() {
      const registry = yield* PipelineRegistry
      yield* registry.publish({ tenant_id: "acme", spec: spec("1") }).pipe(
        Effect.provideService(Actor, { actor: "key:k1", request_id: "r-9" })
      )
      const { items } = yield* (yield* AuditLog).list("acme", {})
      assert.deepInclude(items[0], { sequence: 1, actor: "key:k1", request_id: "r-9", subject: "assistant@1" })
      assert.deepStrictEqual((yield* (yield* AuditLog).list("other", {})).items, [])
    })
  )

  test(
    "lets no change through that it cannot write down",
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const registry = yield* PipelineRegistry
      yield* registry.publish({ tenant_id: "acme", spec: spec("1") })
      // the next row of the log cannot be inserted: its number is taken
      yield* sql`INSERT INTO rspp_audit (sequence, at_ms, actor, tenant_id, action, subject, details, previous_hash, hash)
      VALUES (2, 0, 'x', 'x', 'x', 'x', '{}', 'x', 'x')`
      assert.strictEqual(
        (yield* Effect.flip(registry.publish({ tenant_id: "acme", spec: spec("2") })))._tag,
        "DatabaseFailure"
      )
      assert.strictEqual(
        (yield* Effect.flip(registry.deprecate("acme", "assistant", "1", "x")))._tag,
        "DatabaseFailure"
      )
      assert.strictEqual((yield* Effect.flip(registry.get("acme", "assistant", "2")))._tag, "ControlNotFound")
      assert.isUndefined((yield* registry.get("acme", "assistant", "1")).deprecation)
    })
  )

  const planted = (what: string, damage: (sql: SqlClient.SqlClient) => Effect.Effect<unknown, unknown>, at: number) =>
    test(
      `finds ${what}`,
      Effect.gen(function*() {
        yield* three
        yield* damage(yield* SqlClient.SqlClient)
        const verdict = yield* (yield* AuditLog).verify
        assert.isFalse(verdict.intact)
        assert.strictEqual(verdict.problem?.sequence, at)
        assert.strictEqual(verdict.records, at - 1)
      })
    )
  planted("a changed row", (sql) => sql`UPDATE rspp_audit SET actor = 'nobody' WHERE sequence = 2`, 2)
  planted("changed details", (sql) => sql`UPDATE rspp_audit SET details = '{}' WHERE sequence = 3`, 3)
  planted("a removed row", (sql) => sql`DELETE FROM rspp_audit WHERE sequence = 2`, 2)
  planted("the last row removed", (sql) => sql`DELETE FROM rspp_audit WHERE sequence = 3`, 3)
  planted("two rows in another order", (sql) =>
    Effect.gen(function*() {
      yield* sql`UPDATE rspp_audit SET sequence = 9 WHERE sequence = 2`
      yield* sql`UPDATE rspp_audit SET sequence = 2 WHERE sequence = 3`
      yield* sql`UPDATE rspp_audit SET sequence = 3 WHERE sequence = 9`
    }), 2)
  planted(
    "a row that was put in at the end",
    (sql) =>
      sql`INSERT INTO rspp_audit (sequence, at_ms, actor, tenant_id, action, subject, details, previous_hash, hash)
      SELECT 4, at_ms, actor, tenant_id, action, subject, details, hash, hash FROM rspp_audit WHERE sequence = 3`,
    4
  )
  planted(
    "a head that was put back",
    (sql) => sql`UPDATE rspp_audit_head SET sequence = 2, hash = (SELECT hash FROM rspp_audit WHERE sequence = 2)`,
    3
  )

  test(
    "can be verified while others write",
    Effect.gen(function*() {
      const registry = yield* PipelineRegistry
      const audit = yield* AuditLog
      const writes = Effect.forEach(
        Array.from({ length: 30 }),
        (_, at) => registry.publish({ tenant_id: "acme", spec: spec(`v${at}`) }),
        { concurrency: 3 }
      )
      const reads = Effect.forEach(Array.from({ length: 30 }), () => audit.verify)
      const [, verdicts] = yield* Effect.all([writes, reads], { concurrency: "unbounded" })
      assert.isTrue(verdicts.every(({ intact }) => intact))
      assert.deepInclude(yield* audit.verify, { intact: true, records: 30 })
    })
  )
})
