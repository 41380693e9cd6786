import { Clock, Effect, Layer, Schema } from "effect"
import { sqlReason } from "@rspp/sql/SqlReason"
import { makeTables } from "@rspp/sql/Tables"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { RecordingKey, TimelineSegment } from "./TimelineSegment.ts"
import { inOrder, isIntact, isSame, isSameList, nameOf, SegmentInfo } from "./TimelineSegment.ts"
import {
  SegmentConflict,
  SegmentDamaged,
  SegmentMissing,
  StoreRefused,
  StoreUnavailable,
  TimelineStore
} from "./TimelineStore.ts"

/** Versions of the tables, oldest first; each is run once. */
const migrations = Migrator.fromRecord({
  "0001_timeline_segments": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const { blob, long } = sql.onDialectOrElse({
      pg: () => ({ blob: sql.literal("BYTEA"), long: sql.literal("BIGINT") }),
      orElse: () => ({ blob: sql.literal("BLOB"), long: sql.literal("INTEGER") })
    })
    yield* sql`CREATE TABLE rspp_timeline_segments (
      tenant_id TEXT NOT NULL,
      session_id TEXT NOT NULL,
      segment_index INTEGER NOT NULL,
      byte_offset ${long} NOT NULL,
      byte_length INTEGER NOT NULL,
      sha256 TEXT NOT NULL,
      first_sequence ${long},
      last_sequence ${long},
      closed INTEGER NOT NULL,
      stored_ms ${long} NOT NULL,
      bytes ${blob} NOT NULL,
      PRIMARY KEY (tenant_id, session_id, segment_index)
    )`
  })
})

/** Names the lock of PostgreSQL that one process holds while it makes the table ("RSPT"). */
const lockId = 0x52535054

/**
 * A TimelineStore in the table `rspp_timeline_segments` of an SQL database, which is made when it is missing: SQLite or
 * PostgreSQL. The primary key lets a segment in once; each put is a transaction of one statement.
 */
export const layer = (
  name: string
): Layer.Layer<TimelineStore, StoreUnavailable | StoreRefused, SqlClient.SqlClient> =>
  Layer.effect(
    TimelineStore,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const failed = storeFailure(name)
      const damaged = (message: string) => new SegmentDamaged({ store: name, message: `${name}: ${message}` })
      const columns = sql.literal(
        "tenant_id, session_id, segment_index, byte_offset, byte_length, sha256, first_sequence, last_sequence, closed"
      )

      yield* makeTables({ lockId, migrations, table: "rspp_timeline_migrations" }).pipe(
        Effect.mapError((error) =>
          error._tag === "SqlError"
            ? failed(error)
            : error.kind === "Locked"
            ? new StoreUnavailable({ store: name, message: `${name}: another program makes its tables`, cause: error })
            : new StoreRefused({
              store: name,
              message: `${name}: its tables cannot be made: ${sqlReason(error)}`,
              cause: error
            })
        )
      )

      const list = Effect.fnUntraced(function*(of: Partial<RecordingKey> = {}) {
        const rows = yield* sql`SELECT ${columns} FROM rspp_timeline_segments WHERE ${
          sql.and([
            ...(of.tenant_id === undefined ? [] : [sql`tenant_id = ${of.tenant_id}`]),
            ...(of.session_id === undefined ? [] : [sql`session_id = ${of.session_id}`]),
            sql`segment_index >= 0`
          ])
        }`.pipe(Effect.mapError(failed))
        const infos = yield* Effect.forEach(rows, (row) =>
          Effect.mapError(infoOfRow(row), () => damaged("a row of rspp_timeline_segments is no segment")))
        return infos.sort(inOrder)
      })

      const put = Effect.fnUntraced(function*(segment: TimelineSegment) {
        if (!isIntact(segment, segment.bytes)) {
          return yield* damaged(`${nameOf(segment)} does not fit its hash`)
        }
        const stored_ms = yield* Clock.currentTimeMillis
        const inserted = yield* sql`INSERT INTO rspp_timeline_segments (${columns}, stored_ms, bytes) VALUES (
          ${segment.tenant_id}, ${segment.session_id}, ${segment.index}, ${segment.offset}, ${segment.length},
          ${segment.sha256}, ${segment.first_sequence ?? null}, ${segment.last_sequence ?? null},
          ${segment.closed ? 1 : 0}, ${stored_ms}, ${segment.bytes}
        ) ON CONFLICT DO NOTHING RETURNING segment_index`.pipe(Effect.mapError(failed))
        if (inserted.length > 0) {
          return "stored" as const
        }
        const there = (yield* list(segment)).find(({ index }) =>
          index === segment.index
        )
        if (there !== undefined && isSame(there, segment)) return "present" as const
        return yield* new SegmentConflict({
          store: name,
          message: `${name}: ${nameOf(segment)} is stored already, with other bytes`
        })
      })

      const get = Effect.fnUntraced(function*({ session_id, tenant_id }: RecordingKey, index: number) {
        const rows = yield* sql`SELECT ${columns}, bytes FROM rspp_timeline_segments
          WHERE tenant_id = ${tenant_id} AND session_id = ${session_id} AND segment_index = ${index}`.pipe(
          Effect.mapError(failed)
        )
        const what = nameOf({ session_id, index })
        const [row] = rows
        if (row === undefined) {
          return yield* new SegmentMissing({ store: name, message: `${name}: ${what} is not there` })
        }
        const info = yield* Effect.mapError(infoOfRow(row), () => damaged(`${what} is no segment`))
        const { bytes } = row
        if (!(bytes instanceof Uint8Array) || !isIntact(info, bytes)) {
          return yield* damaged(`${what} was changed (its hash does not fit)`)
        }
        return { ...info, bytes: new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength) }
      })

      const insert = (segment: TimelineSegment, stored_ms: number) =>
        sql`INSERT INTO rspp_timeline_segments (${columns}, stored_ms, bytes) VALUES (
          ${segment.tenant_id}, ${segment.session_id}, ${segment.index}, ${segment.offset}, ${segment.length},
          ${segment.sha256}, ${segment.first_sequence ?? null}, ${segment.last_sequence ?? null},
          ${segment.closed ? 1 : 0}, ${stored_ms}, ${segment.bytes}
        )`

      /** What was deleted is not left lying in the file: as far as the database lets us say so. */
      const forget = sql.onDialectOrElse({
        pg: () => sql`VACUUM rspp_timeline_segments`,
        orElse: () => sql`PRAGMA wal_checkpoint(TRUNCATE)`
      })

      const replace = Effect.fnUntraced(function*(
        key: RecordingKey,
        expected: ReadonlyArray<SegmentInfo>,
        segments: ReadonlyArray<TimelineSegment>
      ) {
        for (const segment of segments) {
          if (!isIntact(segment, segment.bytes)) return yield* damaged(`${nameOf(segment)} does not fit its hash`)
        }
        const stored_ms = yield* Clock.currentTimeMillis
        const { session_id, tenant_id } = key
        yield* sql.withTransaction(Effect.gen(function*() {
          // Of two deletions the second waits here, and then sees what the first has left.
          yield* sql.onDialectOrElse({
            pg: () =>
              sql`SELECT segment_index FROM rspp_timeline_segments
                WHERE tenant_id = ${tenant_id} AND session_id = ${session_id} FOR UPDATE`,
            orElse: () => Effect.succeed([])
          })
          if (!isSameList(yield* list(key), expected)) {
            return yield* new SegmentConflict({
              store: name,
              message: `${name}: the recording of session ${session_id} was changed meanwhile`
            })
          }
          yield* sql`DELETE FROM rspp_timeline_segments WHERE tenant_id = ${tenant_id} AND session_id = ${session_id}`
          return yield* Effect.forEach(segments, (segment) => insert(segment, stored_ms), { discard: true })
        })).pipe(Effect.catchTag("SqlError", (error) => Effect.fail(failed(error))))
        return yield* Effect.ignore(forget)
      })

      return TimelineStore.of({ name, put, list, get, replace, settle: () => Effect.void })
    })
  )

const decode = Schema.decodeUnknownEffect(SegmentInfo)

/** Drivers give 64-bit columns as number, bigint or string; what is stored there fits a number. */
const infoOfRow = (row: Readonly<Record<string, unknown>>) =>
  decode({
    tenant_id: row["tenant_id"],
    session_id: row["session_id"],
    index: Number(row["segment_index"]),
    offset: Number(row["byte_offset"]),
    length: Number(row["byte_length"]),
    sha256: row["sha256"],
    ...(row["first_sequence"] === null ? {} : { first_sequence: Number(row["first_sequence"]) }),
    ...(row["last_sequence"] === null ? {} : { last_sequence: Number(row["last_sequence"]) }),
    closed: Number(row["closed"]) === 1
  })

/** SQLite's code for a file that may not grow: the disk or a quota is full. */
const sqliteFull = 13
/** SQLite's code for a file that is no database, and for one that is damaged. */
const sqliteOther = [11, 26]
/** SQLite's code for writing to what can only be read. */
const sqliteReadOnly = 8

const codeOf = (error: SqlError): string | number | undefined => {
  const { cause } = error.reason
  if (typeof cause !== "object" || cause === null) return undefined
  const { code, errno } = cause as { readonly errno?: unknown; readonly code?: unknown }
  if (typeof errno === "number") return errno & 0xff
  return typeof code === "string" ? code : undefined
}

/** What went wrong with the database, in the words of a store. */
export const storeFailure = (store: string) => (error: SqlError): StoreUnavailable | StoreRefused => {
  const { reason } = error
  const unavailable = (message: string) =>
    new StoreUnavailable({ store, message: `${store}: ${message}`, cause: error })
  const refused = (message: string) => new StoreRefused({ store, message: `${store}: ${message}`, cause: error })
  const code = codeOf(error)
  switch (reason._tag) {
    case "AuthenticationError":
      return refused("the user or the password is wrong")
    case "AuthorizationError":
      return refused("the user may not use its tables")
    case "ConnectionError":
      // What SQLite says holds a path at most; what a server's driver says may hold more.
      return unavailable(
        store.startsWith("sqlite ") ? `it cannot be opened (${reason.message})` : "it cannot be reached"
      )
    case "LockTimeoutError":
    case "DeadlockError":
    case "SerializationError":
    case "StatementTimeoutError":
      return unavailable("another program holds it up")
    case "SqlSyntaxError":
    case "ConstraintError":
    case "UniqueViolation":
      return refused(`its tables are not those of this program (${sqlReason(error)})`)
    case "UnknownError":
      // PostgreSQL's classes 53 (out of disk, memory, connections), 57 (shutting down) and 58 (its disk fails).
      if (/^E(?:NOENT|NOTDIR|ACCES|PERM|ROFS|ISDIR):/u.test(reason.message)) {
        return unavailable(
          "its file cannot be made there: the directory does not exist, or nothing may be written in it"
        )
      }
      if (code === sqliteFull || code === "53100") return unavailable("no room is left; free some")
      if (code === sqliteReadOnly) return refused("it can only be read")
      if (typeof code === "number" && sqliteOther.includes(code)) {
        return refused("the file is no SQLite database, or damaged")
      }
      if (typeof code === "string" && /^(?:53|57|58)/u.test(code)) return unavailable(sqlReason(error))
      if (code === "3D000") return refused("there is no such database; create it first")
      return typeof code === "string" && /^[0-9A-Z]{5}$/u.test(code)
        ? refused(sqlReason(error))
        : unavailable(reason.message)
  }
}
