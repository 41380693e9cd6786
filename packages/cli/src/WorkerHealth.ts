import { metricsRoute } from "@rspp/timeline/telemetry/PrometheusText"
import type { WorkerState } from "@rspp/transports/livekit/worker/Worker"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { Effect, Layer } from "effect"

const notReady = (code: "draining" | "not_registered", detail: string) =>
  HttpServerResponse.jsonUnsafe(
    { type: "about:blank", status: 503, title: "Not ready", code, detail },
    { status: 503, contentType: "application/problem+json" }
  )

const readiness = ({ draining, load, registered, reserved, running }: WorkerState) => {
  if (draining) return notReady("draining", "no new jobs are taken")
  return registered
    ? HttpServerResponse.jsonUnsafe({ status: "ready", running, reserved, load })
    : notReady("not_registered", "the LiveKit server cannot be reached")
}

/**
 * What is asked about a worker: `GET /healthz` (the process lives), `GET /readyz` (200 only while the LiveKit server has it
 * and it takes jobs; full is ready), `GET /metrics` in the format of Prometheus.
 */
export const workerHealth = (state: () => WorkerState) =>
  Layer.mergeAll(
    HttpRouter.add("GET", "/healthz", HttpServerResponse.jsonUnsafe({ status: "ok" })),
    HttpRouter.add("GET", "/readyz", Effect.sync(() => readiness(state()))),
    metricsRoute
  )
