import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import { measureLoopDelay } from "./LoopDelay.ts"
import { meterOf } from "./Meter.ts"

// Effect takes an attribute `unit` for the unit of the metric and does not show it. Ours is a label (what a provider's use
// is counted in), so it goes through under another name. A value cannot hold what is replaced: its quotes are escaped.
const throughAs = "rspp_label_unit"

const shown = (registry: Metric.MetricRegistry): Metric.MetricRegistry =>
  new Map([...registry].map(([key, metadata]) => {
    const { unit, ...others } = metadata.attributes ?? {}
    return [key, unit === undefined ? metadata : { ...metadata, attributes: { ...others, [throughAs]: unit } }]
  }))

/** All metrics of the process, in the text format of Prometheus. Gauges over queues are read now. */
export const prometheusText = (context: Context.Context<never>): string =>
  PrometheusMetrics.formatUnsafe(
    Context.add(context, Metric.MetricRegistry, shown(Context.get(context, Metric.MetricRegistry)))
  ).replaceAll(`${throughAs}="`, "unit=\"")

/** `GET /metrics`: the catalogue, and whatever else the program measures. No key is asked for. */
export const metricsRoute = Layer.effectDiscard(Effect.gen(function*() {
  const router = yield* HttpRouter.HttpRouter
  yield* measureLoopDelay(meterOf(yield* Effect.context<never>()))
  yield* router.add(
    "GET",
    "/metrics",
    Effect.map(Effect.context<never>(), (context) =>
      HttpServerResponse.text(prometheusText(context), {
        contentType: "text/plain; version=0.0.4; charset=utf-8"
      }))
  )
}))
