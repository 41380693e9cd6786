import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpApiScalar from "effect/http-api/HttpApiScalar"
import * as Layer from "effect/Layer"
import { IdempotencyStore } from "../IdempotencyStore.ts"
import { ControlApi } from "./ControlApi.ts"
import { guardLayer } from "./GuardLayer.ts"
import { handlers } from "./Handlers.ts"
import { measured, metricsRoute } from "./RequestMetrics.ts"

const titles: Readonly<Record<number, string>> = {
  404: "Not found",
  413: "Too large",
  415: "Not JSON",
  500: "Internal fault"
}

/** A problem for what no endpoint answered. */
const problem = (status: number, detail?: string): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.jsonUnsafe(
    {
      type: "about:blank",
      status,
      title: titles[status] ?? "Refused",
      code: `http_${status}`,
      ...(detail === undefined ? {} : { detail })
    },
    { status, contentType: "application/problem+json" }
  )

/** A problem that says when to come again says so in the header too, in whole seconds. */
const withRetryAfter = (response: HttpServerResponse.HttpServerResponse): HttpServerResponse.HttpServerResponse => {
  if (response.status !== 429 || response.body._tag !== "Uint8Array") return response
  const { retry_after_ms } = JSON.parse(new TextDecoder().decode(response.body.body)) as { retry_after_ms?: unknown }
  return typeof retry_after_ms === "number"
    ? HttpServerResponse.setHeader(response, "retry-after", String(Math.ceil(retry_after_ms / 1000)))
    : response
}

/** Whatever is refused without a problem's body gets one; a defect is logged and answered without its cause. */
const everyErrorIsAProblem = HttpRouter.middleware(
  (httpEffect) =>
    measured(httpEffect.pipe(
      Effect.catchDefect((defect) => Effect.as(Effect.logError("a request ended in a fault", defect), problem(500))),
      Effect.map((response) =>
        response.status < 400 || (response.headers["content-type"] ?? "").startsWith("application/problem+json")
          ? withRetryAfter(response)
          : problem(response.status)
      )
    )),
  { global: true }
)

const nowhere = HttpRouter.add(
  "*",
  "/*",
  problem(404, "there is no such endpoint; GET /openapi.json lists them, GET /docs shows them")
)

/** All routes of the control plane: the API, `GET /openapi.json`, the page `GET /docs`, and `GET /metrics`. */
export const controlRoutes = Layer.mergeAll(
  HttpApiBuilder.layer(ControlApi, { openapiPath: "/openapi.json" }).pipe(
    Layer.provide(handlers),
    Layer.provide(guardLayer),
    Layer.provide(IdempotencyStore.layer),
    Layer.provide(HttpApiMiddleware.layerProblemDetails({ includeDetails: true }))
  ),
  HttpApiScalar.layer(ControlApi, { path: "/docs" }),
  metricsRoute,
  nowhere
).pipe(Layer.provide(everyErrorIsAProblem))
