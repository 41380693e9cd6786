import { DurableState, StateStoreFailure } from "@rspp/runtime/ports/SessionStateStore"
import { sqlReason } from "@rspp/sql/SqlReason"
import { makeTables } from "@rspp/sql/Tables"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"

/** The table, and the one that says which versions of it have been made. */
const migrationsTable = "rspp_state_migrations"

/** Versions of the table, oldest first; each is run once. */
const migrations = Migrator.fromRecord({
  "0001_session_states": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const long = sql.onDialectOrElse({ pg: () => sql.literal("BIGINT"), orElse: () => sql.literal("INTEGER") })
    yield* sql`CREATE TABLE rspp_session_states (
      session_id TEXT NOT NULL PRIMARY KEY,
      fence_epoch ${long} NOT NULL,
      revision ${long} NOT NULL,
      state TEXT
    )`
  }),
  "0002_session_about": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`ALTER TABLE rspp_session_states ADD COLUMN about TEXT`
  })
})

/** Names the lock of PostgreSQL that one process holds while it makes the table ("RSPS"). */
const lockId = 0x52535053

/** Higher than any revision: of an epoch that has been forgotten nothing is written any more. */
const forgotten = Number.MAX_SAFE_INTEGER

export interface SessionStatesOptions {
  /** The database, for messages; without its password. */
  readonly name: string
  /** How long one statement may take, ms. */
  readonly answerWithinMs?: number
}

/** What a session is, for whoever might go on with it: said when it begins, and the same for as long as it lasts. */
export const SessionAbout = Schema.Struct({
  /** What it runs; `hash` is of the normalized spec. */
  pipeline: Schema.Struct({ pipeline_id: Schema.String, pipeline_version: Schema.String, hash: Schema.String }),
  /** The room that its caller is in, and under which identity the agent is there; absent: it has none. */
  room: Schema.optionalKey(Schema.Struct({ name: Schema.String, identity: Schema.String }))
})
export type SessionAbout = typeof SessionAbout.Type

/** What a claim has found. */
export interface Claimed {
  /** What the session is; absent: nobody has said so. */
  readonly about: SessionAbout | undefined
  /** What was written last; absent: nothing yet, or it was forgotten. */
  readonly state: DurableState | undefined
  /** The session has been ended: there is nothing to go on with. */
  readonly over: boolean
}

/**
 * Session-durable state in an SQL database that several runtimes share (RK-20's port over SQL): the table
 * `rspp_session_states`, one row for each session, made when it is missing.
 *
 * Guarantees:
 * - **SS1** a state of an epoch lower than any that has claimed or written the session is refused with `stale_epoch`, by
 *   the same statement that would write it: a runtime that was only paused cannot overwrite its successor's.
 * - **SS2** of one epoch the highest revision stays, in whatever order the writes arrive; a write that was overtaken is
 *   dropped and counts as done.
 * - **SS3** `claim` answers what was written last, and nothing of a lower epoch is written after that answer.
 * - **SS4** a fence is never taken down: `forget` removes the words and keeps the epoch, under which nothing is written
 *   any more.
 *
 * The conversation is kept in clear text, for as long as the session lives: who may read the database may read it. A row
 * whose runtime died stays until another runtime has taken the session over and ended it.
 *
 * A database that does not answer in time, or not at all, fails the call with `unavailable`; whether a write was carried
 * out is then unknown. A row that is no state fails it with `damaged`.
 */
export class SessionStates extends Context.Service<SessionStates, {
  /** What is kept of a session. */
  readonly load: (session_id: string) => Effect.Effect<DurableState | undefined, StateStoreFailure>
  /** What a session is, as far as somebody has said it and it is not over. */
  readonly about: (session_id: string) => Effect.Effect<SessionAbout | undefined, StateStoreFailure>
  /** Replaces what is kept, unless its epoch is over. `about`, where it is given, is what the session is. */
  readonly save: (state: DurableState, about?: SessionAbout) => Effect.Effect<void, StateStoreFailure>
  /**
   * Ends every lower epoch's right to write, and answers what is kept. `about` says what the session is, unless somebody
   * has. Fails when `authority_epoch` is over itself.
   */
  readonly claim: (
    session_id: string,
    authority_epoch: number,
    about?: SessionAbout
  ) => Effect.Effect<Claimed, StateStoreFailure>
  /** The session is over: removes what is kept of it, unless a higher epoch has it. */
  readonly forget: (session_id: string, authority_epoch: number) => Effect.Effect<void, StateStoreFailure>
}>()("rspp/SessionStates") {
  static readonly layerSql = (
    options: SessionStatesOptions
  ): Layer.Layer<SessionStates, StateStoreFailure, SqlClient.SqlClient> => Layer.effect(SessionStates, make(options))
}

const StateText = Schema.fromJsonString(DurableState)
const decode = Schema.decodeUnknownEffect(StateText)
const encode = Schema.encodeSync(StateText)
const AboutText = Schema.fromJsonString(SessionAbout)
const decodeAbout = Schema.decodeUnknownEffect(AboutText)
const encodeAbout = (about: SessionAbout | undefined) =>
  about === undefined ? null : Schema.encodeSync(AboutText)(about)

const make = Effect.fnUntraced(function*({ answerWithinMs = 5000, name }: SessionStatesOptions) {
  const sql = yield* SqlClient.SqlClient
  const failure = (reason: StateStoreFailure["reason"], what: string) =>
    new StateStoreFailure({ reason, message: `${name}: ${what}` })
  const answered = <A, E extends { readonly message: string }>(statement: Effect.Effect<A, E>) =>
    statement.pipe(
      Effect.mapError((error) => failure("unavailable", `its session states cannot be reached (${sqlReason(error)})`)),
      Effect.timeoutOrElse({
        duration: answerWithinMs,
        orElse: () => Effect.fail(failure("unavailable", `no answer about session states within ${answerWithinMs} ms`))
      })
    )
  const over = (session_id: string, epoch: number) =>
    failure("stale_epoch", `epoch ${epoch} of session ${session_id} is over; a higher one writes its state`)

  yield* makeTables({ lockId, migrations, table: migrationsTable }).pipe(
    Effect.provideService(SqlClient.SqlClient, sql),
    Effect.mapError((error) =>
      failure("unavailable", `the table of session states cannot be made (${sqlReason(error)})`)
    )
  )

  const stateOf = (session_id: string, text: unknown): Effect.Effect<DurableState | undefined, StateStoreFailure> =>
    text === null || text === undefined
      ? Effect.succeed(undefined)
      : decode(text).pipe(
        Effect.mapError(() => failure("damaged", `the row of session ${session_id} is no state of a session`)),
        Effect.filterOrFail(
          (state) => state.session_id === session_id,
          () => failure("damaged", `the row of session ${session_id} holds another session's state`)
        )
      )

  const aboutOf = (session_id: string, text: unknown): Effect.Effect<SessionAbout | undefined, StateStoreFailure> =>
    text === null || text === undefined
      ? Effect.succeed(undefined)
      : Effect.mapError(
        decodeAbout(text),
        () => failure("damaged", `the row of session ${session_id} does not say what the session is`)
      )

  return SessionStates.of({
    about: Effect.fn("SessionStates.about")(function*(session_id: string) {
      const [row] = yield* answered(sql`SELECT about FROM rspp_session_states WHERE session_id = ${session_id}`)
      return yield* aboutOf(session_id, row?.["about"])
    }),
    load: Effect.fn("SessionStates.load")(function*(session_id: string) {
      const [row] = yield* answered(sql`SELECT state FROM rspp_session_states WHERE session_id = ${session_id}`)
      return yield* stateOf(session_id, row?.["state"])
    }),
    save: Effect.fn("SessionStates.save")(function*(state: DurableState, about?: SessionAbout) {
      const { authority_epoch, revision, session_id } = state
      const written = yield* answered(
        sql`INSERT INTO rspp_session_states AS s (session_id, fence_epoch, revision, state, about)
        VALUES (${session_id}, ${authority_epoch}, ${revision}, ${encode(state)}, ${encodeAbout(about)})
        ON CONFLICT (session_id) DO UPDATE
          SET fence_epoch = excluded.fence_epoch, revision = excluded.revision, state = excluded.state,
              about = COALESCE(s.about, excluded.about)
          WHERE s.fence_epoch < excluded.fence_epoch
            OR (s.fence_epoch = excluded.fence_epoch AND s.revision < excluded.revision)
        RETURNING session_id`
      )
      if (written.length > 0) return
      const [row] = yield* answered(
        sql`SELECT fence_epoch FROM rspp_session_states WHERE session_id = ${session_id}`
      )
      if (Number(row?.["fence_epoch"]) > authority_epoch) return yield* over(session_id, authority_epoch) // SS1
    }),
    claim: Effect.fn("SessionStates.claim")(function*(
      session_id: string,
      authority_epoch: number,
      given?: SessionAbout
    ) {
      // The revision begins anew with the epoch, unless the session is over; what is kept stays until that writes.
      const rows = yield* answered(
        sql`INSERT INTO rspp_session_states AS s (session_id, fence_epoch, revision, state, about)
        VALUES (${session_id}, ${authority_epoch}, 0, NULL, ${encodeAbout(given)})
        ON CONFLICT (session_id) DO UPDATE
          SET fence_epoch = excluded.fence_epoch,
              about = COALESCE(s.about, excluded.about),
              revision = CASE WHEN s.fence_epoch = excluded.fence_epoch OR s.revision = ${forgotten}
                THEN s.revision ELSE 0 END
          WHERE s.fence_epoch <= excluded.fence_epoch
        RETURNING state, revision, about`
      )
      const [row] = rows
      if (row === undefined) return yield* over(session_id, authority_epoch)
      const state = yield* stateOf(session_id, row["state"]) // SS3
      const about = yield* aboutOf(session_id, row["about"])
      return { about, state, over: Number(row["revision"]) === forgotten }
    }),
    forget: Effect.fn("SessionStates.forget")((session_id: string, authority_epoch: number) =>
      Effect.asVoid(answered(sql`UPDATE rspp_session_states SET state = NULL, about = NULL, revision = ${forgotten}
        WHERE session_id = ${session_id} AND fence_epoch <= ${authority_epoch}`)) // SS4
    )
  })
})
