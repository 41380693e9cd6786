// What a failed statement is said to have failed of, on a real PostgreSQL: the server's reason, and nothing of the rows.
import { afterAll, assert, it } from "@effect/vitest"
import * as Postgres from "@rspp/sql/Postgres"
import { sqlReason } from "@rspp/sql/SqlReason"
import { Effect, Logger, Redacted } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import { inspect } from "node:util"
import { asProblems } from "../src/http/Problems.ts"
import { failing } from "../src/sql/Database.ts"
import { withPostgres } from "./support/LeaseStores.ts"

it("is the message of an error that no server has raised, however deep", () => {
  assert.strictEqual(sqlReason(new Error("the file is locked")), "the file is locked")
  assert.strictEqual(sqlReason(Object.assign(new Error("refused"), { code: "ECONNREFUSED" })), "refused")
  assert.strictEqual(sqlReason(Object.assign(new Error("not allowed"), { code: "EPERM" })), "not allowed")
  const login = Object.assign(new Error("role \"ann\" does not exist"), { code: "28000" })
  assert.strictEqual(
    sqlReason({ message: "closed", cause: { reason: login } } as Error),
    "role \"…\" does not exist [28000]"
  )
  const loop: { message: string; cause?: unknown } = { message: "around" }
  loop.cause = loop
  assert.strictEqual(sqlReason(loop), "around")
})

withPostgres("reasons", ({ stop, url }) => {
  afterAll(stop)
  it.live("names what PostgreSQL has said, without values, rows or users", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const message = (statement: Effect.Effect<unknown, unknown>) =>
        Effect.map(Effect.flip(failing(statement)), (error) => (error as Error).message)
      assert.strictEqual(
        yield* message(sql`SELECT * FROM rspp_nowhere`),
        "the database failed (SqlSyntaxError: relation \"rspp_nowhere\" does not exist [42P01])"
      )
      const parted = yield* message(sql`SELECT CAST(${"sk_secret"} AS BIGINT)`)
      assert.match(parted, /invalid input syntax for type bigint \[22P02\]/u)
      assert.notInclude(parted, "sk_secret")
      const logged: Array<string> = []
      yield* sql`CREATE TEMPORARY TABLE kept (secret TEXT CHECK (length(secret) > 99))`.pipe(
        Effect.andThen(sql`INSERT INTO kept VALUES (${"sk_secret"})`),
        sql.withTransaction,
        failing,
        // as the API answers it
        (statement) => asProblems(statement),
        Effect.flip,
        Effect.provide(Logger.layer([Logger.make(({ message }) => void logged.push(inspect(message, { depth: 20 })))]))
      )
      assert.match(logged.join("\n"), /violates check constraint "kept_secret_check" \[23514\]/u)
      assert.notInclude(logged.join("\n"), "sk_secret")
    }).pipe(Effect.provide(Postgres.layer(Redacted.make(new URL(url))))))
})
