// Backup and restore, the same cases on SQLite and on a real PostgreSQL, and from each into the other.
import { assert, describe, it } from "@effect/vitest"
import type { Snapshot } from "@rspp/contracts/Snapshot"
import { sha256 } from "@noble/hashes/sha2.js"
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js"
import * as NodeSqlite from "@rspp/sql/NodeSqlite"
import { Effect, Layer, Stream } from "effect"
import type { Scope } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { AuditLog } from "../../src/AuditLog.ts"
import { ControlBackup } from "../../src/ControlBackup.ts"
import { controlModules } from "../../src/ControlModules.ts"
import { ControlPlane } from "../../src/ControlPlane.ts"
import { contentHash } from "../../src/internal/ContentHash.ts"
import { LeaseAuthority } from "../../src/LeaseAuthority.ts"
import { LeaseTokens } from "../../src/LeaseTokens.ts"
import { PipelineRegistry } from "../../src/PipelineRegistry.ts"
import { Rollout } from "../../src/Rollout.ts"
import { SecurityTenancy } from "../../src/SecurityTenancy.ts"
import { SessionDirectory } from "../../src/SessionDirectory.ts"
import { SnapshotLog } from "../../src/SnapshotLog.ts"
import { backupTables } from "../../src/sql/BackupTables.ts"
import { migrateControl } from "../../src/sql/Migrations.ts"
import * as SqlLeaseStore from "../../src/sql/SqlLeaseStore.ts"
import * as SqlSnapshotLog from "../../src/sql/SqlSnapshotLog.ts"
import { onBothDatabases } from "./support/Databases.ts"
import type { Database } from "./support/Databases.ts"

const modules = controlModules().pipe(
  Layer.provideMerge(LeaseAuthority.layerNoDeps()),
  Layer.provideMerge(SqlLeaseStore.layer({ name: "test" })),
  Layer.provideMerge(SqlSnapshotLog.layer({ name: "test" })),
  Layer.provideMerge(LeaseTokens.layerSeeded(1)),
  Layer.provideMerge(ControlPlane.layerMemory()),
  Layer.provideMerge(ControlBackup.layer)
)
type Modules = Layer.Success<typeof modules> | SqlClient.SqlClient

/** Runs with the modules over a database, as a program of its own does. */
const over = <A, E>({ client }: Database, body: Effect.Effect<A, E, Modules | Scope.Scope>) =>
  Effect.scoped(Effect.provide(body, modules.pipe(Layer.provideMerge(client)), { local: true }))
const backupOver = <A, E>({ client }: Database, body: Effect.Effect<A, E, ControlBackup | SqlClient.SqlClient>) =>
  Effect.provide(body, ControlBackup.layer.pipe(Layer.provideMerge(client)), { local: true })

/** A backup of a control plane that was furnished, and changed by hand after that. */
const takenAfter = (database: Database, change?: (sql: SqlClient.SqlClient) => Effect.Effect<unknown, SqlError>) =>
  over(
    database,
    Effect.gen(function*() {
      yield* furnish
      if (change !== undefined) yield* change(yield* SqlClient.SqlClient)
      return (yield* taken).text
    })
  )

const taken = Effect.gen(function*() {
  let text = ""
  const report = yield* (yield* ControlBackup).take((lines) => Effect.sync(() => void (text += lines)))
  return { report, text }
})
const linesOf = (text: string) => Stream.fromIterable(text.split("\n").slice(0, -1))
const restored = (text: string) => Effect.flatMap(ControlBackup, (backup) => backup.restore(linesOf(text)))

const body = { contract_versions: ["v1.0" as const] }
const snapshot: Snapshot = {
  schema_version: "v1.0",
  snapshot_kind: "abi_compatibility_snapshot",
  snapshot_id: "snap_abi_compatibility_snapshot_1",
  version: 1,
  issued_at_ms: 1,
  ttl_ms: 60_000,
  content_hash: contentHash(body),
  body
}

/** A control plane with something in every place that counts; the keys that it gave out. */
const furnish = Effect.gen(function*() {
  const security = yield* SecurityTenancy
  const platform = yield* security.bootstrap
  const { owner } = yield* security.createTenant("acme", "Acme \u2028 \"&Söhne\"")
  const registry = yield* PipelineRegistry
  for (const version of ["1", "2"]) {
    yield* registry.publish({
      tenant_id: "acme",
      spec: { schema_version: "v1.0", pipeline_id: "assistant", pipeline_version: version }
    })
  }
  yield* (yield* Rollout).put("acme", "assistant", { stable_version: "1" }, undefined)
  const leases = yield* LeaseAuthority
  for (let n = 0; n < 3; n++) {
    const { authority_epoch } = yield* leases.acquire("ses_old", "somewhere")
    if (n < 2) yield* leases.revoke("ses_old", authority_epoch)
  }
  yield* (yield* SnapshotLog).publish("ses_old", snapshot)
  // more than one batch
  const sql = yield* SqlClient.SqlClient
  for (let n = 0; n < 450; n++) {
    yield* sql`INSERT INTO rspp_provider_health ${
      sql.insert({ tenant_id: "acme", provider_id: `p${n}`, bucket_ms: 5000 * n, succeeded: n, failed: 0 })
    }`
  }
  return { platform: platform?.text ?? "", owner: owner.text }
})

onBothDatabases("backup and restore", (make) => {
  const test = <E>(name: string, body: Effect.Effect<unknown, E, Scope.Scope>) => it.live(name, () => body, 60_000)

  test(
    "brings back everything: keys, rollouts, sessions and an audit log that is intact and says so",
    Effect.gen(function*() {
      const [first, second] = [yield* make, yield* make]
      const { backup, keys, session } = yield* over(
        first,
        Effect.gen(function*() {
          const keys = yield* furnish
          const session = yield* (yield* SessionDirectory).create("acme", { pipeline_id: "assistant", caller: "ann" })
          return { keys, session, backup: yield* taken }
        })
      )
      const report = yield* backupOver(second, restored(backup.text))
      assert.deepInclude(report, { rows: backup.report.rows, sha256: backup.report.sha256, live_keys: 2 })
      assert.strictEqual(report.audit.intact, true)
      assert.strictEqual(report.audit.records, backup.report.audit.sequence + 1)
      yield* over(
        second,
        Effect.gen(function*() {
          const security = yield* SecurityTenancy
          assert.strictEqual((yield* security.authenticate(keys.owner)).role, "owner")
          assert.strictEqual((yield* security.authenticate(keys.platform)).role, "platform")
          assert.isUndefined(yield* security.bootstrap)
          assert.strictEqual((yield* security.getTenant("acme")).name, "Acme \u2028 \"&Söhne\"")
          assert.strictEqual((yield* (yield* SessionDirectory).get("acme", session.session_id)).caller, "ann")
          // and it goes on: positions, the chain, documents
          yield* (yield* PipelineRegistry).publish({
            tenant_id: "acme",
            spec: { schema_version: "v1.0", pipeline_id: "assistant", pipeline_version: "3" }
          })
          const audit = yield* AuditLog
          assert.deepInclude(yield* audit.verify, { intact: true, records: report.audit.records + 1 })
          const entries = yield* audit.list("platform", {})
          const entry = entries.items.find(({ action }) => action === "control_plane.restore")
          assert.deepInclude(entry?.details, { taken_ms: report.taken_ms, sha256: report.sha256 })
          const [{ count } = { count: 0 }] = yield* (yield* SqlClient.SqlClient)<{ count: number }>`
            SELECT COUNT(*) AS count FROM rspp_provider_health`
          assert.equal(count, 450)
        })
      )
    })
  )

  test(
    "hands out no epoch, version or revision again that was handed out after the backup, nor at an earlier restore",
    Effect.gen(function*() {
      const [first, second, third] = [yield* make, yield* make, yield* make]
      const text = yield* over(
        first,
        Effect.gen(function*() {
          yield* furnish
          const { text } = yield* taken
          // lost with the database
          const leases = yield* LeaseAuthority
          yield* leases.rotate("ses_old", 3, "elsewhere")
          yield* leases.acquire("ses_new", "elsewhere")
          yield* (yield* SnapshotLog).publish("ses_new", snapshot)
          return text
        })
      )
      const handedOut = Effect.gen(function*() {
        const leases = yield* LeaseAuthority
        const log = yield* SnapshotLog
        const rollout = yield* Rollout
        // the process that held it before the restore
        const renewed = yield* Effect.flip(leases.renew({
          session_id: "ses_old",
          placement_id: "elsewhere",
          authority_epoch: 4,
          lease_token: "x",
          ttl_ms: 1
        }))
        assert.strictEqual(renewed._tag, "LeaseLost")
        assert.isUndefined(yield* leases.current("ses_old"))
        const epochs: Array<number> = []
        for (const session of ["ses_old", "ses_new"]) {
          const lease = yield* leases.acquire(session, "here")
          epochs.push(lease.authority_epoch)
          assert.strictEqual((yield* leases.renew(lease)).authority_epoch, lease.authority_epoch)
          // a second one that read the same is refused
          assert.strictEqual((yield* Effect.flip(leases.acquire(session, "there")))._tag, "LeaseHeld")
        }
        const versions: Array<number> = []
        for (const scope of ["ses_old", "ses_new"]) versions.push((yield* log.publish(scope, snapshot)).version)
        const { revision } = yield* rollout.put("acme", "assistant", { stable_version: "2" }, undefined)
        return [...epochs, ...versions, revision]
      })
      const one = yield* backupOver(second, restored(text))
      const counters = yield* over(second, handedOut)
      for (const counter of counters) assert.strictEqual(counter, one.counter_floor + 1)
      const two = yield* backupOver(third, restored(text))
      assert.isAbove(two.counter_floor, one.counter_floor)
      for (const counter of yield* over(third, handedOut)) assert.isAbove(counter, Math.max(...counters))
      // and a backup of the restored one keeps the floor
      const again = yield* backupOver(third, taken)
      const fourth = yield* make
      assert.isAbove((yield* backupOver(fourth, restored(again.text))).counter_floor, two.counter_floor)
    })
  )

  test(
    "goes from each database into the other, and says the same lines for the same content",
    Effect.gen(function*() {
      const here = yield* make
      const text = yield* takenAfter(here)
      const other = NodeSqlite.layer(":memory:")
      const there = yield* make
      const contentOf = (text: string) => text.split("\n").slice(1, -2).join("\n")
      const through = yield* Effect.gen(function*() {
        yield* restored(text)
        return yield* taken
      }).pipe(Effect.provide(ControlBackup.layer.pipe(Layer.provideMerge(other)), { local: true }))
      yield* backupOver(there, restored(through.text))
      const last = yield* backupOver(there, taken)
      // but for what the restore itself says and raises
      const still = (text: string) =>
        contentOf(text).split("\n").filter((line) => /provider|"p\d+"|acme/u.test(line) && !/\brspp_/u.test(line))
          .filter((line) => !line.includes("stable_version"))
      assert.deepStrictEqual(still(last.text), still(text))
      assert.strictEqual(contentOf((yield* backupOver(there, taken)).text), contentOf(last.text))
    })
  )

  test(
    "refuses a file that is cut, changed or foreign, and a database that has something in it; then nothing is changed",
    Effect.gen(function*() {
      const full = yield* make
      const text = yield* takenAfter(full)
      const empty = yield* make
      const lines = text.split("\n").slice(0, -1)
      const fails = (changed: ReadonlyArray<string>, where = empty) =>
        backupOver(where, Effect.flip(restored(changed.map((line) => `${line}\n`).join(""))))
      const resealed = (changed: ReadonlyArray<string>) => {
        const before = changed.slice(0, -1).map((line) => `${line}\n`).join("")
        return [
          ...changed.slice(0, -1),
          JSON.stringify({ rows: changed.length - 2, sha256: bytesToHex(sha256(utf8ToBytes(before))) })
        ]
      }
      const message = (error: { readonly _tag: string; readonly message: string }) => `${error._tag} ${error.message}`
      const [head = ""] = lines
      assert.match(message(yield* fails([])), /BackupUnusable the backup is cut off/u)
      assert.match(message(yield* fails(lines.slice(0, -1))), /BackupUnusable the backup is cut off/u)
      assert.match(message(yield* fails(lines.slice(0, 9))), /BackupUnusable the backup is cut off/u)
      assert.match(message(yield* fails(lines.toSpliced(5, 1))), /BackupUnusable the backup was changed/u)
      const changed = lines.map((line) => line.replace("\"owner\"", "\"platform\""))
      assert.match(message(yield* fails(changed)), /BackupUnusable the backup was changed/u)
      assert.match(message(yield* fails([...lines, lines.at(-1) ?? ""])), /BackupUnusable the backup goes on/u)
      assert.match(message(yield* fails(["{\"a\":1}"])), /BackupUnusable this is no backup/u)
      assert.match(message(yield* fails(["RIFF"])), /BackupUnusable this is no backup/u)
      assert.match(message(yield* fails(lines.toSpliced(3, 0, "x"))), /BackupUnusable line 4 is no line/u)
      assert.match(message(yield* fails(lines.toSpliced(3, 0, head))), /BackupUnusable line 4 is a second head/u)
      const newer = resealed([head.replace("\"0001_audit\"", "\"0001_audit\",\"9001_news\""), ...lines.slice(1)])
      assert.match(message(yield* fails(newer)), /BackupUnusable the backup is of a newer program \(9001_news\)/u)
      const foreign = resealed([head.replace("\"rspp_tenants\"", "\"rspp_other\""), ...lines.slice(1)])
      assert.match(message(yield* fails(foreign)), /BackupUnusable the backup has rspp_other/u)
      const column = resealed([head.replace("\"secret_hash\"", "\"secret\""), ...lines.slice(1)])
      assert.match(message(yield* fails(column)), /BackupUnusable the backup has rspp_api_keys with secret/u)
      assert.match(message(yield* fails(lines, full)), /RestoreRefused this database holds a control plane/u)
      // all of that has left nothing: it can still be restored there
      assert.match(message(yield* backupOver(empty, Effect.flip(taken))), /BackupRefused there is no control plane/u)
      assert.strictEqual((yield* backupOver(empty, restored(text))).rows, lines.length - 2)
    })
  )

  test(
    "says when the audit log that was backed up had been changed by hand",
    Effect.gen(function*() {
      const [first, second] = [yield* make, yield* make]
      const text = yield* takenAfter(first, (sql) => sql`UPDATE rspp_audit SET actor = 'nobody' WHERE sequence = 2`)
      const { audit } = yield* backupOver(second, restored(text))
      assert.deepInclude(audit, {
        intact: false,
        problem: { sequence: 2, message: "row 2 was changed: its hash does not fit" }
      })
    })
  )

  test(
    "restores a backup of an older program, and makes what it lacked",
    Effect.gen(function*() {
      const [first, second] = [yield* make, yield* make]
      const text = yield* takenAfter(first, (sql) =>
        Effect.all([
          sql`DROP TABLE rspp_restores`,
          sql`DROP TABLE rspp_provider_circuits`,
          sql`ALTER TABLE rspp_provider_health DROP COLUMN slow`,
          sql`ALTER TABLE rspp_provider_health DROP COLUMN latency`,
          sql`DELETE FROM rspp_control_migrations WHERE migration_id >= 20`
        ]))
      assert.notInclude(text, "rspp_restores")
      const report = yield* backupOver(second, restored(text))
      assert.isTrue(report.audit.intact)
      yield* over(second, Effect.flatMap(LeaseAuthority, (leases) => leases.acquire("ses_old", "here")))
    })
  )

  test(
    "is of one instant: what changes while it is taken is not in it",
    Effect.gen(function*() {
      const database = yield* make
      yield* over(database, furnish)
      let text = ""
      const meanwhile = Effect.flatMap(SqlClient.SqlClient, (sql) =>
        sql.withTransaction(Effect.andThen(
          sql`UPDATE rspp_tenants SET name = 'Meanwhile'`,
          sql`UPDATE rspp_leases SET authority_epoch = 77`
        ))).pipe(Effect.provide(database.client, { local: true }))
      yield* Effect.flatMap(ControlBackup, (backup) =>
        backup.take((lines) =>
          // with the head: not one row has been read yet
          Effect.suspend(() => {
            const first = text === ""
            text += lines
            return first ? Effect.orDie(meanwhile) : Effect.void
          })
        )).pipe(Effect.provide(ControlBackup.layer.pipe(Layer.provideMerge(database.reader)), { local: true }))
      const after = (yield* backupOver(database, taken)).text
      assert.deepStrictEqual([text.includes("Meanwhile"), after.includes("Meanwhile")], [false, true])
      const epochIn = (of: string) => /\["ses_old",\d+,"somewhere",(\d+)/u.exec(of)?.[1]
      assert.deepStrictEqual([epochIn(text), epochIn(after)], ["3", "77"])
    })
  )

  test(
    "knows every table that the migrations make",
    Effect.gen(function*() {
      const { client } = yield* make
      const made = yield* Effect.gen(function*() {
        yield* migrateControl
        const sql = yield* SqlClient.SqlClient
        const rows = yield* sql.onDialectOrElse({
          pg: () => sql`SELECT tablename AS name FROM pg_tables WHERE schemaname = ANY(current_schemas(false))`,
          orElse: () => sql`SELECT name FROM sqlite_master WHERE type = 'table'`
        })
        return rows.map((row) => String(row["name"])).filter((name) => name !== "rspp_control_migrations").sort()
      }).pipe(Effect.provide(client, { local: true }))
      assert.deepStrictEqual(made, backupTables.map(({ table }) => table).sort())
    })
  )
})

describe("a backup", () => {
  it("has no table twice", () => {
    assert.strictEqual(new Set(backupTables.map(({ table }) => table)).size, backupTables.length)
  })
})
