import { Id, uniqueList } from "@rspp/contracts/Identity"
import { Milliseconds } from "@rspp/contracts/Time"
import { sha256 } from "@noble/hashes/sha2.js"
import { utf8ToBytes } from "@noble/hashes/utils.js"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as SqlClient from "effect/sql/SqlClient"
import type { AuditLog } from "./AuditLog.ts"
import { ControlConflict, ControlInvalid } from "./ControlError.ts"
import type { ControlNotFound, DatabaseFailure } from "./ControlError.ts"
import { PipelineRegistry } from "./PipelineRegistry.ts"
import { SessionFacets } from "./PolicyEvaluation.ts"
import { makeDocuments } from "./sql/Documents.ts"
import type { Document, DocumentError, Documents } from "./sql/Documents.ts"

/** A part of all sessions, in percent; hundredths count. */
export const Share = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 100 }))

/** From `at_ms` (Unix time) on this share gets the candidate. */
export const RolloutStep = Schema.Struct({ at_ms: Milliseconds, percent: Share })

/** What an operator writes: which version sessions of a pipeline get. */
export const RolloutPlan = Schema.Struct({
  stable_version: Id,
  candidate_version: Schema.optionalKey(Id),
  /** Share of sessions that get the candidate, until the first step of the schedule. 0 by default. */
  percent: Schema.optionalKey(Share),
  /** The latest step whose time has come decides the share. */
  schedule: Schema.optionalKey(Schema.Array(RolloutStep)),
  /** Keys (a caller, or a session where no caller is named) that get the candidate whatever the share. */
  allowlist: Schema.optionalKey(uniqueList(Id, { max: 1000 })),
  /** Sessions that have all facets of an entry get the candidate whatever the share. */
  canary: Schema.optionalKey(Schema.Array(SessionFacets))
})
export type RolloutPlan = typeof RolloutPlan.Type

/** A rollout as it is kept: the plan, and what was rolled back. */
export const RolloutState = Schema.Struct({
  ...RolloutPlan.fields,
  /** Versions that were rolled back: no session gets one any more. */
  rolled_back: Schema.Array(Schema.Struct({ pipeline_version: Id, at_ms: Milliseconds, reason: Schema.String }))
})
export type RolloutState = typeof RolloutState.Type

export type VersionReason = "stable" | "share" | "allowlist" | "canary"

/** Which version a session gets, and why. */
export interface Resolution {
  readonly pipeline_version: string
  readonly reason: VersionReason
}

/**
 * Rollout (CP-09): which published version of a pipeline a session gets.
 *
 * Guarantees:
 * - **O1** the share is by hash: of pipeline, candidate and key (10,000 equal buckets and finer). The same key gets the
 *   same version; when the share grows, whoever had the candidate keeps it.
 * - **O2** precedence: rolled back → stable; then allowlist, canary, share.
 * - **O3** a session keeps the version that it was made with ({@link versionOf}), unless that was rolled back: then its
 *   later turns, and all new sessions, get the stable one. Turns that are open end under the plan that they began with.
 * - **O4** a version in a plan is published, not deprecated, and runs under a contract version of this deployment; one
 *   that was rolled back is never a candidate again: publish another.
 * - **O5** every change is in the audit log, a rollback as `rollout.rollback` with its reason.
 */
export class Rollout extends Context.Service<Rollout, {
  readonly rollouts: Pick<Documents<RolloutState>, "get" | "find" | "list">
  readonly put: (
    tenant_id: string,
    pipeline_id: string,
    plan: unknown,
    expected?: number
  ) => Effect.Effect<Document<RolloutState>, DocumentError>
  /** Takes the candidate back, for good. Again: no change. */
  readonly rollback: (
    tenant_id: string,
    pipeline_id: string,
    reason: string,
    expected?: number
  ) => Effect.Effect<Document<RolloutState>, DocumentError>
  /** The version that a new session gets now. */
  readonly resolve: (
    tenant_id: string,
    pipeline_id: string,
    key: string,
    facets: SessionFacets
  ) => Effect.Effect<Resolution, ControlNotFound | DatabaseFailure>
}>()("rspp/Rollout") {
  static readonly layer: Layer.Layer<Rollout, never, SqlClient.SqlClient | AuditLog | PipelineRegistry> = Layer.effect(
    Rollout,
    Effect.suspend(() => make)
  )
}

/** Where a key falls, from 0 to below 100: the first 52 bits of a hash. */
export const shareOf = (pipeline_id: string, candidate: string, key: string): number => {
  const bytes = sha256(utf8ToBytes(JSON.stringify([pipeline_id, candidate, key])))
  let value = 0
  for (let i = 0; i < 6; i++) value = value * 256 + (bytes[i] ?? 0)
  return value * 100 / 2 ** 48
}

/** The share of sessions that get the candidate at `now_ms`. */
export const percentAt = ({ percent = 0, schedule = [] }: RolloutPlan, now_ms: number): number =>
  schedule.filter(({ at_ms }) => at_ms <= now_ms).reduce(
    (latest, step) => (step.at_ms >= latest.at_ms ? step : latest),
    { at_ms: -1, percent }
  ).percent

const isRolledBack = ({ rolled_back }: RolloutState, version: string): boolean =>
  rolled_back.some(({ pipeline_version }) => pipeline_version === version)

/** O1, O2: pure. */
export const resolveVersion = (
  pipeline_id: string,
  state: RolloutState,
  key: string,
  facets: SessionFacets,
  now_ms: number
): Resolution => {
  const { allowlist = [], candidate_version: candidate, canary = [], stable_version } = state
  const stable: Resolution = { pipeline_version: stable_version, reason: "stable" }
  if (candidate === undefined || isRolledBack(state, candidate)) return stable
  const gets = (reason: VersionReason): Resolution => ({ pipeline_version: candidate, reason })
  if (allowlist.includes(key)) return gets("allowlist")
  const facetNames = ["language", "region", "cost_tier"] as const
  if (
    canary.some((entry) =>
      facetNames.some((name) => entry[name] !== undefined) &&
      facetNames.every((name) => entry[name] === undefined || entry[name] === facets[name])
    )
  ) return gets("canary")
  return shareOf(pipeline_id, candidate, key) < percentAt(state, now_ms) ? gets("share") : stable
}

/** O3: the version of a session that was made with `pinned`; pure. */
export const versionOf = (state: RolloutState | undefined, pinned: string): string =>
  state !== undefined && isRolledBack(state, pinned) ? state.stable_version : pinned

const make = Effect.gen(function*() {
  const registry = yield* PipelineRegistry
  const documents = yield* makeDocuments("rspp_rollouts", "rollout", RolloutState)
  const now = Effect.map(Clock.currentTimeMillis, Math.floor)

  /** O4 */
  const judgeVersion = Effect.fnUntraced(
    function*(tenant_id: string, pipeline_id: string, version: string, path: string) {
      const invalid = (message: string) =>
        new ControlInvalid({
          code: "rollout_version",
          message,
          problems: [{ path, rule: "rollout.version", message }]
        })
      const published = yield* Effect.catchTag(
        registry.get(tenant_id, pipeline_id, version),
        "ControlNotFound",
        () => Effect.fail(invalid(`${pipeline_id}@${version} is not published; publish it first`))
      )
      if (published.deprecation !== undefined) {
        return yield* invalid(`${pipeline_id}@${version} is deprecated: ${published.deprecation}`)
      }
      yield* registry.abiOf(published)
    }
  )

  const put: Rollout["Service"]["put"] = Effect.fn("Rollout.put")(
    (tenant_id: string, pipeline_id: string, plan: unknown, expected?: number) =>
      documents.put(
        tenant_id,
        pipeline_id,
        typeof plan === "object" && plan !== null && !Array.isArray(plan) && !("rolled_back" in plan)
          ? { ...plan, rolled_back: [] }
          : plan,
        expected,
        (body, before) =>
          Effect.gen(function*() {
            const state: RolloutState = { ...body, rolled_back: before?.body.rolled_back ?? [] }
            const { candidate_version: candidate, stable_version: stable } = state
            const versions = [["stable_version", stable], ["candidate_version", candidate]] as const
            for (const [path, version] of versions) {
              if (version === undefined) continue
              // what is there already may be deprecated since; it can be left as it is
              if (before?.body[path] !== version) yield* judgeVersion(tenant_id, pipeline_id, version, path)
              if (isRolledBack(state, version) && before?.body[path] !== version) {
                return yield* new ControlConflict({
                  code: "rollout_rolled_back",
                  message: `${pipeline_id}@${version} was rolled back; publish the repaired pipeline as another version`
                })
              }
            }
            if (candidate === stable) {
              const message = "candidate_version is the stable version; leave it out"
              return yield* new ControlInvalid({
                code: "rollout_version",
                message,
                problems: [{ path: "candidate_version", rule: "rollout.version", message }]
              })
            }
            return state
          })
      )
  )

  const rollback: Rollout["Service"]["rollback"] = Effect.fn("Rollout.rollback")(
    (tenant_id: string, pipeline_id: string, reason: string, expected?: number) =>
      documents.change(tenant_id, pipeline_id, expected, "rollout.rollback", ({ body }) =>
        Effect.gen(function*() {
          const { candidate_version: candidate } = body
          if (candidate === undefined) {
            return yield* new ControlConflict({
              code: "rollout_without_candidate",
              message: `the rollout of ${pipeline_id} has no candidate to take back`
            })
          }
          if (isRolledBack(body, candidate)) return undefined
          const at_ms = yield* now
          return {
            body: {
              ...body,
              rolled_back: [...body.rolled_back, { pipeline_version: candidate, at_ms, reason }]
            },
            details: { from: candidate, to: body.stable_version, reason }
          }
        }))
  )

  return Rollout.of({
    rollouts: documents,
    put,
    rollback,
    resolve: Effect.fn("Rollout.resolve")(
      function*(tenant_id: string, pipeline_id: string, key: string, facets: SessionFacets) {
        const { body } = yield* documents.get(tenant_id, pipeline_id)
        return resolveVersion(pipeline_id, body, key, facets, yield* now)
      }
    )
  })
})
