// The same cases on SQLite and on a real PostgreSQL; each client is one of its own, as another process has.
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import type { DurableState } from "@rspp/runtime/ports/SessionStateStore"
import * as NodeSqlite from "@rspp/sql/NodeSqlite"
import * as Postgres from "@rspp/sql/Postgres"
import { postgresServer } from "@rspp/sql/test/support/PostgresServer"
import type { PostgresServer } from "@rspp/sql/test/support/PostgresServer"
import { Effect, Layer, Redacted } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { SessionStates } from "../../src/state/SessionStates.ts"

type Client = Layer.Layer<SqlClient.SqlClient, unknown>

const stateOf = (authority_epoch: number, revision: number, session_id = "ses_1"): DurableState => ({
  session_id,
  authority_epoch,
  revision,
  turns: revision,
  invocations: 2,
  accepted_turns: 1,
  idempotency_keys: ["text/a", "text/ä'\"\\"],
  conversation: [
    { role: "system", parts: [{ text: "Be brief.", chars: 9 }] },
    { role: "user", turn_id: "turn_1", parts: [{ text: `epoch ${authority_epoch}, revision ${revision}`, chars: 5 }] }
  ]
})

type States = SessionStates["Service"]

const use = <A, E>(client: Client, calls: (states: States) => Effect.Effect<A, E>) =>
  Effect.flatMap(SessionStates, calls).pipe(
    Effect.provide(
      SessionStates.layerSql({ name: "db", answerWithinMs: 20_000 }).pipe(Layer.provideMerge(client)),
      { local: true }
    )
  )

const refused = <A>(call: Effect.Effect<A, { readonly reason: string }>) =>
  Effect.map(Effect.flip(call), ({ reason }) => reason)

const cases = (clientOf: (database: string) => Client) => {
  it.live("gives back what another process has saved, word for word", () =>
    Effect.gen(function*() {
      const client = clientOf("round")
      assert.isUndefined(yield* use(client, ({ load }) => load("ses_1")))
      yield* use(client, ({ save }) => save(stateOf(1, 1)))
      assert.deepStrictEqual(yield* use(client, ({ load }) => load("ses_1")), stateOf(1, 1))
      assert.isUndefined(yield* use(client, ({ load }) => load("ses_2")))
    }))

  it.live("refuses the state of a lower epoch, whatever its revision (SS1)", () =>
    use(clientOf("lower"), ({ load, save }) =>
      Effect.gen(function*() {
        yield* save(stateOf(2, 1))
        assert.strictEqual(yield* refused(save(stateOf(1, 99))), "stale_epoch")
        assert.deepStrictEqual(yield* load("ses_1"), stateOf(2, 1))
        yield* save(stateOf(3, 1))
        assert.deepStrictEqual(yield* load("ses_1"), stateOf(3, 1))
      })))

  it.live("of one epoch keeps the highest revision, in whatever order they come (SS2)", () =>
    use(clientOf("order"), ({ load, save }) =>
      Effect.gen(function*() {
        yield* Effect.forEach([3, 1, 5, 2, 4], (revision) => save(stateOf(1, revision)), { concurrency: "unbounded" })
        assert.deepStrictEqual(yield* load("ses_1"), stateOf(1, 5))
      })))

  it.live("a claim answers the last state, and whoever had the session writes nothing after it (SS3)", () =>
    use(clientOf("claim"), ({ claim, load, save }) =>
      Effect.gen(function*() {
        yield* save(stateOf(1, 7))
        assert.deepStrictEqual(yield* claim("ses_1", 2), { about: undefined, state: stateOf(1, 7), over: false })
        assert.strictEqual(yield* refused(save(stateOf(1, 8))), "stale_epoch")
        assert.strictEqual(yield* refused(claim("ses_1", 1)), "stale_epoch")
        // A second claim of the same epoch, and a successor that dies before it writes, lose nothing.
        assert.deepStrictEqual(yield* claim("ses_1", 2), { about: undefined, state: stateOf(1, 7), over: false })
        assert.deepStrictEqual(yield* claim("ses_1", 3), { about: undefined, state: stateOf(1, 7), over: false })
        yield* save(stateOf(3, 1))
        assert.deepStrictEqual(yield* load("ses_1"), stateOf(3, 1))
        // One that nobody has written yet can be claimed too.
        assert.deepStrictEqual(yield* claim("ses_9", 2), { about: undefined, state: undefined, over: false })
        assert.strictEqual(yield* refused(save(stateOf(1, 1, "ses_9"))), "stale_epoch")
      })))

  it.live("of many writers at once, of many epochs, the highest stays, and no claim misses what was written before", () =>
    Effect.gen(function*() {
      const client = clientOf("many")
      const writer = (epoch: number) =>
        use(client, ({ claim, save }) =>
          Effect.gen(function*() {
            const found = yield* Effect.result(claim("ses_1", epoch))
            if (found._tag === "Failure") return undefined
            for (let revision = 1; revision <= 10; revision++) yield* Effect.ignore(save(stateOf(epoch, revision)))
            return found.success.state
          }))
      const found = yield* Effect.forEach([1, 2, 3, 4, 5, 6], writer, { concurrency: "unbounded" })
      found.forEach((state, i) => assert.isBelow(state?.authority_epoch ?? 0, i + 1))
      assert.deepStrictEqual(yield* use(client, ({ load }) => load("ses_1")), stateOf(6, 10))
    }))

  it.live("forgets the words of a session that is over, and keeps its fence (SS4)", () =>
    use(clientOf("forget"), ({ claim, forget, load, save }) =>
      Effect.gen(function*() {
        yield* save(stateOf(2, 1))
        yield* forget("ses_1", 1)
        assert.deepStrictEqual(yield* load("ses_1"), stateOf(2, 1), "not by one whose epoch is over")
        yield* forget("ses_1", 2)
        assert.isUndefined(yield* load("ses_1"))
        // A write that was under way comes late.
        yield* save(stateOf(2, 2))
        assert.isUndefined(yield* load("ses_1"))
        assert.strictEqual(yield* refused(save(stateOf(1, 9))), "stale_epoch")
        // Whoever takes it over finds that there is nothing to go on with; whoever begins it anew, begins it anew.
        assert.deepStrictEqual(yield* claim("ses_1", 3), { about: undefined, state: undefined, over: true })
        assert.deepStrictEqual(yield* claim("ses_1", 4), { about: undefined, state: undefined, over: true })
        yield* save(stateOf(5, 1))
        assert.deepStrictEqual(yield* claim("ses_1", 6), { about: undefined, state: stateOf(5, 1), over: false })
      })))

  it.live("keeps what a session is from its beginning to its end, whoever has it", () =>
    use(clientOf("about"), ({ about, claim, forget, save }) =>
      Effect.gen(function*() {
        const pipeline = { pipeline_id: "assistant", pipeline_version: "1", hash: "a" }
        const said = { pipeline, room: { name: "room 1", identity: "agent" } }
        assert.isUndefined(yield* about("ses_1"))
        assert.deepStrictEqual(yield* claim("ses_1", 1, said), { about: said, state: undefined, over: false })
        yield* save(stateOf(1, 1))
        yield* save(stateOf(1, 2), { pipeline })
        const other = { pipeline: { ...pipeline, hash: "b" } }
        assert.deepStrictEqual(yield* claim("ses_1", 2, other), { about: said, state: stateOf(1, 2), over: false })
        assert.deepStrictEqual(yield* about("ses_1"), said)
        yield* save(stateOf(1, 1, "ses_2"), { pipeline })
        assert.deepStrictEqual(yield* about("ses_2"), { pipeline })
        yield* forget("ses_1", 2)
        assert.isUndefined(yield* about("ses_1"))
      })))

  it.live("says of a row that is no state, or another session's, that it is damaged", () =>
    use(clientOf("damaged"), ({ claim, load, save }) =>
      Effect.gen(function*() {
        yield* save(stateOf(1, 1))
        yield* save(stateOf(1, 1, "ses_2"))
        yield* Effect.provide(
          Effect.flatMap(SqlClient.SqlClient, (sql) =>
            Effect.andThen(
              sql`UPDATE rspp_session_states SET state = '{"session_id":"ses_1"}' WHERE session_id = 'ses_1'`,
              sql`UPDATE rspp_session_states SET state =
                (SELECT replace(state, 'ses_2', 'ses_3') FROM rspp_session_states WHERE session_id = 'ses_2')
                WHERE session_id = 'ses_2'`
            )),
          clientOf("damaged"),
          { local: true }
        )
        assert.strictEqual(yield* refused(load("ses_1")), "damaged")
        assert.strictEqual(yield* refused(claim("ses_2", 2)), "damaged")
      })))
}

describe("session states in SQLite", () => {
  const directory = mkdtempSync(join(tmpdir(), "rspp-states-"))
  afterAll(() => rmSync(directory, { recursive: true }))
  cases((database) => NodeSqlite.layer(join(directory, `${database}.db`)))
})

const notRun = (missing: string) => it(`was not run: ${missing}`, (context) => context.skip(missing))

const onPostgres = (server: Extract<PostgresServer, { readonly url: string }>) => {
  afterAll(server.stop)
  const schemaOf = (database: string) => `rspp_states_${process.pid}_${database}`
  beforeAll(() =>
    Effect.runPromise(
      Effect.flatMap(SqlClient.SqlClient, (sql) =>
        Effect.forEach(
          ["round", "lower", "order", "claim", "many", "forget", "about", "damaged"],
          (database) => sql`CREATE SCHEMA IF NOT EXISTS ${sql(schemaOf(database))}`
        )).pipe(Effect.provide(Postgres.layer(Redacted.make(new URL(server.url)))))
    )
  )
  cases((database) => {
    const url = new URL(server.url)
    url.searchParams.set("options", `-c search_path=${schemaOf(database)}`)
    return Postgres.layer(Redacted.make(url), { maxConnections: 2 })
  })

  it.live("fail while the database is away", (context) =>
    use(Postgres.layer(Redacted.make(new URL(server.url))), ({ load, save }) =>
      Effect.gen(function*() {
        if (server.crash === undefined) return context.skip("the server was given: it is not for this test to stop")
        server.crash()
        assert.strictEqual(yield* refused(load("ses_1")), "unavailable")
        assert.strictEqual(yield* refused(save(stateOf(1, 1))), "unavailable")
      })))
}

describe("session states in PostgreSQL", () => {
  const server = postgresServer()
  if ("missing" in server) notRun(server.missing)
  else onPostgres(server)
})
