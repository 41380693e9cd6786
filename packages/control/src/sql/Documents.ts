import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { AuditLog } from "../AuditLog.ts"
import { ControlConflict, ControlInvalid, notFound } from "../ControlError.ts"
import type { ControlNotFound, DatabaseFailure } from "../ControlError.ts"
import { JsonText, Long, nextPosition, pageOf, readPage, rowsOf } from "./Database.ts"
import type { Page, PageRequest } from "./Database.ts"

/** A document of a tenant: what operators write, with a revision that counts its changes from 1. */
export interface Document<A> {
  readonly id: string
  readonly revision: number
  readonly updated_ms: number
  readonly body: A
}

/**
 * What a change of a document is founded on: the revision that its author saw (0: that there is none). Without it the
 * change is made whatever there is.
 */
export type Expected = number | undefined

export type DocumentError = ControlInvalid | ControlNotFound | ControlConflict | DatabaseFailure

/** The documents of one kind. Every change is audited as `<kind>.put`, `<kind>.remove` or what `change` is told. */
export interface Documents<A> {
  readonly find: (tenant_id: string, id: string) => Effect.Effect<Document<A> | undefined, DatabaseFailure>
  readonly get: (tenant_id: string, id: string) => Effect.Effect<Document<A>, ControlNotFound | DatabaseFailure>
  readonly list: (tenant_id: string, page: PageRequest) => Effect.Effect<
    Page<Document<A>>,
    ControlInvalid | DatabaseFailure
  >
  /** All of a tenant, oldest first. */
  readonly all: (tenant_id: string) => Effect.Effect<ReadonlyArray<Document<A>>, DatabaseFailure>
  /** Makes or replaces a document; `judge` may refuse it, within the transaction. The same body again is no change. */
  readonly put: (
    tenant_id: string,
    id: string,
    body: unknown,
    expected: Expected,
    judge: (body: A, before: Document<A> | undefined) => Effect.Effect<A, DocumentError>
  ) => Effect.Effect<Document<A>, DocumentError>
  /** Changes a document that is there, under an action and with details of its own. */
  readonly change: (
    tenant_id: string,
    id: string,
    expected: Expected,
    action: string,
    change: (before: Document<A>) => Effect.Effect<
      { readonly body: A; readonly details: Readonly<Record<string, unknown>> } | undefined,
      DocumentError
    >
  ) => Effect.Effect<Document<A>, DocumentError>
  readonly remove: (
    tenant_id: string,
    id: string,
    expected: Expected
  ) => Effect.Effect<void, ControlNotFound | ControlConflict | DatabaseFailure>
}

const Row = Schema.Struct({
  position: Long,
  document_id: Schema.String,
  revision: Long,
  updated_ms: Long,
  body: Schema.String
})

/** The documents of `table`, in the words of `kind` (`policy`). */
export const makeDocuments = Effect.fnUntraced(
  function*<A, I>(table: string, kind: string, schema: Schema.Codec<A, I>) {
    const sql = yield* SqlClient.SqlClient
    const audit = yield* AuditLog
    const read = rowsOf(table, Row)
    const bodies = rowsOf(table, JsonText(schema))
    const rows = Effect.fnUntraced(function*(query: Effect.Effect<ReadonlyArray<unknown>, SqlError>) {
      const found = yield* read(query)
      const decoded = yield* bodies(Effect.succeed(found.map(({ body }) => body)))
      return found.flatMap((row, at) => {
        const body = decoded[at]
        return body === undefined ? [] : [{ ...row, body }]
      })
    })
    const decode = Schema.decodeUnknownEffect(schema, { onExcessProperty: "error", errors: "all" })
    const documentOf = (
      { body, document_id, revision, updated_ms }: Omit<typeof Row.Type, "body"> & { readonly body: A }
    ): Document<A> => ({
      id: document_id,
      revision,
      updated_ms,
      body
    })
    const named = kind.replaceAll("_", " ")
    const of = (tenant_id: string, id: string) => sql`tenant_id = ${tenant_id} AND document_id = ${id}`

    const find = Effect.fnUntraced(function*(tenant_id: string, id: string) {
      const [row] = yield* rows(sql`SELECT * FROM ${sql(table)} WHERE ${of(tenant_id, id)}`)
      return row === undefined ? undefined : documentOf(row)
    })

    const get = Effect.fnUntraced(function*(tenant_id: string, id: string) {
      return (yield* find(tenant_id, id)) ?? (yield* notFound(kind, id))
    })

    const check = (expected: Expected, before: Document<A> | undefined, id: string) => {
      const revision = before?.revision ?? 0
      return expected === undefined || expected === revision
        ? Effect.void
        : Effect.fail(
          new ControlConflict({
            code: "revision_conflict",
            message: `${named} ${id} is at revision ${revision}, not ${expected}; read it again and decide anew`
          })
        )
    }

    const store = Effect.fnUntraced(
      function*(tenant_id: string, id: string, body: A, before: Document<A> | undefined) {
        const updated_ms = Math.floor(yield* Clock.currentTimeMillis)
        const revision = (before?.revision ?? 0) + 1
        const text = canonicalJson(body)
        if (before === undefined) {
          const position = yield* nextPosition(sql, table)
          yield* sql`INSERT INTO ${sql(table)} ${
            sql.insert({ position, tenant_id, document_id: id, revision, updated_ms, body: text })
          }`
        } else {
          yield* sql`UPDATE ${sql(table)} SET revision = ${revision}, updated_ms = ${updated_ms}, body = ${text}
            WHERE ${of(tenant_id, id)}`
        }
        const document: Document<A> = { id, revision, updated_ms, body }
        return document
      }
    )

    const put: Documents<A>["put"] = Effect.fnUntraced(function*(tenant_id, id, given, expected, judge) {
      const read = yield* Effect.mapError(decode(given), (error) =>
        new ControlInvalid({
          code: `${kind}_invalid`,
          message: `the ${named} cannot be used: ${error.message}`,
          problems: [{ path: "", rule: "schema", message: error.message }]
        }))
      return yield* audit.write(Effect.gen(function*() {
        const before = yield* find(tenant_id, id)
        yield* check(expected, before, id)
        const body = yield* judge(read, before)
        if (before !== undefined && canonicalJson(before.body) === canonicalJson(body)) {
          return { result: before, entries: [] }
        }
        const document = yield* store(tenant_id, id, body, before)
        const details = { revision: document.revision, body }
        return { result: document, entries: [{ tenant_id, action: `${kind}.put`, subject: id, details }] }
      }))
    })

    const change: Documents<A>["change"] = Effect.fnUntraced(function*(tenant_id, id, expected, action, change) {
      return yield* audit.write(Effect.gen(function*() {
        const before = yield* get(tenant_id, id)
        yield* check(expected, before, id)
        const next = yield* change(before)
        if (next === undefined) return { result: before, entries: [] }
        const document = yield* store(tenant_id, id, next.body, before)
        const details = { revision: document.revision, ...next.details }
        return { result: document, entries: [{ tenant_id, action, subject: id, details }] }
      }))
    })

    const remove = Effect.fnUntraced(function*(tenant_id: string, id: string, expected: Expected) {
      yield* audit.write(Effect.gen(function*() {
        const before = yield* get(tenant_id, id)
        yield* check(expected, before, id)
        yield* sql`DELETE FROM ${sql(table)} WHERE ${of(tenant_id, id)}`
        const details = { revision: before.revision }
        return { result: undefined, entries: [{ tenant_id, action: `${kind}.remove`, subject: id, details }] }
      }))
    })

    const documents: Documents<A> = {
      find,
      get,
      list: Effect.fnUntraced(function*(tenant_id, page) {
        const { after, limit } = yield* readPage(page)
        const found = yield* rows(sql`SELECT * FROM ${sql(table)}
          WHERE tenant_id = ${tenant_id} AND position > ${after} ORDER BY position LIMIT ${limit + 1}`)
        return pageOf(found, limit, documentOf)
      }),
      all: (tenant_id) =>
        Effect.map(
          rows(sql`SELECT * FROM ${sql(table)} WHERE tenant_id = ${tenant_id} ORDER BY position`),
          (found) => found.map(documentOf)
        ),
      put,
      change,
      remove
    }
    return documents
  }
)
