import { Natural } from "@rspp/contracts/Quantity"
import { Id } from "@rspp/contracts/Identity"
import type { ProviderHealthSnapshot } from "@rspp/contracts/Snapshot"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import type { Breaker, Circuit, HealthBucket, HealthOptions } from "./CircuitBreaker.ts"
import { asked, defaultHealthOptions, heard, isLeft, newBreaker, stateOf, windowOf } from "./CircuitBreaker.ts"
import type { DatabaseFailure } from "./ControlError.ts"
import { latencySpans, quantileMs } from "./LatencyHistogram.ts"
import type { AskingSession } from "./ProviderWindows.ts"
import { boundProviders } from "./ProviderWindows.ts"
import { failing, JsonText, Long, rowsOf } from "./sql/Database.ts"

/** Calls of a report: more than any runtime makes, and few enough to be added up for ever. */
const Calls = Natural.check(Schema.isLessThanOrEqualTo(1_000_000))

/** What a runtime saw of a provider since it last reported. */
export const ProviderReport = Schema.Struct({
  provider_id: Id,
  succeeded: Calls,
  /** Timeouts included. */
  failed: Calls,
  /** Of those that succeeded, how many took more than three quarters of the provider's first-result cap. */
  slow: Schema.optionalKey(Calls),
  /** First-result latencies of those that succeeded: a count for each span of `latencyBoundsMs`, and one for what is beyond. */
  latency: Schema.optionalKey(
    Schema.Array(Calls).check(Schema.isMinLength(latencySpans), Schema.isMaxLength(latencySpans))
  )
})
export type ProviderReport = typeof ProviderReport.Type

const State = Schema.Literals(["closed", "half_open", "open"])

/** What was heard of a provider within the last window. */
export const ProviderWindow = Schema.Struct({
  succeeded: Natural,
  failed: Natural,
  slow: Natural,
  /** The part of the calls that failed, 0 to 1. */
  error_rate: Schema.Finite,
  /** First-result latencies of the calls that succeeded, ms; absent where none was measured. */
  first_result_ms: Schema.optionalKey(Schema.Struct({ p50: Natural, p95: Natural })),
  /** Why the circuit is open, or half-open. */
  because: Schema.optionalKey(Schema.Literals(["failures", "slow"])),
  /** The session that may try the half-open circuit, or was the last that might. */
  trial: Schema.optionalKey(Id)
})
export type ProviderWindow = typeof ProviderWindow.Type

/** The health of a tenant's providers, for people. */
export const ProviderHealthView = Schema.Struct({
  providers: Schema.Record(Schema.String, State),
  windows: Schema.Record(Schema.String, ProviderWindow)
})
export type ProviderHealthView = typeof ProviderHealthView.Type

/**
 * Provider health (CP-10): what the runtimes of a tenant report of providers, added up over a rolling window, and the
 * circuits that follow from it by the rules of `CircuitBreaker.ts` (B1 to B5).
 *
 * Guarantees: reports of all runtimes count together, each once, one after the other; a tenant's reports say nothing to
 * another tenant; of a half-open circuit one session is told at a time, also by several control planes on one database.
 * Time is that of the control plane that hears or is asked. Reports are facts, not configuration: they are not in the audit
 * log. A circuit that nothing was heard of for a day is closed. A report that comes while the circuit is open, of calls that
 * were begun before, is not told apart from others.
 */
export class ProviderHealth extends Context.Service<ProviderHealth, {
  readonly report: (tenant_id: string, reports: ReadonlyArray<ProviderReport>) => Effect.Effect<void, DatabaseFailure>
  /** The circuits of the providers that a session binds: the body of its snapshot. Asking may give it a trial (B4). */
  readonly statesFor: (
    tenant_id: string,
    session: AskingSession
  ) => Effect.Effect<ProviderHealthSnapshot["body"], DatabaseFailure>
  /** Every provider that was heard of. Changes nothing. */
  readonly view: (tenant_id: string) => Effect.Effect<ProviderHealthView, DatabaseFailure>
}>()("rspp/ProviderHealth") {
  static readonly layer = (
    options: HealthOptions = defaultHealthOptions
  ): Layer.Layer<ProviderHealth, never, SqlClient.SqlClient> =>
    Layer.effect(ProviderHealth, Effect.suspend(() => make(options)))
}

/** A circuit that nothing was heard of for so long is forgotten, ms: a day. */
const forgottenMs = 86_400_000

const BucketRow = Schema.Struct({
  provider_id: Schema.String,
  bucket_ms: Long,
  succeeded: Long,
  failed: Long,
  slow: Long,
  latency: JsonText(Schema.Array(Schema.Int))
})
const StoredCircuit = Schema.Union([
  Schema.Struct({ state: Schema.Literal("closed") }),
  Schema.Struct({
    state: Schema.Literal("open"),
    because: Schema.Literals(["failures", "slow"]),
    since_ms: Schema.Int,
    trial: Schema.optionalKey(Schema.Struct({ session_id: Schema.String, until_ms: Schema.Int }))
  })
])
const CircuitRow = Schema.Struct({ provider_id: Schema.String, heard_ms: Long, circuit: JsonText(StoredCircuit) })

const viewOf = ({ buckets, circuit }: Breaker, now_ms: number, options: HealthOptions): ProviderWindow => {
  const { failed, latency, slow, succeeded } = windowOf(buckets, now_ms, options)
  const [p50, p95] = [quantileMs(latency, 0.5), quantileMs(latency, 0.95)]
  return {
    succeeded,
    failed,
    slow,
    error_rate: failed === 0 ? 0 : Math.round(failed / (failed + succeeded) * 1000) / 1000,
    ...(p50 === undefined || p95 === undefined ? {} : { first_result_ms: { p50, p95 } }),
    ...(circuit.state === "closed" ? {} : { because: circuit.because }),
    ...(circuit.state === "closed" || circuit.trial === undefined ? {} : { trial: circuit.trial.session_id })
  }
}

const make = Effect.fnUntraced(function*(options: HealthOptions) {
  const sql = yield* SqlClient.SqlClient
  const bucketRows = rowsOf("rspp_provider_health", BucketRow)
  const circuitRows = rowsOf("rspp_provider_circuits", CircuitRow)
  const now = Effect.map(Clock.currentTimeMillis, Math.floor)
  const closed: Circuit = { state: "closed" }

  /** The breakers of a tenant, all or one; a circuit that was forgotten is closed. */
  const read = Effect.fnUntraced(function*(tenant_id: string, now_ms: number, provider_id?: string) {
    const which = provider_id === undefined ? sql`1 = 1` : sql`provider_id = ${provider_id}`
    const circuits = yield* circuitRows(sql`SELECT provider_id, heard_ms, circuit FROM rspp_provider_circuits
      WHERE tenant_id = ${tenant_id} AND ${which}`)
    const buckets = yield* bucketRows(
      sql`SELECT provider_id, bucket_ms, succeeded, failed, slow, latency FROM rspp_provider_health
        WHERE tenant_id = ${tenant_id} AND bucket_ms > ${now_ms - options.windowMs} AND ${which} ORDER BY bucket_ms`
    )
    const found = new Map<string, { readonly circuit: Circuit; readonly buckets: Array<HealthBucket> }>()
    for (const { circuit, heard_ms, provider_id } of circuits) {
      found.set(provider_id, { circuit: heard_ms > now_ms - forgottenMs ? circuit : closed, buckets: [] })
    }
    for (const { provider_id, ...bucket } of buckets) {
      const known = found.get(provider_id) ?? { circuit: closed, buckets: [] }
      known.buckets.push(bucket)
      found.set(provider_id, known)
    }
    return found
  })

  /** One after the other, whoever else hears of this provider: the row is held until the transaction is over. */
  const hold = (tenant_id: string, provider_id: string, now_ms: number) =>
    sql`INSERT INTO rspp_provider_circuits ${
      sql.insert({ tenant_id, provider_id, heard_ms: now_ms, circuit: JSON.stringify(closed) })
    } ON CONFLICT (tenant_id, provider_id) DO UPDATE SET heard_ms = rspp_provider_circuits.heard_ms`

  const write = (tenant_id: string, provider_id: string, circuit: Circuit, heard_ms: number) =>
    sql`UPDATE rspp_provider_circuits SET circuit = ${JSON.stringify(circuit)}, heard_ms = ${heard_ms}
      WHERE tenant_id = ${tenant_id} AND provider_id = ${provider_id}`

  const hear = Effect.fnUntraced(function*(tenant_id: string, report: ProviderReport, now_ms: number) {
    const { failed, latency = [], provider_id, slow = 0, succeeded } = report
    if (failed + succeeded === 0) return
    yield* hold(tenant_id, provider_id, now_ms)
    const before = (yield* read(tenant_id, now_ms, provider_id)).get(provider_id) ?? newBreaker
    const after = heard(before, { failed, latency, slow: Math.min(slow, succeeded), succeeded }, now_ms, options)
    if (before.circuit.state === "open" && after.circuit.state === "closed") {
      // its window begins anew (B3)
      yield* sql`DELETE FROM rspp_provider_health WHERE tenant_id = ${tenant_id} AND provider_id = ${provider_id}`
    }
    const bucket = after.buckets.at(-1)
    if (bucket !== undefined) {
      const counts = {
        succeeded: bucket.succeeded,
        failed: bucket.failed,
        slow: bucket.slow,
        latency: JSON.stringify(bucket.latency)
      }
      yield* sql`INSERT INTO rspp_provider_health ${
        sql.insert({ tenant_id, provider_id, bucket_ms: bucket.bucket_ms, ...counts })
      } ON CONFLICT (tenant_id, provider_id, bucket_ms) DO UPDATE SET succeeded = excluded.succeeded,
        failed = excluded.failed, slow = excluded.slow, latency = excluded.latency`
    }
    yield* write(tenant_id, provider_id, after.circuit, now_ms)
  })

  const report = Effect.fn("ProviderHealth.report")(
    function*(tenant_id: string, reports: ReadonlyArray<ProviderReport>) {
      const now_ms = yield* now
      yield* sql.withTransaction(Effect.gen(function*() {
        // in the order of their ids, so that two reports never wait for each other
        for (const one of [...reports].sort((a, b) => a.provider_id < b.provider_id ? -1 : 1)) {
          yield* hear(tenant_id, one, now_ms)
        }
        yield* sql`DELETE FROM rspp_provider_health
          WHERE tenant_id = ${tenant_id} AND bucket_ms <= ${now_ms - options.windowMs}`
        // what is closed and silent says nothing any more
        yield* sql`DELETE FROM rspp_provider_circuits WHERE tenant_id = ${tenant_id} AND (heard_ms <= ${
          now_ms - forgottenMs
        } OR (heard_ms <= ${now_ms - options.windowMs} AND circuit = ${JSON.stringify(closed)}))`
      })).pipe(failing)
    }
  )

  /** Gives a trial, if it is still to be had: two control planes may have seen that it is. */
  const tried = (tenant_id: string, provider_id: string, session_id: string, now_ms: number) =>
    sql.withTransaction(Effect.gen(function*() {
      yield* hold(tenant_id, provider_id, now_ms)
      const [row] = yield* circuitRows(sql`SELECT provider_id, heard_ms, circuit FROM rspp_provider_circuits
        WHERE tenant_id = ${tenant_id} AND provider_id = ${provider_id}`)
      const before = row === undefined || row.heard_ms <= now_ms - forgottenMs ? closed : row.circuit
      const { circuit, state } = asked(before, session_id, now_ms, options)
      if (circuit !== before && row !== undefined) yield* write(tenant_id, provider_id, circuit, row.heard_ms)
      return state
    })).pipe(failing)

  const statesFor = Effect.fn("ProviderHealth.statesFor")(
    function*(tenant_id: string, { bindings, session_id }: AskingSession) {
      const now_ms = yield* now
      const circuits = new Map(
        (yield* circuitRows(sql`SELECT provider_id, heard_ms, circuit FROM rspp_provider_circuits
          WHERE tenant_id = ${tenant_id} AND heard_ms > ${now_ms - forgottenMs}`)).map((
          { circuit, provider_id }
        ) => [provider_id, circuit])
      )
      const providers: Record<string, ProviderHealthSnapshot["body"]["providers"][string]> = {}
      for (const { provider_id, replaceable } of boundProviders(bindings)) {
        const circuit = circuits.get(provider_id) ?? closed
        if (!isLeft(circuit, replaceable)) {
          providers[provider_id] = "closed"
          continue
        }
        const answer = asked(circuit, session_id, now_ms, options)
        providers[provider_id] = answer.circuit === circuit
          ? answer.state
          : yield* tried(tenant_id, provider_id, session_id, now_ms)
      }
      return { providers }
    }
  )

  const view = Effect.fn("ProviderHealth.view")(function*(tenant_id: string) {
    const now_ms = yield* now
    const found = [...yield* read(tenant_id, now_ms)]
      // one whose calls have all left the window, and that is well, is nothing to show
      .filter(([, { buckets, circuit }]) => buckets.length > 0 || circuit.state === "open")
      .sort(([a], [b]) => a < b ? -1 : 1)
    return {
      providers: Object.fromEntries(found.map(([id, { circuit }]) => [id, stateOf(circuit, now_ms, options)])),
      windows: Object.fromEntries(found.map(([id, breaker]) => [id, viewOf(breaker, now_ms, options)]))
    }
  })

  return ProviderHealth.of({ report, statesFor, view })
})
