import { metricsRoute } from "@rspp/timeline/telemetry/PrometheusText"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import { Context, Effect, Layer } from "effect"
import { createServer } from "node:http"
import { listenAddress, listening } from "./ListenAddress.ts"
import { Screen } from "./Screen.ts"

/** Answers `GET /metrics` at the address of `--metrics`, for as long as the scope; without one nothing is opened. */
export const metricsAt = Effect.fnUntraced(function*(flag: string | undefined) {
  if (flag === undefined) return
  const address = yield* listenAddress(flag, "--metrics")
  const http = createServer()
  const served = HttpRouter.serve(metricsRoute, { disableLogger: true, disableListenLog: true })
  const server = Context.get(
    yield* Layer.build(Layer.provideMerge(served, listening(http, address))),
    HttpServer.HttpServer
  )
  // Whoever keeps a connection open does not keep the program.
  yield* Effect.addFinalizer(() => Effect.sync(() => http.closeAllConnections()))
  const screen = yield* Screen
  screen.note(`metrics at ${HttpServer.formatAddress(server.address)}/metrics`)
})
