// Holds I-PUT-ONCE, I-PUT-HASH, I-PUT-WHOLE.
import * as PgClient from "@effect/sql-pg/PgClient"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schedule } from "effect"
import { randomUUID } from "node:crypto"
import * as PostgresStore from "../../src/store/PostgresStore.ts"
import { TimelineStore } from "../../src/store/TimelineStore.ts"
import { postgresServer } from "@rspp/sql/test/support/PostgresServer"
import { storeConformance } from "./support/Conformance.ts"
import { segmentsOf } from "./support/Segments.ts"

const server = postgresServer()

/** A port on which nobody listens. */
const nobody = new URL("postgres://u:sesame@127.0.0.1:9/db")

const notRun = (missing: string) =>
  describe("PostgreSQL as a timeline store", () => {
    it(`was not run: ${missing}`, (context) => context.skip(missing))
  })

const held = (url: string, stop: () => void) => {
  afterAll(stop)
  const base = PgClient.layer({ url: Redacted.make(url) })
  storeConformance(
    "PostgreSQL",
    Effect.gen(function*() {
      // A schema for each test, so that a server that was given may hold other things.
      const schema = `rspp_test_${randomUUID().replaceAll("-", "")}`
      const inSchema = <A, E>(run: (sql: PgClient.PgClient) => Effect.Effect<A, E>) =>
        Effect.provide(Effect.flatMap(PgClient.PgClient, run), base)
      yield* Effect.acquireRelease(
        inSchema((sql) => sql`CREATE SCHEMA ${sql(schema)}`),
        () => Effect.orDie(inSchema((sql) => sql`DROP SCHEMA ${sql(schema)} CASCADE`))
      )
      const inTest = new URL(url)
      inTest.searchParams.set("options", `-c search_path=${schema}`)
      return {
        layer: PostgresStore.layer(Redacted.make(inTest)),
        damage: inSchema((sql) =>
          sql`UPDATE ${sql(schema)}.rspp_timeline_segments SET bytes = 'changed' WHERE segment_index = 0`
        ),
        unable: PostgresStore.layer(Redacted.make(nobody))
      }
    })
  )
}

const crashed = (url: string, restart: () => void) =>
  describe("PostgreSQL", () => {
    it.live("that crashed and is back is used again, by the same store", () =>
      Effect.gen(function*() {
        const store = yield* TimelineStore
        const [first, second] = segmentsOf(2)
        if (first === undefined || second === undefined) return
        assert.strictEqual(yield* store.put(first), "stored")
        restart()
        const retried = yield* Effect.retry(store.put(second), {
          schedule: Schedule.spaced(50),
          times: 20,
          while: ({ retryable }) => retryable
        })
        assert.strictEqual(retried, "stored")
        assert.strictEqual(yield* store.put(first), "present")
      }).pipe(Effect.provide(PostgresStore.layer(Redacted.make(new URL(url))))))
  })

"missing" in server ? notRun(server.missing) : held(server.url, server.stop)
"missing" in server || server.restart === undefined || crashed(server.url, server.restart)

describe("PostgreSQL", () => {
  it.live("that is not there is named without its password", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.provide(TimelineStore, PostgresStore.layer(Redacted.make(nobody))))
      assert.strictEqual(error._tag, "StoreUnavailable")
      assert.strictEqual(error.message, "postgres 127.0.0.1:9/db: it cannot be reached")
    }))
})
