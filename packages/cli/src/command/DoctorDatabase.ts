import { migrationState } from "@rspp/control/sql/Migrations"
import { databaseNow } from "@rspp/control/sql/DatabaseClock"
import { Effect, FileSystem } from "effect"
import * as Clock from "effect/Clock"
import * as SqlClient from "effect/sql/SqlClient"
import { databaseName, databaseReader } from "../ControlDatabase.ts"
import { clockFinding, showFindings, skewOf } from "../Findings.ts"
import type { Finding } from "../Findings.ts"
import { parseLeases } from "../LeaseDatabase.ts"

/** A setting of PostgreSQL. */
const setting = (sql: SqlClient.SqlClient, name: string) =>
  Effect.map(sql`SELECT current_setting(${name}) AS value`, ([row]) => String(row?.["value"]))

/** Whether it takes writes: a standby, or a database that was set to be read, does not. */
const writable = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const readOnly = yield* sql.onDialectOrElse({
    pg: () => Effect.map(setting(sql, "transaction_read_only"), (value) => value === "on"),
    orElse: () => Effect.succeed(false)
  })
  return {
    check: "writable",
    ok: !readOnly,
    message: readOnly
      ? "it only takes reads: name the primary server, not a standby, or take default_transaction_read_only away"
      : "it takes writes"
  }
})

/** Whether what was committed is there after a crash: epochs of leases count on it. */
const durable = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const problem = yield* sql.onDialectOrElse({
    pg: () =>
      Effect.gen(function*() {
        const off: Array<string> = []
        for (const name of ["fsync", "synchronous_commit", "full_page_writes"]) {
          if ((yield* setting(sql, name)) === "off") off.push(name)
        }
        return off.length === 0
          ? undefined
          : `${off.join(" and ")} off: an epoch could be given out twice after a crash`
      }),
    orElse: () =>
      Effect.map(sql`PRAGMA quick_check(1)`, ([row]) => {
        const said = String(Object.values(row ?? {})[0])
        return said === "ok" ? undefined : `the file is damaged (${said}): restore a backup`
      })
  })
  return { check: "durability", ok: problem === undefined, message: problem ?? "what it has committed stays" }
})

const migrations = Effect.map(migrationState, ({ missing, unknown }): Finding => ({
  check: "migrations",
  ok: missing.length === 0 && unknown.length === 0,
  message: unknown.length > 0
    ? `made by a newer program: ${unknown.join(", ")}; use that version of rspp`
    : missing.length > 0
    ? `not there yet: ${missing.join(", ")}; rspp control-plane makes them when it starts`
    : "all tables of this program are there"
}))

const looked = (name: string) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const before = yield* Clock.currentTimeMillis
    const [row] = yield* sql`SELECT ${databaseNow(sql)} AS now_ms`
    const after = yield* Clock.currentTimeMillis
    const answered: Finding = {
      check: "connectivity",
      ok: true,
      message: `${name} answered in ${Math.max(0, Math.round(after - before))} ms`
    }
    const clock = clockFinding(skewOf(before, Number(row?.["now_ms"]), after))
    return [answered, yield* writable, yield* durable, yield* migrations, clock]
  })

/**
 * `rspp doctor --database`: can it be reached, does it take writes and keep them, has it the tables of this program and no
 * others, does its clock agree with this machine's. Looks only: a database that has no tables gets none. Ends with 69 when
 * something is wrong.
 */
export const examineDatabase = Effect.fn("rspp.doctor.database")(
  function*({ database: text, json }: { readonly database: string; readonly json: boolean }) {
    const database = yield* parseLeases(text)
    const name = databaseName(database)
    const fs = yield* FileSystem.FileSystem
    const absent = database.kind === "sqlite" && !(yield* Effect.orElseSucceed(fs.exists(database.path), () => false))
    const unreachable = (message: string): ReadonlyArray<Finding> => [{ check: "connectivity", ok: false, message }]
    const findings = absent
      ? unreachable(`${name}: there is no such file; rspp control-plane makes it when it starts`)
      : yield* looked(name).pipe(
        Effect.provide(databaseReader(database)),
        Effect.catch(({ message }) => Effect.succeed(unreachable(`${name} cannot be used: ${message}`)))
      )
    return yield* showFindings({ database: name }, findings, json)
  }
)
