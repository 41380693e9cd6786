import * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as SqlClient from "effect/sql/SqlClient"
import { Actor } from "./Actor.ts"
import { AuditLog } from "./AuditLog.ts"
import type { AuditVerdict } from "./AuditLog.ts"
import type { DatabaseFailure } from "./ControlError.ts"
import { backupFormat, backupFormatVersion, lineOf, readLine, runningHash } from "./internal/BackupFormat.ts"
import type { BackupEnd, BackupHead, Cell } from "./internal/BackupFormat.ts"
import { platformTenant } from "./Permissions.ts"
import { backupTables } from "./sql/BackupTables.ts"
import type { BackupTable } from "./sql/BackupTables.ts"
import { failing, Long, nextPosition, rowsOf } from "./sql/Database.ts"
import { databaseNow } from "./sql/DatabaseClock.ts"
import { migrateControl, migrateTo, migrationNames, migrationState } from "./sql/Migrations.ts"

/** The database cannot be backed up as it is: it has no tables of the control plane, or those of a newer program. */
export class BackupRefused extends Schema.TaggedError<BackupRefused>()("BackupRefused", {
  message: Schema.String,
  hint: Schema.String
}) {}

/** What was given is no backup that this program can restore; `line` counts from 1. Nothing was changed. */
export class BackupUnusable extends Schema.TaggedError<BackupUnusable>()("BackupUnusable", {
  line: Schema.Int,
  message: Schema.String,
  hint: Schema.String
}) {}

/** The database already holds a control plane. Nothing was changed. */
export class RestoreRefused extends Schema.TaggedError<RestoreRefused>()("RestoreRefused", {
  message: Schema.String,
  hint: Schema.String
}) {}

/** What a backup holds. */
export interface BackupReport {
  /** When it was taken, by the database's clock: Unix time, ms. */
  readonly taken_ms: number
  readonly rows: number
  /** Of every byte before the last line. */
  readonly sha256: string
  /** The last row of the audit log in it: kept elsewhere, it shows later whether the log was rewritten. */
  readonly audit: { readonly sequence: number; readonly hash: string }
}

/** What a restore made. */
export interface RestoreReport {
  readonly taken_ms: number
  readonly restored_ms: number
  readonly rows: number
  readonly sha256: string
  /** Every epoch and version that is given out from now on is higher than this. */
  readonly counter_floor: number
  /** Of the whole log, with the row of this restore. */
  readonly audit: AuditVerdict
  /** API keys that are accepted now: those that were revoked after the backup was taken are among them. */
  readonly live_keys: number
}

/**
 * Backup and restore of everything that the control plane keeps, from either database into either.
 *
 * Guarantees:
 * - **R1** a backup is what the database held at one instant; changes go on meanwhile. The same content gives the same
 *   lines.
 * - **R2** what was handed out after the backup was taken is not handed out again: a restore has a floor, the Unix time of
 *   the database in ms (higher still where a counter is), and each epoch of a lease, also of sessions that the backup does
 *   not know, each version of a snapshot and each revision of a document that is given out from then on is above it. Two
 *   restores of one backup have two floors; the database's clock must not have gone back between them.
 * - **R3** no lease is held after a restore: who runs a session must take it, under an epoch above the floor.
 * - **R4** a restore happens whole or not at all, and only where there is no control plane: a cut, changed or foreign file
 *   changes nothing. It is in the audit log, which goes on from the backup's.
 *
 * A backup holds hashes of keys, and answers to repeated requests of the last day with tokens of clients in them: keep it
 * as the database is kept. What else may be in the same database is not in it, by `notBackedUp` of `sql/BackupTables.ts`:
 * recordings, the state of live sessions (their conversation, in clear text) and the queue of placed sessions. A session that
 * is taken over after a restore goes on with nothing known, and one that was placed and had not begun is to be placed again.
 */
export class ControlBackup extends Context.Service<ControlBackup, {
  /** Hands the lines of a backup to `write`, some at a time. */
  readonly take: <E, R>(
    write: (lines: string) => Effect.Effect<void, E, R>
  ) => Effect.Effect<BackupReport, E | BackupRefused | DatabaseFailure, R>
  /** Restores the lines of a backup, without their ends, into a database without a control plane. */
  readonly restore: <E, R>(
    lines: Stream.Stream<string, E, R>
  ) => Effect.Effect<RestoreReport, E | BackupUnusable | RestoreRefused | DatabaseFailure, R>
}>()("rspp/ControlBackup") {
  static readonly layer: Layer.Layer<ControlBackup, never, SqlClient.SqlClient> = Layer.effect(
    ControlBackup,
    Effect.suspend(() => make)
  )
}

/** Rows that are read, or written, in one statement. */
const batchRows = 200

const Column = Schema.Struct({ column_name: Schema.String, data_type: Schema.String })
type Column = typeof Column.Type
const Count = Schema.Struct({ count: Long })
const Moment = Schema.Struct({ now_ms: Long })
const Head = Schema.Struct({ sequence: Long, hash: Schema.String })
const Highest = Schema.Struct({ highest: Schema.NullOr(Long) })

const isInteger = ({ data_type }: Column): boolean => /^(?:bigint|integer|smallint)$/iu.test(data_type)

const unusable = (line: number, message: string, hint: string) => new BackupUnusable({ line, message, hint })
const again = "Take the file from where it was kept again, or restore another backup."

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const here = <A, E, R>(effect: Effect.Effect<A, E, R | SqlClient.SqlClient>) =>
    Effect.provideService(effect, SqlClient.SqlClient, sql)

  /** The columns of a table, in their order; empty: there is no such table. */
  const columnsOf = (table: string) =>
    rowsOf(table, Column)(sql.onDialectOrElse({
      pg: () =>
        sql`SELECT column_name, data_type FROM information_schema.columns
          WHERE table_name = ${table} AND table_schema = ANY(current_schemas(false)) ORDER BY ordinal_position`,
      orElse: () => sql`SELECT name AS column_name, type AS data_type FROM pragma_table_info(${table}) ORDER BY cid`
    }))

  const now = Effect.map(
    rowsOf("the clock", Moment)(sql`SELECT ${databaseNow(sql)} AS now_ms`),
    ([row]) => row?.now_ms ?? 0
  )

  const cellsOf = (table: string, columns: ReadonlyArray<Column>, row: unknown): ReadonlyArray<Cell> => {
    const values = row as Readonly<Record<string, unknown>>
    return columns.map((column) => {
      const value = values[column.column_name]
      if (value === null) return null
      const cell = isInteger(column) ? Number(value) : value
      if (typeof cell === "string" || (typeof cell === "number" && Number.isSafeInteger(cell))) return cell
      throw new Error(`${table}.${column.column_name} is neither text nor an integer: the format of backups lacks it`)
    })
  }

  /** The rows of a table in the order of its key (of bytes, whatever the database sorts by), some at a time. */
  const readRows = <E, R>(
    { key, table }: BackupTable,
    columns: ReadonlyArray<Column>,
    each: (rows: ReadonlyArray<ReadonlyArray<Cell>>) => Effect.Effect<void, E, R>
  ) =>
    Effect.gen(function*() {
      const names = sql.csv(columns.map(({ column_name }) => sql`${sql(column_name)}`))
      const plain = (name: string) => columns.some((column) => column.column_name === name && isInteger(column))
      const cursor = `rspp_backup_of_${table}`
      const order = sql.csv(key.map((name) =>
        sql.onDialectOrElse({
          pg: () => plain(name) ? sql`${sql(name)}` : sql`${sql(name)} COLLATE "C"`,
          orElse: () => sql`${sql(name)}`
        })
      ))
      yield* sql.onDialectOrElse({
        pg: () => sql`DECLARE ${sql(cursor)} NO SCROLL CURSOR FOR SELECT ${names} FROM ${sql(table)} ORDER BY ${order}`,
        orElse: () => Effect.succeed([])
      })
      let last: ReadonlyArray<Cell> = []
      for (;;) {
        const found: ReadonlyArray<unknown> = yield* sql.onDialectOrElse({
          pg: () => sql`FETCH ${sql.literal(String(batchRows))} FROM ${sql(cursor)}`,
          orElse: () =>
            last.length === 0
              ? sql`SELECT ${names} FROM ${sql(table)} ORDER BY ${order} LIMIT ${batchRows}`
              : sql`SELECT ${names} FROM ${sql(table)}
                WHERE (${sql.csv(key.map((name) => sql`${sql(name)}`))}) > (${
                sql.csv(last.map((value) => sql`${value}`))
              })
                ORDER BY ${order} LIMIT ${batchRows}`
        })
        const rows = found.map((row) => cellsOf(table, columns, row))
        if (rows.length > 0) yield* each(rows)
        if (rows.length < batchRows) return
        const end = rows.at(-1) ?? []
        last = key.map((name) => end[columns.findIndex(({ column_name }) => column_name === name)] ?? null)
      }
    })

  const take: ControlBackup["Service"]["take"] = Effect.fn("ControlBackup.take")(function*(write) {
    return yield* failing(sql.withTransaction(Effect.gen(function*() {
      // one instant for every statement, on SQLite by the transaction itself
      yield* sql.onDialectOrElse({
        pg: () => Effect.asVoid(sql`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY`),
        orElse: () => Effect.void
      })
      const { done, unknown } = yield* here(migrationState)
      if (done.length === 0) {
        return yield* new BackupRefused({
          message: "there is no control plane in this database",
          hint: "Name the database that rspp control-plane has; rspp doctor --database shows what is in one."
        })
      }
      if (unknown.length > 0) {
        return yield* new BackupRefused({
          message: `this database has tables of a newer program (${unknown.join(", ")})`,
          hint: "Back it up with the version of rspp that made them."
        })
      }
      const taken_ms = yield* now
      const tables: Array<{ readonly of: BackupTable; readonly columns: ReadonlyArray<Column> }> = []
      for (const of of backupTables) {
        const columns = yield* columnsOf(of.table)
        if (columns.length > 0) tables.push({ of, columns })
      }
      const hash = runningHash()
      let rows = 0
      const put = (lines: string) => Effect.suspend(() => (hash.add(lines), write(lines)))
      yield* put(lineOf({
        format: backupFormat,
        format_version: backupFormatVersion,
        taken_ms,
        migrations: done,
        tables: tables.map(({ columns, of: { table } }) => ({
          table,
          columns: columns.map(({ column_name }) => column_name)
        }))
      }))
      for (const [place, { columns, of }] of tables.entries()) {
        yield* readRows(of, columns, (batch) => {
          rows += batch.length
          return put(batch.map((row) => lineOf({ table: place, row })).join(""))
        })
      }
      const sha256 = hash.digest()
      yield* write(lineOf({ rows, sha256 }))
      const [head] = yield* rowsOf("rspp_audit_head", Head)(sql`SELECT sequence, hash FROM rspp_audit_head`)
      return { taken_ms, rows, sha256, audit: { sequence: head?.sequence ?? 0, hash: head?.hash ?? "" } }
    })))
  })

  const mustBeEmpty = Effect.gen(function*() {
    for (const { table } of backupTables) {
      if ((yield* columnsOf(table)).length > 0) {
        return yield* new RestoreRefused({
          message: `this database holds a control plane already (there is a table ${table})`,
          hint: "Restore into a new database: another file, or another database of the server (createdb)."
        })
      }
    }
    return undefined
  })

  /** The tables as they were when the backup was taken, empty. */
  const makeTables = Effect.fnUntraced(function*(head: BackupHead) {
    const unknown = head.migrations.filter((name) => !migrationNames.includes(name))
    if (unknown.length > 0) {
      return yield* unusable(
        1,
        `the backup is of a newer program (${unknown.join(", ")})`,
        "Restore it with the version of rspp that took it, or a newer one."
      )
    }
    yield* here(migrateTo(head.migrations))
    for (const { columns, table } of head.tables) {
      const there = yield* columnsOf(table)
      const known = backupTables.some((one) => one.table === table)
      const other = known ? columns.find((name) => !there.some(({ column_name }) => column_name === name)) : table
      if (other !== undefined) {
        return yield* unusable(1, `the backup has ${table} with ${other}, which its own version of rspp has not`, again)
      }
      // a migration may have put a first row there
      yield* sql`DELETE FROM ${sql(table)}`
    }
    return undefined
  })

  const insertRows = (
    { columns, table }: BackupHead["tables"][number],
    rows: Arr.NonEmptyReadonlyArray<ReadonlyArray<Cell>>
  ) =>
    sql`INSERT INTO ${sql(table)} ${
      sql.insert(Arr.map(rows, (row) => Object.fromEntries(columns.map((name, at) => [name, row[at] ?? null]))))
    }`

  /** Writes the lines as rows; what the end says, and the hash of what came. */
  const load = <E, R>(lines: Stream.Stream<string, E, R>) =>
    Effect.gen(function*() {
      const hash = runningHash()
      let head: BackupHead | undefined
      let end: BackupEnd | undefined
      let rows = 0
      let at = 0
      let batch: { readonly table: number; readonly rows: Array<ReadonlyArray<Cell>> } = { table: -1, rows: [] }
      const flush = Effect.suspend(() => {
        const of = head?.tables[batch.table]
        const { rows } = batch
        batch = { table: batch.table, rows: [] }
        return of !== undefined && Arr.isReadonlyArrayNonEmpty(rows) ? Effect.asVoid(insertRows(of, rows)) : Effect.void
      })
      const take = Effect.fnUntraced(function*(text: string) {
        at++
        if (end !== undefined) return yield* unusable(at, "the backup goes on behind its end", again)
        const line = readLine(text)
        if (typeof line === "string") {
          return yield* at === 1
            ? unusable(at, "this is no backup of a control plane", "Give a file of rspp control-plane backup.")
            : unusable(at, `line ${at} ${line}`, again)
        }
        if ("sha256" in line) {
          end = line
          return yield* flush
        }
        hash.add(`${text}\n`)
        if ("format" in line) {
          if (at !== 1) return yield* unusable(at, `line ${at} is a second head`, again)
          head = line
          return yield* makeTables(line)
        }
        const of = head?.tables[line.table]
        if (of === undefined || of.columns.length !== line.row.length) {
          return yield* unusable(at, `line ${at} is a row of no table in the head`, again)
        }
        rows++
        if (line.table !== batch.table || batch.rows.length >= batchRows) yield* flush
        if (line.table !== batch.table) batch = { table: line.table, rows: [] }
        batch.rows.push(line.row)
        return undefined
      })
      yield* Stream.runForEach(lines, take)
      if (head === undefined || end === undefined) {
        return yield* unusable(at, `the backup is cut off: it has no end after line ${at}`, again)
      }
      const sha256 = hash.digest()
      if (rows !== end.rows || sha256 !== end.sha256) {
        return yield* unusable(at, "the backup was changed: its rows do not have the hash that its end says", again)
      }
      return { taken_ms: head.taken_ms, rows, sha256 }
    })

  /** The highest number that a counter, or a version of a snapshot, has in what was restored. */
  const highest = Effect.gen(function*() {
    let top = 0
    const counted = [
      ...backupTables.flatMap(({ counters = [], table }) => counters.map((column) => ({ column, table }))),
      { table: "rspp_snapshots", column: "version" },
      { table: "rspp_restores", column: "counter_floor" }
    ]
    for (const { column, table } of counted) {
      const [row] = yield* rowsOf(table, Highest)(sql`SELECT max(${sql(column)}) AS highest FROM ${sql(table)}`)
      top = Math.max(top, row?.highest ?? 0)
    }
    return top
  })

  const raise = Effect.fnUntraced(function*(floor: number) {
    for (const { counters = [], table } of backupTables) {
      if (counters.length === 0) continue
      yield* sql`UPDATE ${sql(table)} SET ${sql.csv(counters.map((column) => sql`${sql(column)} = ${floor}`))}`
    }
    yield* sql`UPDATE rspp_leases SET state = 'expired' WHERE state = 'held'` // R3
  })

  const restore: ControlBackup["Service"]["restore"] = Effect.fn("ControlBackup.restore")(function*(lines) {
    return yield* failing(sql.withTransaction(
      Effect.gen(function*() {
        yield* mustBeEmpty
        const { rows, sha256, taken_ms } = yield* load(lines)
        yield* here(migrateControl)
        const restored_ms = yield* now
        const counter_floor = Math.max(restored_ms, taken_ms + 1, (yield* highest) + 1) // R2
        yield* raise(counter_floor)
        const position = yield* nextPosition(sql, "rspp_restores")
        yield* sql`INSERT INTO rspp_restores ${sql.insert({ position, restored_ms, taken_ms, counter_floor, sha256 })}`
        const audit = yield* here(Effect.map(Layer.build(AuditLog.layer), Context.get(AuditLog)))
        yield* audit.write(Effect.succeed({
          result: undefined,
          entries: [{
            tenant_id: platformTenant,
            action: "control_plane.restore",
            subject: `backup of ${taken_ms}`,
            details: { taken_ms, counter_floor, sha256 }
          }]
        })).pipe(Effect.provideService(Actor, { actor: "restore" }))
        const [keys] = yield* rowsOf("rspp_api_keys", Count)(sql`SELECT COUNT(*) AS count FROM rspp_api_keys
        WHERE revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > ${restored_ms})`)
        return {
          taken_ms,
          restored_ms,
          rows,
          sha256,
          counter_floor,
          audit: yield* audit.verify,
          live_keys: keys?.count ?? 0
        }
      }).pipe(Effect.scoped)
    ))
  })

  return ControlBackup.of({ take, restore })
})
