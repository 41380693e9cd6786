import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import { AdmissionPolicy } from "../AdmissionPolicy.ts"
import { AuditLog } from "../AuditLog.ts"
import { ClientTokens } from "../ClientTokens.ts"
import { ControlConflict, ControlInvalid, DatabaseFailure, notFound } from "../ControlError.ts"
import { LeaseAuthority } from "../LeaseAuthority.ts"
import { PipelineRegistry } from "../PipelineRegistry.ts"
import { PolicyEvaluation } from "../PolicyEvaluation.ts"
import { ProviderHealth } from "../ProviderHealth.ts"
import { Rollout } from "../Rollout.ts"
import { RoutingView } from "../RoutingView.ts"
import { SecurityTenancy } from "../SecurityTenancy.ts"
import { SessionDirectory } from "../SessionDirectory.ts"
import { SnapshotFeed } from "../SnapshotFeed.ts"
import { failing } from "../sql/Database.ts"
import type { Expected } from "../sql/Documents.ts"
import { ControlApi } from "./ControlApi.ts"
import { Draining } from "./Draining.ts"
import { Caller } from "./Guard.ts"
import { asProblems, leaving } from "./Problems.ts"

const tenant = Effect.map(Caller, ({ tenant_id }) => tenant_id)

/** `"r3"` → 3; `If-None-Match: *` → 0, there may be none yet. */
const expectedOf = (
  headers: { readonly "if-match"?: string; readonly "if-none-match"?: string }
): Effect.Effect<Expected, ControlInvalid> => {
  const match = headers["if-match"]?.trim()
  if (match === undefined) return Effect.succeed(headers["if-none-match"]?.trim() === "*" ? 0 : undefined)
  const revision = /^"r(\d{1,15})"$/u.exec(match)?.[1]
  if (revision !== undefined) return Effect.succeed(Number(revision))
  const message = "If-Match takes the ETag of a document, such as \"r3\""
  return Effect.fail(
    new ControlInvalid({
      code: "if_match_invalid",
      message,
      problems: [{ path: "if-match", rule: "etag", message }]
    })
  )
}

const health = HttpApiBuilder.group(
  ControlApi,
  "health",
  Effect.fn(function*(handlers) {
    const sql = yield* SqlClient.SqlClient
    const draining = yield* Draining
    return handlers.handleAll({
      live: () => Effect.succeed({ status: "ok" as const }),
      ready: () =>
        Effect.gen(function*() {
          if (draining()) return yield* leaving
          yield* asProblems(failing(sql`SELECT sequence FROM rspp_audit_head`))
          return { status: "ready" as const, now_ms: Math.floor(yield* Clock.currentTimeMillis) }
        })
    })
  })
)

const tenants = HttpApiBuilder.group(
  ControlApi,
  "tenants",
  Effect.fn(function*(handlers) {
    const security = yield* SecurityTenancy
    return handlers.handleAll({
      create: ({ payload }) => asProblems(security.createTenant(payload.tenant_id, payload.name)),
      list: ({ query }) => asProblems(security.listTenants(query)),
      current: () => asProblems(Effect.flatMap(tenant, (id) => security.getTenant(id))),
      suspend: ({ params, payload }) => asProblems(security.suspend(params.tenant_id, payload.suspended))
    })
  })
)

const keys = HttpApiBuilder.group(
  ControlApi,
  "keys",
  Effect.fn(function*(handlers) {
    const security = yield* SecurityTenancy
    return handlers.handleAll({
      create: ({ payload }) =>
        asProblems(Effect.flatMap(tenant, (tenant_id) => security.createKey({ ...payload, tenant_id }))),
      list: ({ query }) => asProblems(Effect.flatMap(tenant, (id) => security.listKeys(id, query))),
      revoke: ({ params }) => asProblems(Effect.flatMap(tenant, (id) => security.revokeKey(id, params.key_id)))
    })
  })
)

const pipelines = HttpApiBuilder.group(
  ControlApi,
  "pipelines",
  Effect.fn(function*(handlers) {
    const registry = yield* PipelineRegistry
    return handlers.handleAll({
      publish: ({ payload }) =>
        asProblems(Effect.flatMap(tenant, (tenant_id) => registry.publish({ ...payload, tenant_id }))),
      list: ({ query }) => asProblems(Effect.flatMap(tenant, (id) => registry.list(id, query))),
      get: ({ params }) =>
        asProblems(Effect.flatMap(tenant, (id) => registry.get(id, params.pipeline_id, params.pipeline_version))),
      getByHash: ({ params }) =>
        asProblems(Effect.flatMap(tenant, (id) => registry.getByHash(id, params.content_hash))),
      deprecate: ({ params, payload }) =>
        asProblems(
          Effect.flatMap(tenant, (id) =>
            registry.deprecate(id, params.pipeline_id, params.pipeline_version, payload.deprecation))
        )
    })
  })
)

const policies = HttpApiBuilder.group(
  ControlApi,
  "policies",
  Effect.fn(function*(handlers) {
    const { policies } = yield* PolicyEvaluation
    const admission = yield* AdmissionPolicy
    return handlers.handleAll({
      list: ({ query }) => asProblems(Effect.flatMap(tenant, (id) => policies.list(id, query))),
      get: ({ params }) => asProblems(Effect.flatMap(tenant, (id) => policies.get(id, params.policy_id))),
      put: ({ headers, params, payload }) =>
        asProblems(Effect.gen(function*() {
          return yield* policies.put(yield* tenant, params.policy_id, payload, yield* expectedOf(headers))
        })),
      remove: ({ headers, params }) =>
        asProblems(Effect.gen(function*() {
          return yield* policies.remove(yield* tenant, params.policy_id, yield* expectedOf(headers))
        })),
      getAdmission: () => asProblems(Effect.flatMap(tenant, (id) => admission.get(id))),
      putAdmission: ({ headers, payload }) =>
        asProblems(Effect.gen(function*() {
          return yield* admission.put(yield* tenant, payload, yield* expectedOf(headers))
        }))
    })
  })
)

const rollouts = HttpApiBuilder.group(
  ControlApi,
  "rollouts",
  Effect.fn(function*(handlers) {
    const { put, rollback, rollouts } = yield* Rollout
    return handlers.handleAll({
      list: ({ query }) => asProblems(Effect.flatMap(tenant, (id) => rollouts.list(id, query))),
      get: ({ params }) => asProblems(Effect.flatMap(tenant, (id) => rollouts.get(id, params.pipeline_id))),
      put: ({ headers, params, payload }) =>
        asProblems(Effect.gen(function*() {
          return yield* put(yield* tenant, params.pipeline_id, payload, yield* expectedOf(headers))
        })),
      rollback: ({ headers, params, payload }) =>
        asProblems(Effect.gen(function*() {
          return yield* rollback(yield* tenant, params.pipeline_id, payload.reason, yield* expectedOf(headers))
        }))
    })
  })
)

const leasesUnreachable = (cause: unknown) =>
  new DatabaseFailure({ message: "the leases cannot be reached", retryable: true, cause })

const sessions = HttpApiBuilder.group(
  ControlApi,
  "sessions",
  Effect.fn(function*(handlers) {
    const directory = yield* SessionDirectory
    const feed = yield* SnapshotFeed
    const leases = yield* LeaseAuthority
    const tokens = yield* ClientTokens
    return handlers.handleAll({
      create: ({ payload }) =>
        asProblems(Effect.gen(function*() {
          const session = yield* directory.create(yield* tenant, payload)
          const { caller, session_id } = session
          const livekit = yield* tokens.mint({ room: session_id, identity: caller })
          return { session, ...(livekit === undefined ? {} : { livekit }) }
        })),
      list: ({ query: { active, ...page } }) =>
        asProblems(Effect.flatMap(tenant, (id) => directory.list(id, { ...page, active: active === "true" }))),
      get: ({ params }) => asProblems(Effect.flatMap(tenant, (id) => directory.get(id, params.session_id))),
      end: ({ params }) => asProblems(Effect.flatMap(tenant, (id) => directory.end(id, params.session_id))),
      snapshots: ({ params }) =>
        asProblems(Effect.gen(function*() {
          const snapshots = yield* feed.published(yield* tenant, params.session_id).pipe(
            Effect.catchTag("SnapshotLogFailure", (cause) =>
              Effect.fail(new DatabaseFailure({ message: cause.message, retryable: true, cause })))
          )
          return {
            revision: snapshots.reduce((sum, { snapshot }) =>
              sum + snapshot.version, 0),
            snapshots
          }
        })),
      lease: ({ params: { session_id } }) =>
        asProblems(Effect.gen(function*() {
          yield* directory.get(yield* tenant, session_id)
          const lease = yield* Effect.mapError(leases.current(session_id), leasesUnreachable)
          if (lease === undefined) return yield* notFound("lease", session_id)
          const { authority_epoch, placement_id, ttl_ms } = lease
          return { session_id, placement_id, authority_epoch, ttl_ms: Math.ceil(ttl_ms) }
        })),
      revokeLease: ({ params: { session_id }, payload }) =>
        asProblems(Effect.gen(function*() {
          yield* directory.get(yield* tenant, session_id)
          yield* Effect.mapError(
            leases.revoke(session_id, payload.expected_epoch),
            (error) =>
              error._tag === "LeaseConflict"
                ? new ControlConflict({ code: "lease_conflict", message: error.message })
                : leasesUnreachable(error)
          )
        }))
    })
  })
)

const runtimes = HttpApiBuilder.group(
  ControlApi,
  "runtimes",
  Effect.fn(function*(handlers) {
    const routing = yield* RoutingView
    const health = yield* ProviderHealth
    return handlers.handleAll({
      placements: () =>
        asProblems(Effect.map(Effect.flatMap(tenant, (id) => routing.placements(id)), (items) => ({ items }))),
      announce: ({ params, payload }) =>
        asProblems(Effect.flatMap(tenant, (id) => routing.announce(id, { ...payload, ...params }))),
      report: ({ payload }) => asProblems(Effect.flatMap(tenant, (id) => health.report(id, payload.reports))),
      providerHealth: () => asProblems(Effect.flatMap(tenant, (id) => health.view(id)))
    })
  })
)

const audit = HttpApiBuilder.group(
  ControlApi,
  "audit",
  Effect.fn(function*(handlers) {
    const log = yield* AuditLog
    return handlers.handleAll({
      list: ({ query }) => asProblems(Effect.flatMap(tenant, (id) => log.list(id, query))),
      verify: () => asProblems(log.verify)
    })
  })
)

/** Every group of the API, over the modules. */
export const handlers = Layer.mergeAll(
  health,
  tenants,
  keys,
  pipelines,
  policies,
  rollouts,
  sessions,
  runtimes,
  audit
)
