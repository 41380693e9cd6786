import { startServer } from "@rspp/transports/livekit/LocalServer"
import type { LocalServer } from "@rspp/transports/livekit/LocalServer"
import { Effect, Exit, Scope } from "effect"

/** A LiveKit server for tests, or why there is none. */
export type LiveKitServer =
  | {
    readonly url: string
    readonly apiKey: string
    readonly apiSecret: string
    readonly stop: () => Promise<void>
    /** The server of the test itself, which may be killed and started again; absent for one that was given. */
    readonly own?: LocalServer
  }
  | { readonly missing: string }

/** Whether tests that need a server fail without one. */
const required = (): boolean => process.env["RSPP_REQUIRE_LIVEKIT"] === "1"

/**
 * The server that `LIVEKIT_URL` names (with `LIVEKIT_API_KEY` and `LIVEKIT_API_SECRET`), or a new one from PATH on
 * 127.0.0.1; `missing` when neither can be had, which `RSPP_REQUIRE_LIVEKIT=1` makes an error.
 */
export const liveKitServer = async (): Promise<LiveKitServer> => {
  const { LIVEKIT_API_KEY: apiKey, LIVEKIT_API_SECRET: apiSecret, LIVEKIT_URL: url } = process.env
  if (url && apiKey && apiSecret) return { url, apiKey, apiSecret, stop: () => Promise.resolve() }
  const scope = Effect.runSync(Scope.make())
  const started = await Effect.runPromiseExit(Scope.provide(startServer, scope))
  const stop = () => Effect.runPromise(Scope.close(scope, Exit.void))
  if (Exit.isSuccess(started)) {
    const { apiKey, apiSecret, url } = started.value
    return { url, apiKey, apiSecret, stop, own: started.value }
  }
  await stop()
  const missing = String(
    Exit.findErrorOption(started).pipe((found) =>
      found._tag === "Some" ? `${found.value.message}. ${found.value.hint}` : started.cause
    )
  )
  if (required()) throw new Error(`RSPP_REQUIRE_LIVEKIT is set, and there is no server: ${missing}`)
  return { missing }
}
