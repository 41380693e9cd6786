import { sqlReason } from "@rspp/sql/SqlReason"
import { againWhile, alone } from "@rspp/sql/Tables"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import { DatabaseFailure } from "../ControlError.ts"
import { auditTables } from "./AuditTables.ts"
import { failing, Long, rowsOf } from "./Database.ts"
import { leaseMigrations } from "./LeaseMigrations.ts"
import { policyTables } from "./PolicyTables.ts"
import { registryTables } from "./RegistryTables.ts"
import { restoreTables } from "./RestoreTables.ts"
import { sessionTables } from "./SessionTables.ts"
import { tenancyTables } from "./TenancyTables.ts"
import { snapshotMigrations } from "./SnapshotMigrations.ts"

/** Every table of the control plane, oldest first; each is run once. A new one has a number of its own. */
const all = {
  ...auditTables,
  ...registryTables,
  ...tenancyTables,
  ...policyTables,
  ...sessionTables,
  ...leaseMigrations,
  ...snapshotMigrations,
  ...restoreTables
}

/** Their names, oldest first. */
export const migrationNames: ReadonlyArray<string> = Object.keys(all).sort()

const numberOf = (name: string): number => Number.parseInt(name, 10)

/** The table that says which of them have been run. */
const table = "rspp_control_migrations"

/** What a database has been through, oldest first, as far as this program knows it. Makes nothing. */
export interface MigrationState {
  /** Those that were run, by name. */
  readonly done: ReadonlyArray<string>
  /** Those that this program would run. */
  readonly missing: ReadonlyArray<string>
  /** Those that this program does not know: a newer one has been here. */
  readonly unknown: ReadonlyArray<string>
}

export const migrationState: Effect.Effect<MigrationState, DatabaseFailure, SqlClient.SqlClient> = Effect.gen(
  function*() {
    const sql = yield* SqlClient.SqlClient
    const [there] = yield* rowsOf(table, Schema.Struct({ count: Long }))(sql.onDialectOrElse({
      pg: () =>
        sql`SELECT COUNT(*) AS count FROM pg_tables WHERE tablename = ${table} AND schemaname = ANY(current_schemas(false))`,
      orElse: () => sql`SELECT COUNT(*) AS count FROM sqlite_master WHERE type = 'table' AND name = ${table}`
    }))
    const run = there?.count !== 1
      ? []
      : yield* rowsOf(table, Schema.Struct({ migration_id: Schema.Int, name: Schema.String }))(
        sql`SELECT migration_id, name FROM ${sql(table)} ORDER BY migration_id`
      )
    const has = (id: number) => run.some(({ migration_id }) => migration_id === id)
    return {
      done: migrationNames.filter((name) => has(numberOf(name))),
      missing: migrationNames.filter((name) => !has(numberOf(name))),
      unknown: run
        .filter(({ migration_id }) => !migrationNames.some((name) => numberOf(name) === migration_id))
        .map(({ migration_id, name }) => `${String(migration_id).padStart(4, "0")}_${name}`)
    }
  }
)

/** Names the lock of PostgreSQL that one process holds while it makes tables ("RSPP"). */
const lockId = 0x52535050

/**
 * Makes the tables that are missing. Several processes may do so at once to the same new database: the first makes them,
 * the others wait and find them made. Fails with {@link DatabaseFailure}.
 */
export const migrateControl: Effect.Effect<void, DatabaseFailure, SqlClient.SqlClient> = Effect.suspend(() =>
  migrateTo(migrationNames)
)

/** Makes those of the tables that `names` names, where they are missing. */
export const migrateTo: (
  names: ReadonlyArray<string>
) => Effect.Effect<void, DatabaseFailure, SqlClient.SqlClient> = Effect.fnUntraced(function*(names) {
  const sql = yield* SqlClient.SqlClient
  const run = alone(lockId)(
    Effect.gen(function*() {
      yield* Migrator.make({})({
        loader: Migrator.fromRecord(Object.fromEntries(Object.entries(all).filter(([name]) => names.includes(name)))),
        table
      })
      // parts of the program have ranges of numbers: one that is new may stand below the last that was run, where the
      // migrator looks at none
      const { missing } = yield* migrationState
      for (const [name, made] of Object.entries(all)) {
        if (!names.includes(name) || !missing.includes(name)) continue
        yield* made
        yield* sql`INSERT INTO ${sql(table)} ${
          sql.insert({ migration_id: numberOf(name), name: name.slice(name.indexOf("_") + 1) })
        }`
      }
    })
  )
  yield* run.pipe(
    failing,
    Effect.mapError((error) =>
      error._tag === "MigrationError"
        ? new DatabaseFailure({
          message: `the tables of the control plane cannot be made: ${sqlReason(error)}`,
          retryable: error.kind === "Locked",
          cause: error
        })
        : error
    ),
    againWhile((error) => error.retryable)
  )
})
