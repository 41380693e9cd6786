import { afterAll, describe, it } from "@effect/vitest"
import { postgresServer } from "@rspp/sql/test/support/PostgresServer"
import type { PostgresServer } from "@rspp/sql/test/support/PostgresServer"
import * as NodeSqlite from "@rspp/sql/NodeSqlite"
import * as Postgres from "@rspp/sql/Postgres"
import { Context, Effect, Exit, Layer, Redacted, Scope } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import { TestClock } from "effect/testing"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { LeaseStore } from "../../src/LeaseStore.ts"
import * as SqlLeaseStore from "../../src/sql/SqlLeaseStore.ts"

/** A store of leases for one test, empty, and the time that passes for it and for the test. */
export interface LeaseStoreUnderTest {
  readonly layer: Layer.Layer<LeaseStore>
  /** Turns the store's clock and then the test's, and waits until what that set going has had its answers. */
  readonly pass: (ms: number) => Effect.Effect<void>
  /** Whether each call is a journey to a database. */
  readonly far: boolean
}

const memory: LeaseStoreUnderTest = { layer: LeaseStore.layerMemory, pass: TestClock.adjust, far: false }

/** One database for all tests of a file; each test has sessions of its own in it. */
const makeDatabase = (name: string, client: Layer.Layer<SqlClient.SqlClient, unknown>) => {
  const scope = Scope.makeUnsafe()
  let opened: Promise<Context.Context<LeaseStore | SqlClient.SqlClient>> | undefined
  let tests = 0

  const open = () =>
    opened ??= Effect.runPromise(
      Effect.gen(function*() {
        const built = yield* Layer.build(client)
        const sql = Context.get(built, SqlClient.SqlClient)
        yield* sql`CREATE TABLE IF NOT EXISTS rspp_test_clock (now_ms BIGINT NOT NULL)`
        yield* sql`INSERT INTO rspp_test_clock VALUES (1000000)`
        const store = yield* Layer.build(
          SqlLeaseStore.layer({
            name,
            answerWithinMs: 20_000,
            nowMs: (sql) => sql.literal("(SELECT max(now_ms) FROM rspp_test_clock)")
          }).pipe(Layer.provide(Layer.succeedContext(built)))
        )
        return Context.merge(built, store)
      }).pipe(Scope.provide(scope))
    )

  const fresh = Effect.gen(function*() {
    const context = yield* Effect.promise(open)
    const sql = Context.get(context, SqlClient.SqlClient)
    const store = Context.get(context, LeaseStore)
    const prefix = `t${++tests}/`
    let waiting = 0
    const counted = <A, E>(call: Effect.Effect<A, E>) =>
      Effect.suspend(() => {
        waiting++
        return Effect.ensuring(call, Effect.sync(() => void waiting--))
      })
    const bare = (id: string) => id.slice(prefix.length)
    // Quiet for several turns of the event loop: whoever had an answer has acted on it.
    const settled = Effect.promise(async () => {
      for (let quiet = 0; quiet < 4;) {
        await new Promise((resolve) => setImmediate(resolve))
        quiet = waiting === 0 ? quiet + 1 : 0
      }
    })
    const under: LeaseStoreUnderTest = {
      far: true,
      layer: Layer.succeed(LeaseStore, {
        read: (id) =>
          counted(Effect.map(store.read(prefix + id), ({ now_ms, row }) => ({
            now_ms,
            row: row === undefined ? undefined : { ...row, session_id: bare(row.session_id) }
          }))),
        compareAndSet: (expected, row) =>
          counted(store.compareAndSet(expected, { ...row, session_id: prefix + row.session_id })),
        orphans: (limit, endedWithinMs) =>
          counted(
            Effect.map(
              store.orphans(1000, endedWithinMs),
              (ids) => ids.filter((id) => id.startsWith(prefix)).map(bare).slice(0, limit)
            )
          )
      }),
      pass: (ms) =>
        Effect.orDie(sql`UPDATE rspp_test_clock SET now_ms = now_ms + ${ms}`).pipe(
          Effect.andThen(TestClock.adjust(ms)),
          Effect.andThen(settled)
        )
    }
    return under
  })

  return { fresh, close: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
}

/** Runs the same cases over the store in memory, SQLite and PostgreSQL; where there is no server, says so. */
export const overLeaseStores = (
  what: string,
  cases: (fresh: Effect.Effect<LeaseStoreUnderTest>, far: boolean) => void
): void => {
  describe(`${what}, in memory`, () => {
    cases(Effect.succeed(memory), false)
  })

  describe(`${what}, in SQLite`, () => {
    const directory = mkdtempSync(join(tmpdir(), "rspp-leases-"))
    const database = makeDatabase("sqlite", NodeSqlite.layer(join(directory, "leases.db")))
    afterAll(async () => {
      await database.close()
      rmSync(directory, { recursive: true })
    })
    cases(database.fresh, true)
  })

  withPostgres(what, ({ stop, url }) => {
    const database = makeDatabase("postgres", inOwnSchema(url))
    afterAll(async () => {
      await database.close()
      stop()
    })
    cases(database.fresh, true)
  })
}

/** Describes cases that want a PostgreSQL server, which they stop; where there is none, says why they were not run. */
export const withPostgres = (
  what: string,
  cases: (server: Extract<PostgresServer, { readonly url: string }>) => void
): void => {
  const server = postgresServer()
  const missing = (reason: string) => it(`was not run: ${reason}`, (context) => context.skip(reason))
  describe(`PostgreSQL: ${what}`, () => {
    if ("missing" in server) missing(server.missing)
    else cases(server)
  })
}

let schemas = 0

/** A client whose tables are in a schema of their own, so that a server that was given may hold other things. */
export const inOwnSchema = (address: string): Layer.Layer<SqlClient.SqlClient, unknown> => {
  const schema = `rspp_test_${process.pid}_${Date.now()}_${++schemas}`
  const url = new URL(address)
  url.searchParams.set("options", `-c search_path=${schema}`)
  const base = Postgres.layer(Redacted.make(new URL(address)), { maxConnections: 1 })
  const run = (statement: (sql: SqlClient.SqlClient) => Effect.Effect<unknown, unknown>) =>
    Effect.orDie(Effect.provide(Effect.flatMap(SqlClient.SqlClient, statement), base))
  const made = Layer.effectDiscard(Effect.acquireRelease(
    run((sql) => sql`CREATE SCHEMA ${sql(schema)}`),
    () => run((sql) => sql`DROP SCHEMA ${sql(schema)} CASCADE`)
  ))
  return Postgres.layer(Redacted.make(url)).pipe(Layer.provide(made))
}
