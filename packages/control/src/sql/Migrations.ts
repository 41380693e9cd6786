import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Migrator from "effect/sql/Migrator"
import { leaseMigrations } from "./LeaseMigrations.ts"
import { snapshotMigrations } from "./SnapshotMigrations.ts"

/** Every table of the control plane, by number: each module keeps its own record of them. */
const all = {
  ...leaseMigrations,
  ...snapshotMigrations
}

/**
 * Brings the control plane's tables to this version, once for each database, whoever comes first. Several processes may
 * do so at once: PostgreSQL's table lock or SQLite's write lock lets one through, and the others find it done; one that
 * was turned away tries again for two seconds.
 */
export const migrateControl = Migrator.make({})({
  loader: Migrator.fromRecord(all),
  table: "rspp_control_migrations"
}).pipe(
  Effect.retry({ schedule: Schedule.spaced(100), times: 20, while: ({ _tag }) => _tag === "SqlError" }),
  Effect.asVoid
)
