import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { sqlReason } from "@rspp/sql/SqlReason"
import { ControlInvalid, DatabaseFailure } from "../ControlError.ts"

/** A 64-bit column: drivers give number, bigint or string; what is stored there fits a number. */
export const Long = Schema.Union([Schema.Number, Schema.BigInt, Schema.String]).pipe(
  Schema.decodeTo(Schema.Int, {
    decode: SchemaGetter.transform((value) => Number(value)),
    encode: SchemaGetter.transform((value) => value)
  })
)

/** JSON in a text column. */
export const JsonText = <S extends Schema.Constraint>(schema: S) => Schema.fromJsonString(schema)

/** The fault of a database in the words of the control plane; what the statement was does not leave it. */
export const databaseFailure = (error: SqlError): DatabaseFailure =>
  new DatabaseFailure({
    message: error.reason._tag === "ConnectionError"
      ? "the database cannot be reached"
      : `the database failed (${error.reason._tag}: ${sqlReason(error)})`,
    retryable: error.isRetryable || error.reason._tag === "ConnectionError",
    cause: error
  })

/** A row that this program has not written so: the table was changed by other hands, or by a newer version. */
const badRow = (table: string) => (error: Schema.SchemaError): DatabaseFailure =>
  new DatabaseFailure({ message: `a row of ${table} cannot be read: ${error.message}`, retryable: false, cause: error })

/** Reads rows of a table by their schema; each fault becomes a {@link DatabaseFailure}. */
export const rowsOf = <S extends Schema.Constraint>(table: string, schema: S) => {
  const decode = Schema.decodeUnknownEffect(Schema.Array(schema))
  return <E, R>(query: Effect.Effect<ReadonlyArray<unknown>, E | SqlError, R>) =>
    query.pipe(
      Effect.flatMap((rows) => Effect.mapError(decode(rows), badRow(table))),
      failing
    )
}

/** Turns what the driver raises into {@link DatabaseFailure}; other errors pass. */
export const failing = <A, E, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, Exclude<E, SqlError> | DatabaseFailure, R> =>
  Effect.mapError(
    effect,
    (error): Exclude<E, SqlError> | DatabaseFailure =>
      isSqlError(error) ? databaseFailure(error) : error as Exclude<E, SqlError>
  )

const isSqlError = (error: unknown): error is SqlError =>
  typeof error === "object" && error !== null && (error as { readonly _tag?: unknown })._tag === "SqlError"

/** A part of a list, in the order in which its items were made. */
export interface Page<A> {
  readonly items: ReadonlyArray<A>
  /** Where the next part begins; absent at the end. */
  readonly next_cursor?: string
}

export interface PageRequest {
  readonly cursor?: string | undefined
  readonly limit?: number | undefined
}

/** Items of a page unless the caller asks for fewer, and the most it can ask for. */
export const defaultPageSize = 50
export const maxPageSize = 200

/** Positions are dense integers; a cursor is the last one that was seen, opaque to callers. */
const cursorOf = (position: number): string => Buffer.from(`p${position}`).toString("base64url")

/** Where a page begins and how long it is. Fails with {@link ControlInvalid} on a cursor that is none. */
export const readPage = ({ cursor, limit }: PageRequest): Effect.Effect<
  { readonly after: number; readonly limit: number },
  ControlInvalid
> => {
  const size = Math.max(1, Math.min(limit ?? defaultPageSize, maxPageSize))
  if (cursor === undefined) return Effect.succeed({ after: 0, limit: size })
  const position = /^p(\d{1,15})$/u.exec(Buffer.from(cursor, "base64url").toString())?.[1]
  return position === undefined
    ? Effect.fail(
      new ControlInvalid({
        code: "cursor_invalid",
        message: "the cursor is none that a list has given; begin again without it",
        problems: [{ path: "cursor", rule: "cursor", message: "is not a cursor" }]
      })
    )
    : Effect.succeed({ after: Number(position), limit: size })
}

/** Makes a page of one row more than fits: that one says that there is a next page. */
export const pageOf = <R extends { readonly position: number }, A>(
  rows: ReadonlyArray<R>,
  limit: number,
  item: (row: R) => A
): Page<A> => {
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  return {
    items: shown.map(item),
    ...(rows.length > limit && last !== undefined ? { next_cursor: cursorOf(last.position) } : {})
  }
}

const Position = Schema.Struct({ position: Long })

/** The position of a new row of a table; asked for within `AuditLog.write`, where nobody else adds one. */
export const nextPosition = (sql: SqlClient, table: string): Effect.Effect<number, DatabaseFailure> =>
  Effect.map(
    rowsOf(table, Position)(sql`SELECT COALESCE(MAX(position), 0) AS position FROM ${sql(table)}`),
    ([last]) => (last?.position ?? 0) + 1
  )
