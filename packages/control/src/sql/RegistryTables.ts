import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"

/** Published pipelines: a row is never changed but for its deprecation. */
export const registryTables = {
  "0002_pipelines": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`CREATE TABLE rspp_pipelines (
      position BIGINT NOT NULL PRIMARY KEY,
      tenant_id TEXT NOT NULL,
      pipeline_id TEXT NOT NULL,
      pipeline_version TEXT NOT NULL,
      content_hash TEXT NOT NULL,
      spec TEXT NOT NULL,
      normalized TEXT NOT NULL,
      admission TEXT NOT NULL,
      compatibility TEXT NOT NULL,
      published_ms BIGINT NOT NULL,
      published_by TEXT NOT NULL,
      deprecated_ms BIGINT,
      deprecation TEXT,
      UNIQUE (tenant_id, pipeline_id, pipeline_version)
    )`
    yield* sql`CREATE INDEX rspp_pipelines_by_hash ON rspp_pipelines (tenant_id, content_hash)`
  })
}
