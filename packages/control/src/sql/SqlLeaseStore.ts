import { sqlReason } from "@rspp/sql/SqlReason"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as SqlClient from "effect/sql/SqlClient"
import type { Fragment } from "effect/sql/Statement"
import { LeaseStore, LeaseStoreFailure } from "../LeaseStore.ts"
import type { LeaseRow } from "../LeaseStore.ts"
import { databaseNow } from "./DatabaseClock.ts"
import { leaseChannel } from "./LeaseMigrations.ts"
import { migrateControl } from "./Migrations.ts"
import { counterFloor } from "./RestoreTables.ts"

export interface SqlLeaseStoreOptions {
  /** The database, for messages; without its password. */
  readonly name: string
  /** How long one statement may take, ms. Default {@link defaultAnswerWithinMs}. */
  readonly answerWithinMs?: number
  /** Unix time in ms as an SQL expression; by default the database's own clock. Tests put a clock there that they turn. */
  readonly nowMs?: (sql: SqlClient.SqlClient) => Fragment
  /**
   * PostgreSQL's LISTEN, by which a holder hears at once when its epoch is ended by another process. Absent: at its next
   * renewal. It holds a connection of the client.
   */
  readonly listen?: (channel: string) => Stream.Stream<string, { readonly message: string }>
}

/** Less than a tenth of the default TTL: a holder can ask again several times before its lease ends. */
export const defaultAnswerWithinMs = 800

const Row = Schema.Struct({
  revision: Schema.Int,
  session_id: Schema.NonEmptyString,
  placement_id: Schema.NonEmptyString,
  authority_epoch: Schema.Int,
  lease_token: Schema.NonEmptyString,
  state: Schema.Literals(["held", "revoked", "expired"]),
  expires_at_ms: Schema.Int
})
const decode = Schema.decodeUnknownEffect(Row)

/**
 * A session without a row: it never had a lease, or had one after the backup was taken that this database was restored
 * from. Then it counts as ended at the floor of the restore, so that its next epoch is higher than any before.
 */
const unknownSession = (session_id: string, floor: number): LeaseRow | undefined =>
  floor === 0 ? undefined : {
    session_id,
    revision: floor,
    authority_epoch: floor,
    placement_id: "restored",
    lease_token: "restored",
    state: "expired",
    expires_at_ms: 0
  }

/**
 * Leases in the table `rspp_leases` of an SQL database (SQLite or PostgreSQL), which is made when it is missing.
 *
 * **Whose clock.** A row's end is a time of the database's clock, and only that clock is ever compared with it: `read`
 * brings the database's time with the row, and the end that is written is that time plus the TTL. So the clocks of the
 * machines that share the database need not agree on the time of day. The holder does not look at that end at all: it
 * counts one TTL on its own monotonic clock from before it asked, and as its question reached the database later than
 * that, its count is over before the row's is. What is assumed is only that two clocks count a TTL alike, to within the
 * time between the question and its answer, and that the database's clock is not put forward by hand while leases are
 * held (slewing, as NTP does it, is at most 0.05 %: 5 ms in 10 s).
 *
 * **Epochs.** No statement deletes a row, and an update is refused by the database itself if it would lower the epoch,
 * whatever the revision says: epochs go up across restarts of processes and of the database, and across the restore of a
 * backup, which raises them all (`ControlBackup`). PostgreSQL must answer a
 * COMMIT only when it is on the disk (`synchronous_commit` on, which is its default).
 *
 * A statement that has no answer in time fails; whether it was carried out is then unknown, and shows at the next read.
 */
export const layer = (options: SqlLeaseStoreOptions): Layer.Layer<LeaseStore, LeaseStoreFailure, SqlClient.SqlClient> =>
  Layer.effect(LeaseStore, make(options))

const make = Effect.fnUntraced(
  function*({ answerWithinMs = defaultAnswerWithinMs, listen, name, nowMs = databaseNow }: SqlLeaseStoreOptions) {
    const sql = yield* SqlClient.SqlClient
    const failure = (what: string, cause?: unknown) =>
      new LeaseStoreFailure({
        store: name,
        message: `${name}: ${what}`,
        ...(cause === undefined ? {} : { cause })
      })
    const answered = <A, E extends { readonly message: string }>(statement: Effect.Effect<A, E>) =>
      statement.pipe(
        Effect.mapError((error) => failure(`its leases cannot be reached (${sqlReason(error)})`, error)),
        Effect.timeoutOrElse({
          duration: answerWithinMs,
          orElse: () => Effect.fail(failure(`no answer about leases within ${answerWithinMs} ms`))
        })
      )
    yield* Effect.mapError(
      migrateControl,
      (error) =>
        failure(
          error.retryable
            ? `its leases cannot be reached (${error.message})`
            : `the tables of the control plane cannot be made (${error.message})`,
          error
        )
    )
    const now = nowMs(sql)
    const columns = sql.literal(
      "revision, session_id, placement_id, authority_epoch, lease_token, state, expires_at_ms"
    )

    const read = Effect.fnUntraced(function*(session_id: string) {
      const [found] = yield* answered(sql`SELECT ${now} AS now_ms, ${counterFloor(sql)} AS counter_floor, l.*
        FROM (SELECT 1 AS one) AS o LEFT JOIN rspp_leases AS l ON l.session_id = ${session_id}`)
      const now_ms = Number(found?.["now_ms"])
      if (!Number.isSafeInteger(now_ms)) return yield* failure("the database has no clock")
      if (found?.["session_id"] === null) {
        return { row: unknownSession(session_id, Number(found["counter_floor"])), now_ms }
      }
      const row = yield* Effect.mapError(
        decode({
          ...found,
          // drivers give 64-bit columns as number, bigint or string
          revision: Number(found?.["revision"]),
          authority_epoch: Number(found?.["authority_epoch"]),
          expires_at_ms: Number(found?.["expires_at_ms"])
        }),
        (error) => failure(`the row of session ${session_id} is no lease`, error)
      )
      return { row, now_ms }
    })

    return LeaseStore.of({
      read,
      compareAndSet: (expected, row) => {
        const { authority_epoch, expires_at_ms, lease_token, placement_id, revision, session_id, state } = row
        const values = sql`${revision}, ${session_id}, ${placement_id}, ${authority_epoch}, ${lease_token}, ${state},
          ${expires_at_ms}`
        const written = expected === 0
          ? sql`INSERT INTO rspp_leases (${columns}) VALUES (${values}) ON CONFLICT DO NOTHING RETURNING session_id`
          : sql`UPDATE rspp_leases SET revision = ${revision}, placement_id = ${placement_id},
              authority_epoch = ${authority_epoch}, lease_token = ${lease_token}, state = ${state},
              expires_at_ms = ${expires_at_ms}
              WHERE session_id = ${session_id} AND revision = ${expected} AND authority_epoch <= ${authority_epoch}
              RETURNING session_id`
        const done = Effect.map(answered(written), (rows) => rows.length > 0)
        // the first lease since a restore of a session that the backup did not know
        const first = expected === 0 || authority_epoch !== expected + 1
          ? Effect.succeed(false)
          : Effect.map(
            answered(sql`INSERT INTO rspp_leases (${columns}) SELECT ${values}
              WHERE ${counterFloor(sql)} = ${expected} ON CONFLICT DO NOTHING RETURNING session_id`),
            (rows) => rows.length > 0
          )
        return Effect.flatMap(done, (written) => (written ? Effect.succeed(true) : first))
      },
      orphans: (limit, endedWithinMs) =>
        Effect.map(
          answered(sql`SELECT session_id FROM rspp_leases
            WHERE state <> 'revoked' AND expires_at_ms <= ${now}
              ${endedWithinMs === undefined ? sql`` : sql`AND expires_at_ms >= ${now} - ${endedWithinMs}`}
            ORDER BY expires_at_ms, session_id LIMIT ${limit}`),
          (rows) => rows.map((row) => String(row["session_id"]))
        ),
      ...(listen === undefined ? {} : {
        changes: Stream.mapError(
          listen(leaseChannel),
          (error) => failure(`it no longer tells of leases (${sqlReason(error)})`, error)
        )
      })
    })
  }
)
