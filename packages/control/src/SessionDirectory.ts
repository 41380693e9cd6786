import { Id } from "@rspp/contracts/Identity"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import { AdmissionPolicy, judgeSession } from "./AdmissionPolicy.ts"
import { ControlConflict, ControlOverloaded, notFound } from "./ControlError.ts"
import type { ControlInvalid, ControlNotFound, DatabaseFailure } from "./ControlError.ts"
import { KeySecrets } from "./KeySecrets.ts"
import { SessionFacets } from "./PolicyEvaluation.ts"
import { Rollout, versionOf } from "./Rollout.ts"
import type { RolloutState } from "./Rollout.ts"
import type { Page, PageRequest } from "./sql/Database.ts"
import { failing, Long, pageOf, readPage, rowsOf } from "./sql/Database.ts"

/** A session that was made here. */
export const Session = Schema.Struct({
  session_id: Schema.String,
  tenant_id: Schema.String,
  pipeline_id: Schema.String,
  /** The version that it was made with, or the stable one once that was rolled back. */
  pipeline_version: Schema.String,
  /** Who speaks, as the application names it; the session itself where nobody is named. */
  caller: Schema.String,
  ...SessionFacets.fields,
  created_ms: Schema.Int,
  /** When it counts as over although nobody said so. */
  expires_ms: Schema.Int,
  ended_ms: Schema.optionalKey(Schema.Int)
})
export type Session = typeof Session.Type

/** What a session is made from. */
export const SessionRequest = Schema.Struct({
  pipeline_id: Id,
  caller: Schema.optionalKey(Id),
  ...SessionFacets.fields
})
export type SessionRequest = typeof SessionRequest.Type

/** Longest that a session counts without having ended, ms: more than any call lasts. */
export const sessionLifetimeMs = 4 * 3_600_000

/** When a session that found no room may be asked for again, ms. */
const retryAfterMs = 1000

/**
 * The sessions of each tenant: who made them, and which version they run.
 *
 * Guarantees:
 * - **D1** a session is made only where admission has room for it; sessions of a tenant are counted and made one after
 *   the other, in all processes.
 * - **D2** its version is that of the rollout when it was made, and stays ({@link versionOf}).
 * - **D3** another tenant's sessions are not found.
 */
export class SessionDirectory extends Context.Service<SessionDirectory, {
  readonly create: (
    tenant_id: string,
    request: SessionRequest
  ) => Effect.Effect<Session, ControlNotFound | ControlOverloaded | ControlConflict | DatabaseFailure>
  readonly get: (tenant_id: string, session_id: string) => Effect.Effect<Session, ControlNotFound | DatabaseFailure>
  readonly list: (
    tenant_id: string,
    request: PageRequest & { readonly active?: boolean | undefined }
  ) => Effect.Effect<Page<Session>, ControlInvalid | DatabaseFailure>
  /** The sessions of all tenants that have not ended, oldest first. For the control plane itself: no caller sees it. */
  readonly active: Effect.Effect<
    ReadonlyArray<{ readonly tenant_id: string; readonly session_id: string }>,
    DatabaseFailure
  >
  /** It no longer takes room. Again: no change. */
  readonly end: (tenant_id: string, session_id: string) => Effect.Effect<Session, ControlNotFound | DatabaseFailure>
}>()("rspp/SessionDirectory") {
  static readonly layer: Layer.Layer<
    SessionDirectory,
    never,
    SqlClient.SqlClient | AdmissionPolicy | Rollout
  > = Layer.effect(SessionDirectory, Effect.suspend(() => make)).pipe(Layer.provide(KeySecrets.layer))
}

const table = "rspp_sessions"
const Row = Schema.Struct({
  position: Long,
  session_id: Schema.String,
  tenant_id: Schema.String,
  pipeline_id: Schema.String,
  pipeline_version: Schema.String,
  caller: Schema.String,
  language: Schema.NullOr(Schema.String),
  region: Schema.NullOr(Schema.String),
  cost_tier: Schema.NullOr(Schema.String),
  created_ms: Long,
  expires_ms: Long,
  ended_ms: Schema.NullOr(Long)
})
const Owner = Schema.Struct({ tenant_id: Schema.String, session_id: Schema.String })
const Count = Schema.Struct({ count: Long })

const present = (fields: Readonly<Record<string, string | number | null>>): object =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null))

const sessionOf = (
  { cost_tier, ended_ms, language, position: _position, region, ...row }: typeof Row.Type
): Session => ({
  ...row,
  ...present({ language, region, cost_tier, ended_ms })
})

/** What policy and rollout ask of a session. */
export const facetsOf = ({ cost_tier, language, region }: SessionFacets): SessionFacets => ({
  ...(language === undefined ? {} : { language }),
  ...(region === undefined ? {} : { region }),
  ...(cost_tier === undefined ? {} : { cost_tier })
})

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const admission = yield* AdmissionPolicy
  const rollout = yield* Rollout
  const ids = yield* KeySecrets
  const rows = rowsOf(table, Row)
  const counts = rowsOf(table, Count)
  const owners = rowsOf(table, Owner)
  const now = Effect.map(Clock.currentTimeMillis, Math.floor)

  const current = Effect.fnUntraced(function*(row: typeof Row.Type) {
    const state = yield* rollout.rollouts.find(row.tenant_id, row.pipeline_id)
    return sessionOf({ ...row, pipeline_version: versionOf(state?.body, row.pipeline_version) })
  })

  const find = Effect.fnUntraced(function*(tenant_id: string, session_id: string) {
    const [row] = yield* rows(
      sql`SELECT * FROM rspp_sessions WHERE tenant_id = ${tenant_id} AND session_id = ${session_id}`
    )
    return row === undefined ? yield* notFound("session", session_id) : row
  })

  const create = Effect.fn("SessionDirectory.create")(function*(tenant_id: string, request: SessionRequest) {
    const session_id = `ses_${yield* ids.hex(12)}`
    const caller = request.caller ?? session_id
    const facets = facetsOf(request)
    return yield* sql.withTransaction(Effect.gen(function*() {
      // D1: one at a time (SQLite has its one lock already)
      yield* sql.onDialectOrElse({
        pg: () =>
          Effect.asVoid(sql`SELECT pg_advisory_xact_lock(hashtextextended(${`rspp_sessions:${tenant_id}`}, 0))`),
        orElse: () => Effect.void
      })
      const { pipeline_version } = yield* rollout.resolve(tenant_id, request.pipeline_id, caller, facets)
      const { body: rules } = yield* admission.get(tenant_id)
      const created_ms = yield* now
      const count = (of: "caller" | "pipeline" | undefined) =>
        Effect.map(
          counts(sql`SELECT COUNT(*) AS count FROM rspp_sessions WHERE ${
            sql.and([
              sql`tenant_id = ${tenant_id}`,
              sql`ended_ms IS NULL`,
              sql`expires_ms > ${created_ms}`,
              ...(of === "caller" ? [sql`caller = ${caller}`] : []),
              ...(of === "pipeline" ? [sql`pipeline_id = ${request.pipeline_id}`] : [])
            ])
          }`),
          ([row]) => row?.count ?? 0
        )
      const ofTenant = yield* count(undefined)
      const ofKey = rules.fairness === undefined ? 0 : yield* count(rules.fairness.key)
      const turned = judgeSession(rules, request.cost_tier, { ofTenant, ofKey })
      if (turned !== undefined) {
        return yield* new ControlOverloaded({
          code: turned.reason,
          message: `${turned.message}; ${turned.outcome === "defer" ? "ask again" : "end one, or raise the limit"}`,
          ...(turned.outcome === "defer" ? { retry_after_ms: retryAfterMs } : {})
        })
      }
      const [last] = yield* counts(
        sql`SELECT COALESCE(MAX(position), 0) AS count FROM rspp_sessions WHERE tenant_id = ${tenant_id}`
      )
      const row: typeof Row.Type = {
        position: (last?.count ?? 0) + 1,
        session_id,
        tenant_id,
        pipeline_id: request.pipeline_id,
        pipeline_version,
        caller,
        language: facets.language ?? null,
        region: facets.region ?? null,
        cost_tier: facets.cost_tier ?? null,
        created_ms,
        expires_ms: created_ms + sessionLifetimeMs,
        ended_ms: null
      }
      yield* sql`INSERT INTO rspp_sessions ${sql.insert(row)}`
      return sessionOf(row)
    })).pipe(failing)
  })

  const end = Effect.fn("SessionDirectory.end")(function*(tenant_id: string, session_id: string) {
    const row = yield* find(tenant_id, session_id)
    if (row.ended_ms !== null) return yield* current(row)
    const ended_ms = yield* now
    yield* failing(sql`UPDATE rspp_sessions SET ended_ms = ${ended_ms}
      WHERE tenant_id = ${tenant_id} AND session_id = ${session_id} AND ended_ms IS NULL`)
    return yield* current({ ...row, ended_ms })
  })

  return SessionDirectory.of({
    create,
    end,
    active: Effect.gen(function*() {
      const now_ms = yield* now
      return yield* owners(sql`SELECT tenant_id, session_id FROM rspp_sessions
        WHERE ended_ms IS NULL AND expires_ms > ${now_ms} ORDER BY created_ms, session_id`)
    }),
    get: Effect.fn("SessionDirectory.get")((tenant_id: string, session_id: string) =>
      Effect.flatMap(find(tenant_id, session_id), current)
    ),
    list: Effect.fn("SessionDirectory.list")(
      function*(tenant_id: string, { active, ...page }: PageRequest & { readonly active?: boolean | undefined }) {
        const { after, limit } = yield* readPage(page)
        const now_ms = yield* now
        const found = yield* rows(sql`SELECT * FROM rspp_sessions WHERE ${
          sql.and([
            sql`tenant_id = ${tenant_id}`,
            sql`position > ${after}`,
            ...(active === true ? [sql`ended_ms IS NULL AND expires_ms > ${now_ms}`] : [])
          ])
        } ORDER BY position LIMIT ${limit + 1}`)
        const { items, next_cursor } = pageOf(found, limit, (row) => row)
        const states = new Map<string, RolloutState | undefined>()
        for (const pipeline_id of new Set(items.map((row) => row.pipeline_id))) {
          states.set(pipeline_id, (yield* rollout.rollouts.find(tenant_id, pipeline_id))?.body)
        }
        return {
          items: items.map((row) =>
            sessionOf({ ...row, pipeline_version: versionOf(states.get(row.pipeline_id), row.pipeline_version) })
          ),
          ...(next_cursor === undefined ? {} : { next_cursor })
        }
      }
    )
  })
})
