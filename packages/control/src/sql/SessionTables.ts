import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"

/** Sessions that were made, the places that run them, and the answers to requests that may be repeated. */
export const sessionTables = {
  "0008_sessions": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`CREATE TABLE rspp_sessions (
      position BIGINT NOT NULL,
      session_id TEXT NOT NULL PRIMARY KEY,
      tenant_id TEXT NOT NULL,
      pipeline_id TEXT NOT NULL,
      pipeline_version TEXT NOT NULL,
      caller TEXT NOT NULL,
      language TEXT,
      region TEXT,
      cost_tier TEXT,
      created_ms BIGINT NOT NULL,
      expires_ms BIGINT NOT NULL,
      ended_ms BIGINT,
      UNIQUE (tenant_id, position)
    )`
    yield* sql`CREATE TABLE rspp_placements (
      tenant_id TEXT NOT NULL,
      placement_id TEXT NOT NULL,
      region TEXT,
      endpoints TEXT NOT NULL,
      seen_ms BIGINT NOT NULL,
      expires_ms BIGINT NOT NULL,
      PRIMARY KEY (tenant_id, placement_id)
    )`
  }),
  "0009_idempotency": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`CREATE TABLE rspp_idempotency (
      key_id TEXT NOT NULL,
      idempotency_key TEXT NOT NULL,
      fingerprint TEXT NOT NULL,
      status INTEGER NOT NULL,
      content_type TEXT NOT NULL,
      body TEXT NOT NULL,
      created_ms BIGINT NOT NULL,
      PRIMARY KEY (key_id, idempotency_key)
    )`
  })
}
