import { afterAll, describe, it } from "@effect/vitest"
import * as NodeSqlite from "@rspp/sql/NodeSqlite"
import * as Postgres from "@rspp/sql/Postgres"
import { postgresServer } from "@rspp/sql/test/support/PostgresServer"
import { Effect, Layer, Redacted } from "effect"
import type { Scope } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import { randomUUID } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** A new, empty database; each layer is a client of its own, as another process has. */
export interface Database {
  readonly client: Layer.Layer<SqlClient.SqlClient>
  /** A client that only reads, as a backup has it; the database must have been opened by another before. */
  readonly reader: Layer.Layer<SqlClient.SqlClient>
}

type Make = Effect.Effect<Database, never, Scope.Scope>

const sqlite: Make = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "rspp-control-"))),
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
  ),
  (directory) => {
    const file = join(directory, "control.sqlite")
    return { client: NodeSqlite.layer(file), reader: NodeSqlite.layer(file, { readOnly: true }) }
  }
)

/** A schema for each test, so that a server that was given may hold other things. */
const postgres = (url: string): Make =>
  Effect.gen(function*() {
    const schema = `rspp_test_${randomUUID().replaceAll("-", "")}`
    const base = Postgres.layer(Redacted.make(new URL(url)))
    const once = (run: (sql: SqlClient.SqlClient) => Effect.Effect<unknown, unknown>) =>
      Effect.orDie(Effect.provide(Effect.flatMap(SqlClient.SqlClient, run), base, { local: true }))
    yield* Effect.acquireRelease(
      once((sql) => sql`CREATE SCHEMA ${sql(schema)}`),
      () => once((sql) => sql`DROP SCHEMA ${sql(schema)} CASCADE`)
    )
    const inTest = new URL(url)
    inTest.searchParams.set("options", `-c search_path=${schema}`)
    const client = Layer.orDie(Postgres.layer(Redacted.make(inTest)))
    return { client, reader: client }
  })

const notRun = (what: string, missing: string) =>
  describe(`${what} on PostgreSQL`, () => {
    it(`was not run: ${missing}`, (context) => context.skip(missing))
  })

const run = (what: string, url: string, stop: () => void, cases: (make: Make) => void) =>
  describe(`${what} on PostgreSQL`, () => {
    afterAll(stop)
    cases(postgres(url))
  })

/** Runs the same cases on SQLite and on PostgreSQL; where there is no server, they are skipped with the reason. */
export const onBothDatabases = (what: string, cases: (make: Make) => void): void => {
  describe(`${what} on SQLite`, () => {
    cases(sqlite)
  })
  const server = postgresServer()
  if ("missing" in server) notRun(what, server.missing)
  else run(what, server.url, server.stop, cases)
}
