import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"

/** The table of leases. Numbers 0010 to 0014 are its. */
export const leaseMigrations = {
  "0010_leases": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const long = sql.onDialectOrElse({ pg: () => sql.literal("BIGINT"), orElse: () => sql.literal("INTEGER") })
    yield* sql`CREATE TABLE rspp_leases (
      session_id TEXT NOT NULL PRIMARY KEY,
      revision ${long} NOT NULL,
      placement_id TEXT NOT NULL,
      authority_epoch ${long} NOT NULL CHECK (authority_epoch >= 1),
      lease_token TEXT NOT NULL,
      state TEXT NOT NULL CHECK (state IN ('held', 'revoked', 'expired')),
      expires_at_ms ${long} NOT NULL
    )`
    yield* sql`CREATE INDEX rspp_leases_by_end ON rspp_leases (expires_at_ms)`
  })
}
