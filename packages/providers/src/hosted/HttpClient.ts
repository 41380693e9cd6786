import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"

/**
 * Connections that one provider has to one origin, at most. A request beyond waits for one to become free; its budget
 * goes on. A call holds one while its answer streams: as many calls at a time have their answers.
 */
export const maxConnections = 256

/** How long an idle connection is kept, ms, where the vendor asks for no less: longer than most callers think. */
export const idleMs = 60_000

/** How long a connection is used, ms, before a new one asks the name service again. */
export const connectionLifeMs = 600_000

/** Connections that may be opened before the first request, at most. */
export const maxWarmConnections = 8

/** Most of an answer to a warming request that is read, in chunks; it is nobody's. */
const maxWarmChunks = 16

const untraced = (client: HttpClient.HttpClient): HttpClient.HttpClient =>
  HttpClient.transform(client, (answer) => Effect.provideService(answer, HttpClient.TracerDisabledWhen, () => true))

/**
 * The HTTP client of one provider instance, over undici with a pool of its own.
 *
 * Why not `fetch`: its pool belongs to the process, opens as many connections as there are requests, drops idle ones
 * after 4 s, has no bound for connecting, and does not end with a scope. Here, per origin:
 *
 * - at most {@link maxConnections} connections, kept open while idle for {@link idleMs};
 * - connecting, TLS included, takes at most `connectMs` (undici's clock for it ticks about once in half a second);
 * - HTTP/1.1: one answer has a connection for itself, so an interrupted request closes it, and the vendor stops;
 * - with the scope's end every connection is closed, whatever it is doing;
 * - with a `proxy` (an address with http or https) all of them go through that: by CONNECT for https.
 *
 * Requests have no spans of their own: such a span has the request, and with it the key, when it fails. The call that they
 * belong to has one. Vendors are not told the ids of traces.
 */
export const layer = (
  options: { readonly connectMs: number; readonly proxy?: string | undefined }
): Layer.Layer<HttpClient.HttpClient> =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.map(HttpClient.HttpClient, untraced)
  ).pipe(
    Layer.provide(NodeHttpClient.layerUndiciNoDispatcher),
    Layer.provide(Layer.effect(NodeHttpClient.Dispatcher, dispatcher(options)))
  )

const dispatcher = ({ connectMs, proxy }: Parameters<typeof layer>[0]) => {
  const pool = {
    allowH2: false,
    clientTtl: connectionLifeMs,
    connections: maxConnections,
    keepAliveMaxTimeout: connectionLifeMs,
    keepAliveTimeout: idleMs,
    pipelining: 1
  }
  const connect = { timeout: connectMs }
  if (proxy === undefined) return NodeHttpClient.makeDispatcherOptions({ ...pool, connect })
  return Effect.acquireRelease(
    Effect.map(
      Effect.promise(() => import("@effect/platform-node/Undici")),
      ({ ProxyAgent }) => new ProxyAgent({ ...pool, uri: proxy, proxyTls: connect, requestTls: connect })
    ),
    (agent) => Effect.promise(() => agent.destroy())
  )
}

const connectCodes: ReadonlyArray<unknown> = ["UND_ERR_CONNECT_TIMEOUT", "ETIMEDOUT"]

/** Whether a request failed because no connection could be made in time. */
export const isConnectTimeout = ({ reason }: HttpClientError): boolean =>
  reason._tag === "TransportError" && typeof reason.cause === "object" && reason.cause !== null &&
  "code" in reason.cause && connectCodes.includes(reason.cause.code)

/**
 * Opens `connections` connections to `base_url`, so that the first call need not wait for names, TCP and TLS.
 *
 * In the background, until the scope ends: nobody waits for it. What is sent is an OPTIONS request without a key, which
 * no vendor counts; whatever comes of it does not matter.
 */
export const warmed = (base_url: string, connections: number, withinMs: number) =>
  Effect.gen(function*() {
    const client = HttpClient.withScope(yield* HttpClient.HttpClient)
    const one = Effect.scoped(
      Effect.flatMap(
        client.execute(HttpClientRequest.options(base_url)),
        ({ stream }) => Stream.runDrain(Stream.take(stream, maxWarmChunks))
      )
    ).pipe(Effect.timeoutOption(withinMs), Effect.ignore)
    const all = Array.from({ length: Math.min(connections, maxWarmConnections) }, () => one)
    yield* Effect.forkScoped(Effect.all(all, { concurrency: "unbounded", discard: true }))
  })
