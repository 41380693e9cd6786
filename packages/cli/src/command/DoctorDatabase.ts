import { migrationState } from "@rspp/control/sql/Migrations"
import { databaseNow } from "@rspp/control/sql/DatabaseClock"
import { Effect, FileSystem } from "effect"
import * as Clock from "effect/Clock"
import * as SqlClient from "effect/sql/SqlClient"
import { told } from "../CliFailure.ts"
import { databaseClient, databaseName } from "../ControlDatabase.ts"
import { parseLeases } from "../LeaseDatabase.ts"
import { Screen } from "../Screen.ts"

/** The clocks of this machine and the database may be apart by this much, ms: keys and tokens end by this machine's. */
export const maxSkewMs = 1000

/** How far ahead a clock is that said `now` between `before` and `after`, ms: whatever the answer took is no skew. */
export const skewOf = (before: number, now: number, after: number): number =>
  Math.round(now < before ? now - before : now > after ? now - after : 0)

/** The finding about a clock that is `skew` ms ahead. */
export const clockFinding = (skew: number): Finding => ({
  check: "clock_skew",
  ok: Math.abs(skew) <= maxSkewMs,
  message: skew === 0
    ? "its clock agrees with this machine's"
    : `its clock is ${Math.abs(skew)} ms ${
      skew > 0 ? "ahead of" : "behind"
    } this machine's; at most ${maxSkewMs} are allowed`
})

/** What is found of a database, and what to do about it. */
interface Finding {
  readonly check: "connectivity" | "migrations" | "clock_skew"
  readonly ok: boolean
  readonly message: string
}

/**
 * `rspp doctor --database`: can it be reached, has it the tables of this program, does its clock agree with this
 * machine's. Looks only: a database that has no tables gets none. Ends with 69 when something is wrong.
 */
export const examineDatabase = Effect.fn("rspp.doctor.database")(
  function*({ database: text, json }: { readonly database: string; readonly json: boolean }) {
    const screen = yield* Screen
    const database = yield* parseLeases(text)
    const name = databaseName(database)
    const fs = yield* FileSystem.FileSystem
    const absent = database.kind === "sqlite" && !(yield* Effect.orElseSucceed(fs.exists(database.path), () => false))
    const looked = Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const before = yield* Clock.currentTimeMillis
      const [row] = yield* sql`SELECT ${databaseNow(sql)} AS now_ms`
      const after = yield* Clock.currentTimeMillis
      const now = Number(row?.["now_ms"])
      const skew = skewOf(before, now, after)
      const { missing } = yield* migrationState
      const findings: ReadonlyArray<Finding> = [
        {
          check: "connectivity",
          ok: true,
          message: `${name} answered in ${Math.max(0, Math.round(after - before))} ms`
        },
        {
          check: "migrations",
          ok: missing.length === 0,
          message: missing.length === 0
            ? "all tables of this program are there"
            : `not there yet: ${missing.join(", ")}; rspp control-plane makes them when it starts`
        },
        clockFinding(skew)
      ]
      return findings
    })
    const unreachable = (message: string): ReadonlyArray<Finding> => [{ check: "connectivity", ok: false, message }]
    const findings = absent
      ? unreachable(`${name}: there is no such file; rspp control-plane makes it when it starts`)
      : yield* looked.pipe(
        Effect.provide(databaseClient(database)),
        Effect.catch(({ message }) => Effect.succeed(unreachable(`${name} cannot be used: ${message}`)))
      )
    const ok = findings.every((finding) => finding.ok)
    if (json) screen.line(JSON.stringify({ database: name, ok, findings }))
    else {
      for (const finding of findings) {
        const mark = finding.ok ? screen.style.green("ok     ") : screen.style.red("WRONG  ")
        screen.line(`${mark}  ${finding.check.replace("_", " ").padEnd(12)}  ${finding.message}`)
      }
    }
    if (!ok) return yield* told("unavailable")
    return undefined
  }
)
