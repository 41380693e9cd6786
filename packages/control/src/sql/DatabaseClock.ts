import type * as SqlClient from "effect/sql/SqlClient"
import type { Fragment } from "effect/sql/Statement"

/** Wall time of the database at this statement (not at the start of its transaction), in whole ms. */
export const databaseNow = (sql: SqlClient.SqlClient): Fragment =>
  sql.onDialectOrElse({
    pg: () => sql.literal("CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS BIGINT)"),
    orElse: () => sql.literal("CAST(unixepoch('subsec') * 1000 AS INTEGER)")
  })
