import { Natural } from "@rspp/contracts/Quantity"
import { Id } from "@rspp/contracts/Identity"
import type { ProviderHealthSnapshot } from "@rspp/contracts/Snapshot"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import type { DatabaseFailure } from "./ControlError.ts"
import { failing, Long, rowsOf } from "./sql/Database.ts"

/** Calls of a report: more than any runtime makes, and few enough to be added up for ever. */
const Calls = Natural.check(Schema.isLessThanOrEqualTo(1_000_000))

/** What a runtime saw of a provider since it last reported. */
export const ProviderReport = Schema.Struct({ provider_id: Id, succeeded: Calls, failed: Calls })
export type ProviderReport = typeof ProviderReport.Type

export type CircuitState = ProviderHealthSnapshot["body"]["providers"][string]

export interface HealthOptions {
  /** How far back calls count, ms; a multiple of {@link bucketMs}. */
  readonly windowMs: number
  /** Below this many calls in the window nothing is concluded. */
  readonly minCalls: number
  /** The part of calls that failed from which on a circuit opens. */
  readonly openAt: number
  /** How long an open circuit is left alone before one call may try it, ms. */
  readonly coolDownMs: number
}

/** A minute of calls; ten of them, half failed; 20 s of rest. */
export const defaultHealthOptions: HealthOptions = {
  windowMs: 60_000,
  minCalls: 10,
  openAt: 0.5,
  coolDownMs: 20_000
}

/** Reports are added up in spans of this length: a window moves by as much. */
export const bucketMs = 5000

/** Calls of one span. */
export interface HealthBucket {
  readonly bucket_ms: number
  readonly succeeded: number
  readonly failed: number
}

/**
 * The state of a circuit from the calls of a window; pure.
 *
 * `open`: enough calls, too many failed, and one failed within the cool-down. `half_open`: too many failed, but none
 * within the cool-down: a runtime may try. `closed`: everything else. Calls that succeed close it again by their number;
 * with no more calls it closes when the failures have left the window.
 */
export const circuitOf = (
  buckets: ReadonlyArray<HealthBucket>,
  now_ms: number,
  { coolDownMs, minCalls, openAt, windowMs }: HealthOptions = defaultHealthOptions
): CircuitState => {
  const within = buckets.filter(({ bucket_ms }) => bucket_ms > now_ms - windowMs)
  const failed = within.reduce((sum, bucket) => sum + bucket.failed, 0)
  const calls = failed + within.reduce((sum, bucket) => sum + bucket.succeeded, 0)
  if (calls < minCalls || failed < calls * openAt) return "closed"
  const lastFailure = Math.max(...within.filter((bucket) => bucket.failed > 0).map(({ bucket_ms }) => bucket_ms))
  return now_ms - lastFailure < coolDownMs + bucketMs ? "open" : "half_open"
}

/**
 * Provider health (CP-10): what the runtimes of a tenant report of providers, added up over a rolling window.
 *
 * Guarantees: reports of all runtimes count together, each once; a tenant's reports say nothing to another tenant; time
 * is that of the control plane. Reports are facts, not configuration: they are not in the audit log.
 */
export class ProviderHealth extends Context.Service<ProviderHealth, {
  readonly report: (tenant_id: string, reports: ReadonlyArray<ProviderReport>) => Effect.Effect<void, DatabaseFailure>
  /** The circuit of each of `providers`, and of every other one that was reported: the body of the snapshot. */
  readonly states: (
    tenant_id: string,
    providers: ReadonlyArray<string>
  ) => Effect.Effect<ProviderHealthSnapshot["body"], DatabaseFailure>
}>()("rspp/ProviderHealth") {
  static readonly layer = (
    options: HealthOptions = defaultHealthOptions
  ): Layer.Layer<ProviderHealth, never, SqlClient.SqlClient> =>
    Layer.effect(ProviderHealth, Effect.suspend(() => make(options)))
}

const Row = Schema.Struct({ provider_id: Schema.String, bucket_ms: Long, succeeded: Long, failed: Long })

const make = Effect.fnUntraced(function*(options: HealthOptions) {
  const sql = yield* SqlClient.SqlClient
  const rows = rowsOf("rspp_provider_health", Row)
  const now = Effect.map(Clock.currentTimeMillis, Math.floor)

  const report = Effect.fn("ProviderHealth.report")(
    function*(tenant_id: string, reports: ReadonlyArray<ProviderReport>) {
      const now_ms = yield* now
      const bucket_ms = now_ms - now_ms % bucketMs
      yield* sql.withTransaction(Effect.gen(function*() {
        // in the order of their ids, so that two reports never wait for each other
        for (
          const { failed, provider_id, succeeded } of [...reports].sort((a, b) =>
            a.provider_id < b.provider_id ? -1 : 1
          )
        ) {
          yield* sql`INSERT INTO rspp_provider_health ${
            sql.insert({ tenant_id, provider_id, bucket_ms, succeeded, failed })
          } ON CONFLICT (tenant_id, provider_id, bucket_ms) DO UPDATE SET
            succeeded = rspp_provider_health.succeeded + excluded.succeeded,
            failed = rspp_provider_health.failed + excluded.failed`
        }
        yield* sql`DELETE FROM rspp_provider_health
          WHERE tenant_id = ${tenant_id} AND bucket_ms <= ${now_ms - options.windowMs - bucketMs}`
      })).pipe(failing)
    }
  )

  const states = Effect.fn("ProviderHealth.states")(
    function*(tenant_id: string, providers: ReadonlyArray<string>) {
      const now_ms = yield* now
      const found = yield* rows(sql`SELECT provider_id, bucket_ms, succeeded, failed FROM rspp_provider_health
        WHERE tenant_id = ${tenant_id} AND bucket_ms > ${now_ms - options.windowMs}`)
      const names = [...new Set([...providers, ...found.map(({ provider_id }) => provider_id)])].sort()
      return {
        providers: Object.fromEntries(
          names.map((name) => [
            name,
            circuitOf(found.filter(({ provider_id }) => provider_id === name), now_ms, options)
          ])
        )
      }
    }
  )

  return ProviderHealth.of({ report, states })
})
