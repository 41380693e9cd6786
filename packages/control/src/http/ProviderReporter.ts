import type { InvocationFacts } from "@rspp/contracts/Invocation"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import type { ProviderCalls } from "../CircuitBreaker.ts"
import { noCalls } from "../CircuitBreaker.ts"
import { judgedCall } from "../JudgedCall.ts"
import { addLatencies, measuredOf } from "../LatencyHistogram.ts"
import type { ProviderReport } from "../ProviderHealth.ts"
import { asked, controlClient } from "./ControlClient.ts"
import type { ControlServer } from "./ControlClient.ts"

export interface ReporterOptions {
  /** How often what was seen is reported, ms: a span of the control plane's window. */
  readonly everyMs: number
  /** How long the last report may hold up the end of the process, ms. */
  readonly lastWithinMs: number
}

export const defaultReporterOptions: ReporterOptions = { everyMs: 5000, lastWithinMs: 1000 }

/** Providers in one report, and calls of one provider in it: what the API takes. */
const most = { providers: 100, calls: 1_000_000 }

/**
 * What this runtime's calls of providers came to, reported to a control plane (`POST /v1/provider-reports`).
 *
 * Guarantees:
 * - **PR1** telling it is a synchronous count: no turn waits for it, however the server is.
 * - **PR2** it holds a count for each of at most 100 providers; further ones are not reported until the next report.
 * - **PR3** each call is reported at most once. A report that was not taken is dropped: the control plane counts calls
 *   when it hears of them, and old ones would be counted as if they were of now.
 */
export class ProviderReporter extends Context.Service<ProviderReporter, {
  /** `capMs`: the first-result cap of its provider, ms. */
  readonly saw: (invocation: InvocationFacts, capMs: number) => void
}>()("rspp/ProviderReporter") {
  static readonly layer = (
    server: ControlServer,
    options: Partial<ReporterOptions> = {}
  ): Layer.Layer<ProviderReporter, never, HttpClient.HttpClient> =>
    Layer.effect(ProviderReporter, make(server, { ...defaultReporterOptions, ...options }))
}

const make = Effect.fnUntraced(function*(server: ControlServer, { everyMs, lastWithinMs }: ReporterOptions) {
  const client = yield* controlClient(server)
  let counts = new Map<string, ProviderCalls>()
  let refused = false

  const saw: ProviderReporter["Service"]["saw"] = (invocation, capMs) => {
    const call = judgedCall(invocation, capMs)
    if (call === undefined) return
    const { provider_id } = invocation
    const known = counts.get(provider_id)
    if (known === undefined && counts.size >= most.providers) return
    const { failed, latency, slow, succeeded } = known ?? noCalls
    // more than a report takes are as many as it takes
    if (succeeded + call.succeeded > most.calls || failed + call.failed > most.calls) return
    counts.set(provider_id, {
      succeeded: succeeded + call.succeeded,
      failed: failed + call.failed,
      slow: slow + call.slow,
      latency: addLatencies(latency, call.latency)
    })
  }

  const report = Effect.suspend(() => {
    if (counts.size === 0) return Effect.void
    const reports: ReadonlyArray<ProviderReport> = [...counts].map((
      [provider_id, { failed, latency, slow, succeeded }]
    ) => ({
      provider_id,
      succeeded,
      failed,
      ...(slow === 0 ? {} : { slow }),
      ...(measuredOf(latency) === 0 ? {} : { latency })
    }))
    counts = new Map()
    return asked(server, client.runtimes.report({ payload: { reports } })).pipe(
      Effect.catch((error) => {
        // a key that may not will not be allowed the next time: said once
        if (error.reason !== "refused" || refused) return Effect.void
        refused = true
        return Effect.logWarning(`provider health is not reported: ${error.message}`)
      })
    )
  })

  yield* Effect.addFinalizer(() => Effect.ignore(Effect.timeoutOption(report, lastWithinMs)))
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(everyMs), report)))
  return ProviderReporter.of({ saw })
})
