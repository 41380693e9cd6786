import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { ControlConflict } from "./ControlError.ts"
import type { DatabaseFailure } from "./ControlError.ts"
import { failing, rowsOf } from "./sql/Database.ts"

/** An answer as it is kept. */
export const StoredAnswer = Schema.Struct({
  status: Schema.Int,
  content_type: Schema.String,
  /** Empty when the answer held something that is given out once. */
  body: Schema.String
})
export type StoredAnswer = typeof StoredAnswer.Type

/** A request that says that it may be a repetition. */
export interface RepeatableRequest {
  /** The API key that sends it: another's idempotency keys are not looked at. */
  readonly key_id: string
  readonly idempotency_key: string
  /** A hash of method, path and body: the same key with another request is refused. */
  readonly fingerprint: string
}

/** How long an answer is kept, ms: a day. */
export const keepAnswersMs = 86_400_000

/**
 * Answers to writes, so that one that is sent again is not done again.
 *
 * Guarantees:
 * - **Q1** of requests with the same key only one is carried out, also when several come at once to several
 *   processes: the change and its answer are one transaction. One that fails leaves nothing, and may be sent again.
 */
export class IdempotencyStore extends Context.Service<IdempotencyStore, {
  /** Runs `run` unless its answer is there; `repeated` says which. Fails when the key came with another request. */
  readonly once: <A, E, R>(
    request: RepeatableRequest,
    run: Effect.Effect<A, E, R>,
    answerOf: (result: A) => StoredAnswer | undefined
  ) => Effect.Effect<
    { readonly repeated: false; readonly result: A } | { readonly repeated: true; readonly answer: StoredAnswer },
    Exclude<E, SqlError> | ControlConflict | DatabaseFailure,
    R
  >
}>()("rspp/IdempotencyStore") {
  static readonly layer: Layer.Layer<IdempotencyStore, never, SqlClient.SqlClient> = Layer.effect(
    IdempotencyStore,
    Effect.suspend(() => make)
  )
}

const Row = Schema.Struct({ fingerprint: Schema.String, ...StoredAnswer.fields })

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const rows = rowsOf("rspp_idempotency", Row)
  return IdempotencyStore.of({
    once: ({ fingerprint, idempotency_key, key_id }, run, answerOf) =>
      sql.withTransaction(Effect.gen(function*() {
        const created_ms = Math.floor(yield* Clock.currentTimeMillis)
        yield* sql`DELETE FROM rspp_idempotency WHERE key_id = ${key_id} AND created_ms < ${created_ms - keepAnswersMs}`
        // who comes second waits here for the first to end
        const first = yield* sql`INSERT INTO rspp_idempotency ${
          sql.insert({ key_id, idempotency_key, fingerprint, status: 0, content_type: "", body: "", created_ms })
        } ON CONFLICT DO NOTHING RETURNING key_id`
        const of = sql`key_id = ${key_id} AND idempotency_key = ${idempotency_key}`
        if (first.length === 0) {
          const [there] = yield* rows(
            sql`SELECT fingerprint, status, content_type, body FROM rspp_idempotency WHERE ${of}`
          )
          if (there === undefined || there.fingerprint !== fingerprint) {
            return yield* new ControlConflict({
              code: "idempotency_key_reused",
              message: "this Idempotency-Key came with another request before; take a new one for each request"
            })
          }
          const { body, content_type, status } = there
          return { repeated: true as const, answer: { status, content_type, body } }
        }
        const result = yield* run
        const answer = answerOf(result)
        yield* answer === undefined
          ? sql`DELETE FROM rspp_idempotency WHERE ${of}`
          : sql`UPDATE rspp_idempotency SET status = ${answer.status}, content_type = ${answer.content_type},
              body = ${answer.body} WHERE ${of}`
        return { repeated: false as const, result }
      })).pipe(failing)
  })
})
