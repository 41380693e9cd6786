import { SessionObservers } from "@rspp/runtime/session/SessionObserver"
import { afterSteps } from "@rspp/timeline/telemetry/AfterSteps"
import { SessionLog } from "@rspp/timeline/telemetry/SessionLog"
import { SessionMetrics } from "@rspp/timeline/telemetry/SessionMetrics"
import { SessionTracer } from "@rspp/timeline/telemetry/SessionTracer"
import * as Telemetry from "@rspp/timeline/telemetry/Telemetry"
import { ConfigProvider, Effect, Exit, Layer, Logger, Metric, Scope } from "effect"
import { otlpReceiver } from "../../telemetry/OtlpReceiver.ts"
import type { Figure, Measure } from "../Figure.ts"
import { percentile } from "../Figure.ts"
import { OneSession } from "../OneSession.ts"

const pairs = 5
const turns = 400
const cuts = 200
const warmUp = 100

const median = (values: ArrayLike<number>): number => percentile(values, 0.5)

/** Traces, metrics and logs of a session, to a collector that takes connections and never answers. */
const hung = (url: string) => <A, E>(session: Effect.Effect<A, E>): Effect.Effect<A, unknown> =>
  Effect.gen(function*() {
    const telemetry = afterSteps([
      (yield* SessionTracer).observer(),
      (yield* SessionMetrics).observer(),
      (yield* SessionLog).observer()
    ])
    return yield* Effect.provideService(session, SessionObservers, [telemetry])
  }).pipe(
    Effect.provide(
      Layer.mergeAll(SessionTracer.layer, SessionMetrics.layer, SessionLog.layer).pipe(
        Layer.provideMerge(Telemetry.layer()),
        Layer.provide([
          ConfigProvider.layer(ConfigProvider.fromEnv({
            env: {
              OTEL_EXPORTER_OTLP_ENDPOINT: url,
              OTEL_EXPORTER_OTLP_TIMEOUT: "1000",
              // Often, so that exports fall into what is measured.
              OTEL_BSP_SCHEDULE_DELAY: "200",
              OTEL_METRIC_EXPORT_INTERVAL: "200",
              OTEL_BLRP_SCHEDULE_DELAY: "200"
            }
          })),
          Logger.layer([]),
          Layer.succeed(Metric.MetricRegistry, new Map())
        ])
      ),
      { local: true }
    )
  )

const noTelemetry = <A, E>(session: Effect.Effect<A, E>): Effect.Effect<A, unknown> => session

/** From a typed message to the first frame at the transport, the median of many turns, ms. */
const turnLatency = async (count: number, around: typeof noTelemetry) => {
  const session = await OneSession.open({ output: "instant", voiceMs: 100 }, around)
  const samples = new Float64Array(count)
  for (let turn = 0; turn < count; turn++) {
    await session.closes(() => {
      const started = performance.now()
      session.line.onFrame = () => {
        session.line.onFrame = () => {}
        samples[turn] = performance.now() - started
      }
      session.type()
    })
  }
  await session.end()
  return median(samples)
}

/** From a message that supersedes the turn that speaks to the transport's queue cleared, the median of many, ms. */
const cancelLatency = async (count: number, around: typeof noTelemetry) => {
  const session = await OneSession.open({ output: "paced", voiceMs: 1000 }, around)
  const { line } = session
  const speaks = (begin: () => void) =>
    new Promise<void>((resolve) => {
      let frames = 0
      line.onFrame = () => {
        if (++frames < 3) return
        line.onFrame = () => {}
        setImmediate(resolve)
      }
      begin()
    })
  const samples = new Float64Array(count)
  await speaks(() => session.type())
  for (let i = 0; i < count; i++) {
    await speaks(() => {
      const accepted = performance.now()
      line.onClear = () => {
        samples[i] = performance.now() - accepted
        line.onClear = () => {}
      }
      session.type()
    })
  }
  await session.end()
  return median(samples)
}

/** The middle of the pairs by their ratio: both of its figures are of the same minute. */
const middlePair = (found: ReadonlyArray<readonly [without: number, withIt: number]>) =>
  found.toSorted(([a, b], [c, d]) => b / a - d / c)[Math.floor(found.length / 2)] ?? [Number.NaN, Number.NaN] as const

const figureOf = (name: string, found: ReadonlyArray<readonly [number, number]>): Figure => {
  const [without, withIt] = middlePair(found)
  return {
    name,
    value: withIt,
    unit: "ms",
    bare: without,
    against: "the same without telemetry, in the same pair",
    bound: { atMost: Math.max(1.1 * without, without + 0.2) },
    note: `ratios of the pairs: ${
      found.map(([before, after]) => (after / before).toFixed(2)).toSorted().join(" ")
    }; kept within 1.1 × or 0.2 ms`
  }
}

const measure: Measure = {
  about:
    "A live session with instant providers: without telemetry, and with traces, metrics and logs to an OTLP collector that takes connections and never answers. Five interleaved pairs, the median of each run; the pair in the middle is shown.",
  run: async (tell) => {
    const scope = Scope.makeUnsafe()
    const { connections, url } = await Effect.runPromise(
      otlpReceiver("hangs").pipe(Effect.provideService(Scope.Scope, scope))
    )
    const withIt = hung(url)
    for (const around of [noTelemetry, withIt]) {
      await turnLatency(warmUp, around)
      await cancelLatency(warmUp / 2, around)
    }
    const turnsFound: Array<readonly [number, number]> = []
    const cutsFound: Array<readonly [number, number]> = []
    for (let pair = 1; pair <= pairs; pair++) {
      tell(`pair ${pair} of ${pairs}`)
      turnsFound.push([await turnLatency(turns, noTelemetry), await turnLatency(turns, withIt)])
      cutsFound.push([await cancelLatency(cuts, noTelemetry), await cancelLatency(cuts, withIt)])
    }
    if (connections() === 0) throw new Error("nothing was sent to the collector: no figure")
    await Effect.runPromise(Scope.close(scope, Exit.void))
    return [
      figureOf("turn: message → first frame, collector hung", turnsFound),
      figureOf("cancel: at the door → fence up, collector hung", cutsFound)
    ]
  }
}
export default measure
