import { Deferred, Effect } from "effect"
import type { IncomingMessage, Server, ServerResponse } from "node:http"
import { nextSignal } from "./NextSignal.ts"

/** How a server ends. */
export interface DrainOptions {
  /** For so long it says that it is not ready and still takes requests, ms. */
  readonly noticeMs: number
  /** Running requests have so long to end, ms. */
  readonly withinMs: number
}

/** A server whose requests are counted. */
export interface ServerDrain {
  /** It says that it is not ready. */
  readonly draining: () => boolean
  /**
   * Gives notice, stops listening, and lets running requests end; the number of those that had to be cut off. A further
   * signal ends the wait in which it comes.
   */
  readonly drain: Effect.Effect<number>
}

/** The connection is not kept for another request. */
const lastOfItsConnection = (response: ServerResponse): void => {
  if (!response.headersSent) response.setHeader("connection", "close")
}

/** Counts the requests of a server from the first on: called before anything else hears of them. */
export const makeServerDrain = (server: Server, { noticeMs, withinMs }: DrainOptions): ServerDrain => {
  const running = new Set<ServerResponse>()
  let draining = false
  const idle = Deferred.makeUnsafe<void>()
  const lookWhetherIdle = () => {
    if (draining && running.size === 0 && !server.listening) Deferred.doneUnsafe(idle, Effect.void)
  }
  const count = (_request: IncomingMessage, response: ServerResponse) => {
    running.add(response)
    if (draining) lastOfItsConnection(response)
    response.once("close", () => {
      running.delete(response)
      lookWhetherIdle()
    })
  }
  server.prependListener("request", count)
  // a request that waits to be told to go on; who answers requests answers these too
  server.prependListener("checkContinue", count)
  const drain = Effect.gen(function*() {
    draining = true
    for (const response of running) lastOfItsConnection(response)
    yield* Effect.raceFirst(Effect.sleep(noticeMs), nextSignal)
    // no new connections; those that wait for a request are closed
    server.close()
    server.closeIdleConnections()
    lookWhetherIdle()
    yield* Effect.raceFirst(
      Deferred.await(idle),
      Effect.raceFirst(Effect.sleep(withinMs), nextSignal)
    )
    const cut = running.size
    server.closeAllConnections()
    return cut
  })
  return { draining: () => draining, drain }
}
