import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"

/** The table of published snapshots. Numbers 0015 to 0019 are its. */
export const snapshotMigrations = {
  "0015_snapshots": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const long = sql.onDialectOrElse({ pg: () => sql.literal("BIGINT"), orElse: () => sql.literal("INTEGER") })
    yield* sql`CREATE TABLE rspp_snapshots (
      scope TEXT NOT NULL,
      snapshot_kind TEXT NOT NULL,
      version ${long} NOT NULL,
      issued_at_ms ${long} NOT NULL,
      ttl_ms ${long} NOT NULL,
      content_hash TEXT NOT NULL,
      body TEXT NOT NULL,
      published_ms ${long} NOT NULL,
      PRIMARY KEY (scope, snapshot_kind, version)
    )`
  })
}
