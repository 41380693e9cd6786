import { listening } from "@rspp/sql/Listening"
import * as NodeSqlite from "@rspp/sql/NodeSqlite"
import * as Postgres from "@rspp/sql/Postgres"
import { postgresServer } from "@rspp/sql/test/support/PostgresServer"
import type { Layer, Stream } from "effect"
import { Effect, Redacted } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Figure } from "./Figure.ts"

/** A database that waits for its disk at each commit, as in production. */
export interface BenchDatabase {
  readonly name: string
  /** A client of its own each time. */
  readonly client: () => Layer.Layer<SqlClient, SqlError>
  /** With what it pushes, if it can. */
  readonly pushing?: () => Layer.Layer<Pushing, SqlError>
}

export type Pushing = Layer.Success<ReturnType<typeof Postgres.layer>>
export type Listen = (channel: string) => Stream.Stream<string, SqlError>
export const listenOn: Effect.Effect<Listen, never, Pushing> = listening

/** The figures of both databases; of one that cannot be had, a line that says so. */
export const onDatabases = async (
  measure: (database: BenchDatabase) => Promise<ReadonlyArray<Figure>>
): Promise<ReadonlyArray<Figure>> => {
  const directory = mkdtempSync(join(tmpdir(), "rspp-bench-db-"))
  const server = postgresServer({ durable: true })
  try {
    const sqlite = await measure({ name: "SQLite", client: () => NodeSqlite.layer(join(directory, "bench.db")) })
    if ("missing" in server) {
      return [...sqlite, { name: "PostgreSQL", value: 0, unit: "figures", note: `not run: ${server.missing}` }]
    }
    const postgres = () => Postgres.layer(Redacted.make(new URL(server.url)), { maxConnections: 8 })
    return [...sqlite, ...(await measure({ name: "PostgreSQL", client: postgres, pushing: postgres }))]
  } finally {
    if (!("missing" in server)) server.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}
