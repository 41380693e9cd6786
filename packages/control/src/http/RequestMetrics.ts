import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import * as Metric from "effect/Metric"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"

// What an autoscaler and an alert want to know of a control plane, at `GET /metrics`. Requests are counted by their status
// only: neither tenant nor path is in a label, so that there is a bound on how many series there are, and nothing to hide.

const total = Metric.counter("rspp_http_requests_total", {
  description: "Requests that were answered, by status; 499: the client left before",
  incremental: true
})
const running = Metric.gauge("rspp_http_requests_running", { description: "Requests that are being answered now" })
const seconds = Metric.histogram("rspp_http_request_seconds", {
  description: "From the head of a request to its answer, in seconds",
  boundaries: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, Number.POSITIVE_INFINITY]
})

/** What asks all the time, and is no work. */
const uncounted = /^\/(?:healthz|readyz|metrics)(?:\?|$)/u

/** Counts a request while it runs, and its answer. */
export const measured = <E, R>(
  answer: Effect.Effect<HttpServerResponse, E, R>
): Effect.Effect<HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest> =>
  Effect.gen(function*() {
    const { url } = yield* HttpServerRequest.HttpServerRequest
    if (uncounted.test(url)) return yield* answer
    const before = yield* Clock.monotonicTimeNanos
    yield* Metric.modify(running, 1)
    return yield* Effect.onExit(answer, (exit) =>
      Effect.gen(function*() {
        yield* Metric.modify(running, -1)
        const status = Exit.isSuccess(exit) ? exit.value.status : Exit.hasInterrupts(exit) ? 499 : 500
        yield* Metric.update(Metric.withAttributes(total, { status: String(status) }), 1)
        yield* Metric.update(seconds, Number((yield* Clock.monotonicTimeNanos) - before) / 1e9)
      }))
  })

/** `GET /metrics`, in the format of Prometheus. No key is asked for. */
export const metricsRoute = PrometheusMetrics.layerHttp({ path: "/metrics" })
