import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"
import type { Fragment } from "effect/sql/Statement"

/** Backups that were restored into this database, oldest first. Numbers 0020 to 0024 are its. */
export const restoreTables = {
  "0020_restores": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`CREATE TABLE rspp_restores (
      position BIGINT NOT NULL PRIMARY KEY,
      restored_ms BIGINT NOT NULL,
      taken_ms BIGINT NOT NULL,
      counter_floor BIGINT NOT NULL,
      sha256 TEXT NOT NULL
    )`
  })
}

/**
 * What every epoch of a lease and every version of a snapshot of this database lies above (R2): 0 unless a backup was
 * restored into it. As an expression within a statement.
 */
export const counterFloor = (sql: SqlClient.SqlClient): Fragment =>
  sql.literal("(SELECT coalesce(max(counter_floor), 0) FROM rspp_restores)")
