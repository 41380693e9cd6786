import { ClientTokens } from "@rspp/control/ClientTokens"
import { controlRoutes } from "@rspp/control/http/ControlRoutes"
import { minSnapshotTtlMs } from "@rspp/control/ControlPlane"
import { defaultFeedOptions, SnapshotFeed } from "@rspp/control/SnapshotFeed"
import { Draining } from "@rspp/control/http/Draining"
import { layerRequestRate, maxPerSecond } from "@rspp/control/http/RequestRate"
import { SecurityTenancy } from "@rspp/control/SecurityTenancy"
import { ByteSize, Effect, Layer, Redacted } from "effect"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import { createServer } from "node:http"
import { CleanStop } from "../CleanStop.ts"
import { CliFailure } from "../CliFailure.ts"
import { controlOver, databaseName } from "../ControlDatabase.ts"
import { parseLeases } from "../LeaseDatabase.ts"
import { listenAddress, listening } from "../ListenAddress.ts"
import { knownProviders } from "../PipelineFile.ts"
import { withTelemetry } from "../ProgramTelemetry.ts"
import { withProviders } from "../ProviderCatalog.ts"
import { Screen } from "../Screen.ts"
import { makeServerDrain } from "../ServerDrain.ts"

export interface ControlPlaneFlags {
  readonly database: string
  readonly listen: string
  readonly livekit: string | undefined
  readonly agent: string | undefined
  readonly snapshotTtl: number | undefined
  readonly rate: number
  readonly burst: number | undefined
  readonly runtimeRate: number
  readonly drainNotice: number
  readonly drainWithin: number
  readonly json: boolean
}

/** Longest request: a large spec has 20 KB, and the reader of specs takes 1 MiB. */
const maxRequestBytes = 2_097_152

const rateOf = ({ burst, rate, runtimeRate }: ControlPlaneFlags) => {
  if (rate === 0 && burst === undefined) return Effect.succeed(Layer.empty)
  const perBurst = burst ?? Math.max(1, Math.ceil(2 * rate))
  const isRate = (perSecond: number) => perSecond > 0 && perSecond <= maxPerSecond
  return isRate(rate) && isRate(runtimeRate) && perBurst >= 1
    ? Effect.succeed(layerRequestRate(
      { perSecond: rate, burst: perBurst },
      { perSecond: runtimeRate, burst: Math.max(perBurst, Math.ceil(2 * runtimeRate)) }
    ))
    : Effect.fail(usage(
      `--rate ${rate}${burst === undefined ? "" : ` with --burst ${burst}`}, --runtime-rate ${runtimeRate} is no limit`,
      `Give rates of more than 0 and at most ${maxPerSecond} and a burst of at least 1; --rate 0 alone for no limit.`
    ))
}

/** Longest time of either part of a drain, ms: an hour. */
const maxDrainMs = 3_600_000

const usage = (message: string, hint: string) => new CliFailure({ exit: "usage", message, hint })

const tokens = (url: string | undefined, agent: string | undefined) => {
  if (url === undefined) return Effect.succeed(ClientTokens.layerNoop)
  const { LIVEKIT_API_KEY: apiKey = "", LIVEKIT_API_SECRET: secret = "" } = process.env
  if (!/^wss?:\/\//u.test(url)) {
    return Effect.fail(usage(`--livekit ${url} is no address of a LiveKit server`, "It begins with ws:// or wss://."))
  }
  return apiKey === "" || secret === ""
    ? Effect.fail(
      usage(
        "--livekit needs the key pair of the LiveKit server",
        "Set LIVEKIT_API_KEY and LIVEKIT_API_SECRET in the environment."
      )
    )
    : Effect.succeed(ClientTokens.layer({
      url,
      apiKey,
      apiSecret: Redacted.make(secret),
      ...(agent === undefined ? {} : { agentName: agent })
    }))
}

const serve = Effect.fn("rspp.control-plane")(function*(flags: ControlPlaneFlags) {
  const screen = yield* Screen
  const address = yield* listenAddress(flags.listen)
  const database = yield* parseLeases(flags.database)
  const { snapshotTtl = defaultFeedOptions.snapshotTtlMs } = flags
  if (snapshotTtl < minSnapshotTtlMs) {
    return yield* usage(
      `snapshots that last ${snapshotTtl} ms are not allowed`,
      `--snapshot-ttl is at least ${minSnapshotTtlMs} ms.`
    )
  }
  const livekit = yield* tokens(flags.livekit, flags.agent)
  const rate = yield* rateOf(flags)
  const cleanStop = yield* CleanStop
  for (const [flag, ms] of [["--drain-notice", flags.drainNotice], ["--drain-within", flags.drainWithin]] as const) {
    if (ms < 0 || ms > maxDrainMs) {
      return yield* usage(`${flag} ${ms} is no time to drain in`, `Give milliseconds from 0 to ${maxDrainMs}.`)
    }
  }
  const known = yield* withProviders(undefined, knownProviders)
  const http = createServer()
  const server = makeServerDrain(http, { noticeMs: flags.drainNotice, withinMs: flags.drainWithin })

  const announce = Effect.gen(function*() {
    const { address } = yield* HttpServer.HttpServer
    const key = yield* (yield* SecurityTenancy).bootstrap
    const at = HttpServer.formatAddress(address)
    if (flags.json) {
      screen.raw(`${JSON.stringify({ url: at, ...(key === undefined ? {} : { platform_key: key.text }) })}\n`)
      return
    }
    if (key !== undefined) {
      // as it is: lines have what looks like a secret taken out
      screen.raw(`platform key, shown this once: ${key.text}\n`)
    }
    screen.line(`control plane at ${at} over ${databaseName(database)}; the API is shown at ${at}/docs`)
  })

  const app = HttpRouter.serve(controlRoutes, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.merge(Layer.effectDiscard(announce)),
    Layer.merge(Layer.effectDiscard(Effect.flatMap(SnapshotFeed, (feed) => Effect.forkScoped(feed.run)))),
    Layer.provide(listening(http, address)),
    Layer.provide(Layer.succeed(Draining, server.draining)),
    Layer.provide(controlOver(database, { providers: known, snapshotTtlMs: snapshotTtl })),
    Layer.provide(livekit),
    Layer.provide(rate),
    Layer.provide(Layer.succeed(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(maxRequestBytes)))
  )
  const drained = Effect.gen(function*() {
    screen.note("stopping: running requests are finished")
    const cut = yield* server.drain
    if (cut === 0) cleanStop.done()
    else screen.note(`requests that had not ended and were cut off: ${cut}`)
  })
  return yield* Layer.build(app).pipe(
    Effect.andThen(Effect.onInterrupt(Effect.never, () => drained)),
    Effect.scoped
  )
})

/**
 * `rspp control-plane`: serves the HTTP API over a database, and publishes the snapshots of its sessions there, until it is
 * stopped. The platform key of a new database is shown once, on standard output.
 *
 * Stopped by SIGTERM or SIGINT it drains: it says that it is not ready, then takes no new connection, lets running requests
 * end, and ends with 0; with 130 when it had to cut some off.
 */
export const serveControlPlane = (flags: ControlPlaneFlags) => withTelemetry(serve(flags))
