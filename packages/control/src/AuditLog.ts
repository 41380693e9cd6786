import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { Actor } from "./Actor.ts"
import type { ControlInvalid } from "./ControlError.ts"
import { DatabaseFailure } from "./ControlError.ts"
import { contentHash } from "./internal/ContentHash.ts"
import type { Page, PageRequest } from "./sql/Database.ts"
import { failing, Long, pageOf, readPage, rowsOf } from "./sql/Database.ts"
import { migrateControl } from "./sql/Migrations.ts"

/** What a change says of itself. `details` is JSON and holds no secret. */
export interface AuditEntry {
  readonly tenant_id: string
  /** `pipeline.publish`, `rollout.rollback`, … */
  readonly action: string
  /** What was changed: `assistant@3`. */
  readonly subject: string
  readonly details: Readonly<Record<string, unknown>>
}

/** A row of the log. */
export const AuditRecord = Schema.Struct({
  sequence: Schema.Int,
  at_ms: Schema.Int,
  actor: Schema.String,
  request_id: Schema.optionalKey(Schema.String),
  tenant_id: Schema.String,
  action: Schema.String,
  subject: Schema.String,
  details: Schema.Record(Schema.String, Schema.Unknown),
  previous_hash: Schema.String,
  hash: Schema.String
})
export type AuditRecord = typeof AuditRecord.Type

/** What {@link AuditLog} found when it read itself. */
export const AuditVerdict = Schema.Struct({
  intact: Schema.Boolean,
  /** Rows that were read and are as they were written, from the first on. */
  records: Schema.Int,
  /** The hash of the last of them: kept elsewhere, it shows later whether the log was rewritten as a whole. */
  head: Schema.String,
  /** The first row that is not as it was written, and what is wrong with it. */
  problem: Schema.optionalKey(Schema.Struct({ sequence: Schema.Int, message: Schema.String }))
})
export type AuditVerdict = typeof AuditVerdict.Type

/** A change and what the log says of it; no entries: nothing was changed. */
export interface Audited<A> {
  readonly result: A
  readonly entries: ReadonlyArray<AuditEntry>
}

/**
 * Audit log: every change of the control plane's configuration, append-only and chained by hash.
 *
 * Guarantees:
 * - **A1** a change and its rows are written in one transaction: neither is there without the other.
 * - **A2** changes of all processes on a database are made one after the other; rows are numbered densely from 1 in that
 *   order, and each holds the hash of the one before it.
 * - **A3** `verify` finds a row that was changed, removed (the last too), put in or moved, unless every hash from there
 *   on and the head were computed anew; against that, keep the head elsewhere and compare.
 *
 * Facts that runtimes report (health, leases) are not configuration and are not in it. Fails with
 * {@link DatabaseFailure}.
 */
export class AuditLog extends Context.Service<AuditLog, {
  /** Makes a change, alone among all changes, and appends its entries under the current {@link Actor}. */
  readonly write: <A, E, R>(
    change: Effect.Effect<Audited<A>, E | SqlError, R>
  ) => Effect.Effect<A, Exclude<E, SqlError> | DatabaseFailure, R>
  /** The rows of a tenant, oldest first. */
  readonly list: (
    tenant_id: string,
    page: PageRequest
  ) => Effect.Effect<Page<AuditRecord>, ControlInvalid | DatabaseFailure>
  /** How many rows there are: another number means that configuration has changed. */
  readonly length: Effect.Effect<number, DatabaseFailure>
  /** Reads the whole log. */
  readonly verify: Effect.Effect<AuditVerdict, DatabaseFailure>
}>()("rspp/AuditLog") {
  static readonly layer: Layer.Layer<AuditLog, DatabaseFailure, SqlClient.SqlClient> = Layer.effect(
    AuditLog,
    Effect.suspend(() => make)
  )
}

const table = "rspp_audit"

/** What stands before the first row. */
const noHash = "0".repeat(64)

/** Rows that `verify` holds at a time. */
const verifyBatch = 500

const Row = Schema.Struct({
  sequence: Long,
  at_ms: Long,
  actor: Schema.String,
  request_id: Schema.NullOr(Schema.String),
  tenant_id: Schema.String,
  action: Schema.String,
  subject: Schema.String,
  details: Schema.String,
  previous_hash: Schema.String,
  hash: Schema.String
})
type Row = typeof Row.Type

const Head = Schema.Struct({ sequence: Long, hash: Schema.String })

/** Over every column but the hash itself. */
const hashOf = ({ hash: _hash, ...row }: Row): string => contentHash(row)

const decodeDetails = Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown)))

const recordOf = ({ details, request_id, ...row }: Row): AuditRecord => ({
  ...row,
  ...(request_id === null ? {} : { request_id }),
  details: decodeDetails(details)
})

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* migrateControl
  const rows = rowsOf(table, Row)
  const heads = rowsOf("rspp_audit_head", Head)
  const columns = sql.literal(
    "sequence, at_ms, actor, request_id, tenant_id, action, subject, details, previous_hash, hash"
  )

  const readHead = (lock: boolean) =>
    heads(
      sql`SELECT sequence, hash FROM rspp_audit_head WHERE head_id = 1 ${
        sql.onDialectOrElse({
          pg: () => sql.literal(lock ? "FOR UPDATE" : ""),
          orElse: () => sql.literal("")
        })
      }`
    ).pipe(Effect.flatMap(([head]) =>
      head === undefined
        ? Effect.fail(
          new DatabaseFailure({
            message: "the head of the audit log is gone; restore the database, or look for who removed it",
            retryable: false,
            cause: undefined
          })
        )
        : Effect.succeed(head)
    ))

  const write = Effect.fn("AuditLog.write")(<A, E, R>(change: Effect.Effect<Audited<A>, E | SqlError, R>) =>
    sql.withTransaction(
      Effect.gen(function*() {
        // one change at a time, in every process: the head is the lock (SQLite has it with BEGIN IMMEDIATE)
        let head = yield* readHead(true)
        const { entries, result } = yield* change
        if (entries.length === 0) return result
        const { actor, request_id } = yield* Actor
        const at_ms = Math.floor(yield* Clock.currentTimeMillis)
        for (const { action, details, subject, tenant_id } of entries) {
          const unhashed = {
            sequence: head.sequence + 1,
            at_ms,
            actor,
            request_id: request_id ?? null,
            tenant_id,
            action,
            subject,
            details: canonicalJson(details),
            previous_hash: head.hash,
            hash: noHash
          }
          const row = { ...unhashed, hash: hashOf(unhashed) }
          yield* sql`INSERT INTO rspp_audit ${sql.insert(row)}`
          head = row
        }
        yield* sql`UPDATE rspp_audit_head SET sequence = ${head.sequence}, hash = ${head.hash} WHERE head_id = 1`
        return result
      })
    ).pipe(failing)
  )

  const list = Effect.fn("AuditLog.list")(function*(tenant_id: string, page: PageRequest) {
    const { after, limit } = yield* readPage(page)
    const found = yield* rows(sql`SELECT ${columns} FROM rspp_audit
      WHERE tenant_id = ${tenant_id} AND sequence > ${after} ORDER BY sequence LIMIT ${limit + 1}`)
    return pageOf(
      found.map((row) => ({ ...row, position: row.sequence })),
      limit,
      ({ position: _position, ...row }) => recordOf(row)
    )
  })

  const verify = Effect.gen(function*() {
    let last = { sequence: 0, hash: noHash }
    const verdict = (problem?: AuditVerdict["problem"]): AuditVerdict => ({
      intact: problem === undefined,
      records: last.sequence,
      head: last.hash,
      ...(problem === undefined ? {} : { problem })
    })
    for (;;) {
      const batch = yield* rows(sql`SELECT ${columns} FROM rspp_audit
        WHERE sequence > ${last.sequence} ORDER BY sequence LIMIT ${verifyBatch}`)
      for (const row of batch) {
        const problem = row.sequence !== last.sequence + 1
          ? `row ${last.sequence + 1} is missing`
          : row.previous_hash !== last.hash
          ? `row ${row.sequence} does not follow row ${last.sequence}: its previous hash is another`
          : hashOf(row) !== row.hash
          ? `row ${row.sequence} was changed: its hash does not fit`
          : undefined
        if (problem !== undefined) return verdict({ sequence: last.sequence + 1, message: problem })
        last = row
      }
      if (batch.length < verifyBatch) break
    }
    const head = yield* readHead(false)
    if (head.sequence === last.sequence && head.hash === last.hash) return verdict()
    const message = head.sequence > last.sequence
      ? `rows ${last.sequence + 1} to ${head.sequence} are missing at the end`
      : `the head says ${head.sequence} rows with another hash than there are`
    return verdict({ sequence: last.sequence + 1, message })
  })

  return AuditLog.of({
    write,
    list,
    length: Effect.map(readHead(false), ({ sequence }) => sequence),
    // one view of rows and head, while others write
    verify: sql.withTransaction(Effect.andThen(readHead(true), verify)).pipe(
      failing,
      Effect.withSpan("AuditLog.verify")
    )
  })
})
