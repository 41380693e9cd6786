// Each table that the program can make in a database is in the backup of the control plane, or is left out for a reason.
import { afterAll, assert, it } from "@effect/vitest"
import { backupTables, notBackedUp } from "@rspp/control/sql/BackupTables"
import { migrateControl } from "@rspp/control/sql/Migrations"
import { SessionPlacement } from "@rspp/control/SessionPlacement"
import { inOwnSchema, withPostgres } from "../../packages/control/test/support/LeaseStores.ts"
import { SessionStates } from "@rspp/timeline/state/SessionStates"
import * as SqlTimelineStore from "@rspp/timeline/store/SqlTimelineStore"
import { Effect, Layer } from "effect"
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

withPostgres("backup", ({ stop, url }) => {
  afterAll(stop)
  it.live(
    "every table of the program is backed up or left out for a reason, and none is both",
    () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* migrateControl
        yield* Layer.build(SessionStates.layerSql({ name: "db" }))
        yield* Layer.build(SqlTimelineStore.layer("db"))
        yield* Layer.build(SessionPlacement.layerClient({ goneAfterMs: 10_000 }))
        const rows = yield* sql`SELECT tablename AS name FROM pg_tables WHERE schemaname = ANY(current_schemas(false))`
        const made = rows.map((row) => String(row["name"])).sort()
        assert.isTrue(made.includes("rspp_session_states") && made.some((name) => name.startsWith("rspp_cluster_")))
        assert.deepStrictEqual(undecided(made), { tables: [], patterns: [] })
      }).pipe(Effect.scoped, Effect.provide(inOwnSchema(url))),
    60_000
  )
})
