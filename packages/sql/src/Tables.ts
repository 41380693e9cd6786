import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

/** A database that another process holds is tried again after so long, ms, ... */
const againMs = 50

/** ... until this has passed, ms: longer than anybody takes to make tables. */
const heldWithinMs = 5000

/** Tries again what another process was in the way of, for 5 s. */
export const againWhile = <E>(isHeld: (error: E) => boolean) => <A, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.retry(effect, {
    schedule: Schedule.upTo(Schedule.spaced(againMs), { duration: heldWithinMs }),
    while: isHeld
  })

/**
 * Runs `make` in a transaction, as the only one of all processes that name the same lock of the same database; the others
 * wait, and find what it has made. `lockId` is for PostgreSQL; on SQLite a transaction that writes has the one lock of the
 * file.
 */
export const alone =
  (lockId: number) =>
  <A, E, R>(make: Effect.Effect<A, E, R>): Effect.Effect<A, E | SqlError, R | SqlClient.SqlClient> =>
    Effect.flatMap(SqlClient.SqlClient, (sql) =>
      sql.withTransaction(Effect.andThen(
        sql.onDialectOrElse({
          pg: () => Effect.asVoid(sql`SELECT pg_advisory_xact_lock(${lockId})`),
          orElse: () => Effect.void
        }),
        make
      )))

export interface Tables {
  /** See {@link alone}. */
  readonly lockId: number
  /** Versions of the tables, oldest first; each is run once. */
  readonly migrations: Migrator.Loader
  /** The table that says which of them have been run. */
  readonly table: string
}

/** Makes the tables that are missing. Several processes may do so at once to the same new database. */
export const makeTables = (
  { lockId, migrations, table }: Tables
): Effect.Effect<void, Migrator.MigrationError | SqlError, SqlClient.SqlClient> =>
  alone(lockId)(Migrator.make({})({ loader: migrations, table })).pipe(
    againWhile((error) => error._tag === "SqlError" ? error.isRetryable : error.kind === "Locked"),
    Effect.asVoid
  )
