import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as NodeSqlite from "@rspp/sql/NodeSqlite"
import { listening } from "@rspp/sql/Listening"
import * as Postgres from "@rspp/sql/Postgres"
import { Effect, Layer, Option, Queue, Redacted, Schedule } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { LeaseAuthority } from "../src/LeaseAuthority.ts"
import { LeaseTokens } from "../src/LeaseTokens.ts"
import type { LeaseRow } from "../src/LeaseStore.ts"
import { LeaseStore } from "../src/LeaseStore.ts"
import * as SqlLeaseStore from "../src/sql/SqlLeaseStore.ts"
import { withPostgres } from "./support/LeaseStores.ts"

const row: LeaseRow = {
  revision: 1,
  session_id: "ses_1",
  placement_id: "a",
  authority_epoch: 7,
  lease_token: "secret",
  state: "held",
  expires_at_ms: 1
}

type Client = Layer.Layer<SqlClient.SqlClient, unknown>

/** Opens the store as a process of its own does: with a client of its own. */
const use = <A, E>(client: Client, calls: (store: LeaseStore["Service"]) => Effect.Effect<A, E>) =>
  Effect.flatMap(LeaseStore, calls).pipe(
    Effect.provide(SqlLeaseStore.layer({ name: "db", answerWithinMs: 20_000 }).pipe(Layer.provide(client)), {
      local: true
    })
  )

const cases = (client: (database: string) => Client) => {
  it.live("is made by one of many that open a new database at once", () =>
    Effect.gen(function*() {
      const opened = yield* Effect.forEach(
        Array.from({ length: 8 }, (_, i) => i),
        () => use(client("many"), (store) => store.compareAndSet(0, row)),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(opened.filter((won) => won), [true])
    }))

  it.live("keeps a row for whoever opens it later, and its time is the database's", () =>
    Effect.gen(function*() {
      yield* use(client("later"), (store) => store.compareAndSet(0, row))
      const before = Date.now()
      const { now_ms, row: kept } = yield* use(client("later"), (store) => store.read("ses_1"))
      assert.deepStrictEqual(kept, row)
      assert.isAtLeast(now_ms, before - 1)
      assert.isAtMost(now_ms, Date.now())
    }))

  it.live("refuses an older revision, and an older epoch whatever the revision", () =>
    use(client("older"), (store) =>
      Effect.gen(function*() {
        yield* store.compareAndSet(0, row)
        assert.isFalse(yield* store.compareAndSet(0, row))
        assert.isFalse(yield* store.compareAndSet(2, { ...row, revision: 3 }))
        assert.isFalse(yield* store.compareAndSet(1, { ...row, revision: 2, authority_epoch: 6 }))
        assert.isTrue(yield* store.compareAndSet(1, { ...row, revision: 2, authority_epoch: 8 }))
      })))
}

describe("leases in SQLite", () => {
  const directory = mkdtempSync(join(tmpdir(), "rspp-leases-"))
  afterAll(() => rmSync(directory, { recursive: true }))
  cases((database) => NodeSqlite.layer(join(directory, `${database}.db`)))
})

withPostgres("leases", (server) => {
  afterAll(server.stop)
  const schemaOf = (database: string) => `rspp_leases_${process.pid}_${database}`
  const client = (database: string) => {
    const url = new URL(server.url)
    url.searchParams.set("options", `-c search_path=${schemaOf(database)}`)
    return Postgres.layer(Redacted.make(url))
  }
  beforeAll(() =>
    Effect.runPromise(
      Effect.flatMap(SqlClient.SqlClient, (sql) =>
        Effect.forEach(
          ["many", "later", "older", "crash", "news"],
          (database) => sql`CREATE SCHEMA IF NOT EXISTS ${sql(schemaOf(database))}`
        )).pipe(Effect.provide(Postgres.layer(Redacted.make(new URL(server.url)))))
    )
  )
  cases(client)

  /** An authority as a process of its own has it; its leases are renewed after 24 s. */
  const authority = LeaseAuthority.layerNoDeps({ ttlMs: 60_000 }).pipe(
    Layer.provide(Layer.unwrap(
      Effect.map(listening, (listen) => SqlLeaseStore.layer({ name: "db", answerWithinMs: 20_000, listen }))
    )),
    Layer.provide(Layer.suspend(() => client("news"))),
    Layer.provide(LeaseTokens.layer)
  )
  const another = <A, E>(calls: (leases: LeaseAuthority["Service"]) => Effect.Effect<A, E>) =>
    Effect.provide(Effect.flatMap(LeaseAuthority, calls), authority, { local: true })

  /** What the holder of a session hears, in its own words, and what it has heard. */
  const holding = (session_id: string) =>
    Effect.gen(function*() {
      const leases = yield* LeaseAuthority
      const heard = yield* Queue.unbounded<string>()
      yield* leases.hold(session_id, "here", { regain: true })
      yield* leases.subscribe(
        session_id,
        (change) => void Queue.offerUnsafe(heard, `${change.status} ${change.authority_epoch} ${change.placement_id}`)
      )
      assert.strictEqual(yield* Queue.take(heard), "issued 1 here")
      return { next: Effect.timeout(Queue.take(heard), 20_000) }
    })
  /** Moves a session to another placement and back until its listener has been heard to listen. */
  const heardOf = (session_id: string, next: Effect.Effect<string, unknown>, epoch: number) =>
    Effect.gen(function*() {
      yield* another((leases) => leases.rotate(session_id, epoch, "there"))
      assert.strictEqual(yield* next, `rotated ${epoch + 1} there`)
    })

  it.live("tell a holder at once of what another process has done: rotated, or revoked", () =>
    Effect.gen(function*() {
      const rotated = yield* holding("ses_rotated")
      const revoked = yield* holding("ses_revoked")
      const untouched = yield* holding("ses_untouched")
      yield* heardOf("ses_rotated", rotated.next, 1)
      yield* another((leases) => leases.revoke("ses_revoked", 1))
      assert.strictEqual(yield* revoked.next, "revoked 1 here")
      assert.isTrue(Option.isNone(yield* Effect.timeoutOption(untouched.next, 100)), "its own lease is as it was")
    }).pipe(Effect.scoped, Effect.provide(authority, { local: true })), 60_000)

  it.live("are listened to again after a crash of the database", (context) =>
    Effect.gen(function*() {
      const { restart } = server
      if (restart === undefined) return context.skip("the server was given: it is not for this test to stop")
      const { next } = yield* holding("ses_crash")
      restart()
      // It listens again when the database says so; what was told before that was missed.
      const listens = Effect.flatMap(
        SqlClient.SqlClient,
        (sql) => sql`SELECT 1 FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND pid <> pg_backend_pid()`
      ).pipe(
        Effect.filterOrFail((rows) => rows.length > 0),
        Effect.retry({ schedule: Schedule.spaced(50), times: 400 })
      )
      yield* Effect.provide(listens, client("news"), { local: true })
      yield* heardOf("ses_crash", next, 1)
    }).pipe(Effect.scoped, Effect.provide(authority, { local: true })), 60_000)

  it.live("fail while it is away, and keep their epochs over its crash", (context) =>
    use(client("crash"), (store) =>
      Effect.gen(function*() {
        yield* store.compareAndSet(0, row)
        const { restart } = server
        if (restart === undefined) return context.skip("the server was given: it is not for this test to stop")
        restart()
        const kept = yield* Effect.retry(store.read("ses_1"), { schedule: Schedule.spaced(50), times: 100 })
        assert.deepStrictEqual(kept.row, row)
        server.stop()
        const error = yield* Effect.flip(store.read("ses_1"))
        assert.strictEqual(error._tag, "LeaseStoreFailure")
        assert.include(error.message, "db: its leases cannot be reached")
      })))
})
