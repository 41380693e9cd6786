import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import { DatabaseFailure } from "../ControlError.ts"
import { auditTables } from "./AuditTables.ts"
import { failing } from "./Database.ts"
import { leaseMigrations } from "./LeaseMigrations.ts"
import { policyTables } from "./PolicyTables.ts"
import { registryTables } from "./RegistryTables.ts"
import { sessionTables } from "./SessionTables.ts"
import { tenancyTables } from "./TenancyTables.ts"
import { snapshotMigrations } from "./SnapshotMigrations.ts"

/** Every table of the control plane, oldest first; each is run once. A new one has a number of its own, the highest. */
const all = {
  ...auditTables,
  ...registryTables,
  ...tenancyTables,
  ...policyTables,
  ...sessionTables,
  ...leaseMigrations,
  ...snapshotMigrations
}

/** The table that says which of them have been run. */
const table = "rspp_control_migrations"

/** Names the lock of PostgreSQL that one process holds while it makes tables ("RSPP"). */
const lockId = 0x52535050

/** How often a SQLite file that another process holds is tried again, 50 ms apart. */
const attempts = 100

/**
 * Makes the tables that are missing. Several processes may do so at once to the same new database: the first makes them,
 * the others wait and find them made. Fails with {@link DatabaseFailure}.
 */
export const migrateControl: Effect.Effect<void, DatabaseFailure, SqlClient.SqlClient> = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const run = sql.withTransaction(
    Effect.gen(function*() {
      yield* sql.onDialectOrElse({
        pg: () => Effect.asVoid(sql`SELECT pg_advisory_xact_lock(${lockId})`),
        // BEGIN IMMEDIATE has the one lock of the file
        orElse: () => Effect.void
      })
      yield* Migrator.make({})({ loader: Migrator.fromRecord(all), table })
    })
  )
  yield* run.pipe(
    failing,
    Effect.mapError((error) =>
      error._tag === "MigrationError"
        ? new DatabaseFailure({
          message: `the tables of the control plane cannot be made: ${error.message}`,
          retryable: error.kind === "Locked",
          cause: error
        })
        : error
    ),
    Effect.retry({ schedule: Schedule.spaced(50), times: attempts, while: (error) => error.retryable })
  )
})
