import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"

/** The audit log, and its head: how long it is and the hash of its last row. */
export const auditTables = {
  "0001_audit": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`CREATE TABLE rspp_audit (
      sequence BIGINT NOT NULL PRIMARY KEY,
      at_ms BIGINT NOT NULL,
      actor TEXT NOT NULL,
      request_id TEXT,
      tenant_id TEXT NOT NULL,
      action TEXT NOT NULL,
      subject TEXT NOT NULL,
      details TEXT NOT NULL,
      previous_hash TEXT NOT NULL,
      hash TEXT NOT NULL
    )`
    yield* sql`CREATE INDEX rspp_audit_of_tenant ON rspp_audit (tenant_id, sequence)`
    yield* sql`CREATE TABLE rspp_audit_head (
      head_id INTEGER NOT NULL PRIMARY KEY,
      sequence BIGINT NOT NULL,
      hash TEXT NOT NULL
    )`
    yield* sql`INSERT INTO rspp_audit_head (head_id, sequence, hash) VALUES (1, 0, ${"0".repeat(64)})`
  })
}
