import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { Snapshot } from "@rspp/contracts/Snapshot"
import { sqlReason } from "@rspp/sql/SqlReason"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as SqlClient from "effect/sql/SqlClient"
import type { Fragment } from "effect/sql/Statement"
import type { LoggedSnapshot } from "../SnapshotLog.ts"
import { inKindOrder, keptVersions, reversioned, SnapshotLog, SnapshotLogFailure, snapshotOf } from "../SnapshotLog.ts"
import { databaseNow } from "./DatabaseClock.ts"
import { migrateControl } from "./Migrations.ts"
import { counterFloor } from "./RestoreTables.ts"

/** Where a database that can push says that something was published: PostgreSQL's LISTEN. */
export type Listen = (channel: string) => Stream.Stream<string, { readonly message: string }>

export interface SqlSnapshotLogOptions {
  /** The database, for messages; without its password. */
  readonly name: string
  /** How long one statement may take, ms. */
  readonly answerWithinMs?: number
  /** Absent: the database cannot push, and its readers poll. */
  readonly listen?: Listen
}

/** The channel on which PostgreSQL says which scope has something new. */
const channel = "rspp_snapshots"

/** Publishers that publish the same kind in the same scope at the same instant: each loss means that another has won. */
const maxRounds = 32

/**
 * Published snapshots in the table `rspp_snapshots` of an SQL database (SQLite or PostgreSQL), which is made when it is
 * missing. The primary key gives each version out once (SL1); after a backup was restored, versions go on above the
 * restore's floor. On PostgreSQL publishing notifies, when it is committed.
 */
export const layer = (
  options: SqlSnapshotLogOptions
): Layer.Layer<SnapshotLog, SnapshotLogFailure, SqlClient.SqlClient> => Layer.effect(SnapshotLog, make(options))

const make = Effect.fnUntraced(function*({ answerWithinMs = 5000, listen, name }: SqlSnapshotLogOptions) {
  const sql = yield* SqlClient.SqlClient
  const failure = (reason: SnapshotLogFailure["reason"], what: string, cause?: unknown) =>
    new SnapshotLogFailure({
      log: name,
      reason,
      message: `${name}: ${what}`,
      ...(cause === undefined ? {} : { cause })
    })
  const answered = <A, E extends { readonly message: string }>(statement: Effect.Effect<A, E>) =>
    statement.pipe(
      Effect.mapError((error) =>
        failure("unavailable", `its snapshots cannot be reached (${sqlReason(error)})`, error)
      ),
      Effect.timeoutOrElse({
        duration: answerWithinMs,
        orElse: () => Effect.fail(failure("unavailable", `no answer about snapshots within ${answerWithinMs} ms`))
      })
    )
  yield* answered(Effect.provideService(migrateControl, SqlClient.SqlClient, sql))
  const now = databaseNow(sql)
  /** The higher of a version and the floor of restored backups. */
  const above = (version: Fragment) =>
    sql.onDialectOrElse({
      pg: () => sql`greatest(${version}, ${counterFloor(sql)})`,
      orElse: () => sql`max(${version}, ${counterFloor(sql)})`
    })

  const insert = ({ body, content_hash, issued_at_ms, snapshot_kind, ttl_ms }: Snapshot, scope: string) =>
    sql`INSERT INTO rspp_snapshots
        (scope, snapshot_kind, version, issued_at_ms, ttl_ms, content_hash, body, published_ms)
      SELECT ${scope}, ${snapshot_kind}, ${
      above(sql.literal("coalesce(max(version), 0)"))
    } + 1, ${issued_at_ms}, ${ttl_ms}, ${content_hash},
        ${canonicalJson(body)}, ${now}
      FROM rspp_snapshots WHERE scope = ${scope} AND snapshot_kind = ${snapshot_kind}
      ON CONFLICT DO NOTHING RETURNING version`

  const publish = Effect.fn("SnapshotLog.publish")(function*(scope: string, snapshot: Snapshot) {
    const kind = snapshot.snapshot_kind
    for (let round = 0; round < maxRounds; round++) {
      const version = yield* answered(sql.withTransaction(Effect.gen(function*() {
        const [row] = yield* insert(snapshot, scope)
        if (row === undefined) return undefined
        const given = Number(row["version"])
        yield* sql`DELETE FROM rspp_snapshots
          WHERE scope = ${scope} AND snapshot_kind = ${kind} AND version <= ${given - keptVersions}`
        yield* sql.onDialectOrElse({
          pg: () => sql`SELECT pg_notify(${channel}, ${scope})`,
          orElse: () => Effect.succeed([])
        })
        return given
      })))
      if (version !== undefined) return reversioned(snapshot, version)
    }
    return yield* failure("conflict", `${maxRounds} other versions of ${kind} were published first`)
  })

  const latest = Effect.fn("SnapshotLog.latest")(function*(scope: string) {
    const rows = yield* answered(sql`SELECT s.*, ${now} AS now_ms FROM rspp_snapshots AS s WHERE s.scope = ${scope}
      AND s.version = (SELECT max(version) FROM rspp_snapshots AS t
        WHERE t.scope = s.scope AND t.snapshot_kind = s.snapshot_kind)`)
    const logged: Array<LoggedSnapshot> = []
    for (const row of rows) {
      const body = yield* Effect.try({
        try: (): unknown => JSON.parse(String(row["body"])),
        catch: (cause) => failure("damaged", `a body in scope ${scope} is no JSON`, cause)
      })
      // drivers give 64-bit columns as number, bigint or string
      const snapshot = snapshotOf({
        kind: String(row["snapshot_kind"]),
        version: Number(row["version"]),
        issued_at_ms: Number(row["issued_at_ms"]),
        ttl_ms: Number(row["ttl_ms"]),
        content_hash: String(row["content_hash"]),
        body
      })
      if (typeof snapshot === "string") return yield* failure("damaged", `in scope ${scope} ${snapshot}`)
      logged.push({ snapshot, age_ms: Math.max(0, Number(row["now_ms"]) - Number(row["published_ms"])) })
    }
    return inKindOrder(logged)
  })

  return SnapshotLog.of({
    name,
    publish,
    latest,
    changes: listen === undefined ? Stream.never : Stream.mapError(
      listen(channel),
      (error) => failure("unavailable", `it no longer tells of snapshots (${sqlReason(error)})`, error)
    )
  })
})
