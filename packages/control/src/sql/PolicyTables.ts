import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"

/** A table of documents, as Documents.ts reads and writes them. */
const documentTable = (table: string) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`CREATE TABLE ${sql(table)} (
      position BIGINT NOT NULL PRIMARY KEY,
      tenant_id TEXT NOT NULL,
      document_id TEXT NOT NULL,
      revision BIGINT NOT NULL,
      updated_ms BIGINT NOT NULL,
      body TEXT NOT NULL,
      UNIQUE (tenant_id, document_id)
    )`
  })

/** What operators decide: policies, admission and rollouts, each a document with a revision. */
export const policyTables = {
  "0004_policies": documentTable("rspp_policies"),
  "0005_admission": documentTable("rspp_admission"),
  "0006_rollouts": documentTable("rspp_rollouts"),
  "0007_provider_health": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`CREATE TABLE rspp_provider_health (
      tenant_id TEXT NOT NULL,
      provider_id TEXT NOT NULL,
      bucket_ms BIGINT NOT NULL,
      succeeded BIGINT NOT NULL,
      failed BIGINT NOT NULL,
      PRIMARY KEY (tenant_id, provider_id, bucket_ms)
    )`
  }),
  "0031_provider_circuits": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`ALTER TABLE rspp_provider_health ADD COLUMN slow BIGINT NOT NULL DEFAULT 0`
    // the histogram of first-result latencies, as JSON
    yield* sql`ALTER TABLE rspp_provider_health ADD COLUMN latency TEXT NOT NULL DEFAULT '[]'`
    yield* sql`CREATE TABLE rspp_provider_circuits (
      tenant_id TEXT NOT NULL,
      provider_id TEXT NOT NULL,
      heard_ms BIGINT NOT NULL,
      circuit TEXT NOT NULL,
      PRIMARY KEY (tenant_id, provider_id)
    )`
  })
}
