// Each table that the program can make in a database is in the backup of the control plane, or is left out for a reason.
import { assert, it } from "@effect/vitest"
import { backupTables, notBackedUp } from "@rspp/control/sql/BackupTables"
import { migrateControl } from "@rspp/control/sql/Migrations"
import { SessionPlacement } from "@rspp/control/SessionPlacement"
import * as Postgres from "@rspp/sql/Postgres"
import { postgresServer } from "@rspp/sql/test/support/PostgresServer"
import { SessionStates } from "@rspp/timeline/state/SessionStates"
import * as SqlTimelineStore from "@rspp/timeline/store/SqlTimelineStore"
import { Effect, Layer, Redacted } from "effect"
import * as SqlClient from "effect/sql/SqlClient"

const covers = (pattern: string, table: string): boolean =>
  pattern.endsWith("*") ? table.startsWith(pattern.slice(0, -1)) : pattern === table

/** Tables that nobody has decided about, and decisions about tables that nobody makes. */
const undecided = (made: ReadonlyArray<string>) => {
  const patterns = [...backupTables.map(({ table }) => table), ...Object.keys(notBackedUp)]
  return {
    tables: made.filter((table) => patterns.filter((pattern) => covers(pattern, table)).length !== 1),
    patterns: patterns.filter((pattern) => !made.some((table) => covers(pattern, table)))
  }
}

it("a table that nobody has decided about is found", () => {
  const { tables } = undecided([...backupTables.map(({ table }) => table), "rspp_new"])
  assert.deepStrictEqual(tables, ["rspp_new"])
})

it.live("every table of the program is backed up or left out for a reason, and none is both", (context) => {
  const server = postgresServer()
  if ("missing" in server) return context.skip(server.missing)
  const address = new URL(server.url)
  const schema = `rspp_test_tables_${process.pid}`
  const client = (url: URL) => Postgres.layer(Redacted.make(url))
  const once = (statement: string) =>
    Effect.flatMap(SqlClient.SqlClient, (sql) => sql.unsafe(statement)).pipe(
      Effect.provide(client(address), { local: true }),
      Effect.orDie
    )
  // a server that was given may hold other things
  const inSchema = new URL(server.url)
  inSchema.searchParams.set("options", `-c search_path=${schema}`)
  const made = Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* migrateControl
    yield* Layer.build(SessionStates.layerSql({ name: "db" }))
    yield* Layer.build(SqlTimelineStore.layer("db"))
    yield* Layer.build(SessionPlacement.layerClient({ goneAfterMs: 10_000 }))
    const rows = yield* sql`SELECT tablename AS name FROM pg_tables WHERE schemaname = ANY(current_schemas(false))`
    return rows.map((row) => String(row["name"])).sort()
  }).pipe(Effect.scoped, Effect.provide(client(inSchema), { local: true }))
  return Effect.gen(function*() {
    yield* once(`CREATE SCHEMA ${schema}`)
    const tables = yield* made
    assert.isTrue(tables.includes("rspp_session_states") && tables.some((name) => name.startsWith("rspp_cluster_")))
    assert.deepStrictEqual(undecided(tables), { tables: [], patterns: [] })
  }).pipe(
    Effect.ensuring(Effect.andThen(once(`DROP SCHEMA IF EXISTS ${schema} CASCADE`), Effect.sync(server.stop)))
  )
}, 60_000)
