import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"

/** Tenants and their API keys; of a key's secret only a hash. */
export const tenancyTables = {
  "0003_tenancy": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`CREATE TABLE rspp_tenants (
      position BIGINT NOT NULL PRIMARY KEY,
      tenant_id TEXT NOT NULL UNIQUE,
      name TEXT NOT NULL,
      created_ms BIGINT NOT NULL,
      suspended_ms BIGINT
    )`
    yield* sql`CREATE TABLE rspp_api_keys (
      position BIGINT NOT NULL PRIMARY KEY,
      key_id TEXT NOT NULL UNIQUE,
      tenant_id TEXT NOT NULL,
      name TEXT NOT NULL,
      role TEXT NOT NULL,
      scopes TEXT NOT NULL,
      salt TEXT NOT NULL,
      secret_hash TEXT NOT NULL,
      created_ms BIGINT NOT NULL,
      expires_ms BIGINT,
      revoked_ms BIGINT
    )`
    yield* sql`CREATE INDEX rspp_api_keys_of_tenant ON rspp_api_keys (tenant_id, position)`
  })
}
