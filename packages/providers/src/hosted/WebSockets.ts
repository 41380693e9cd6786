import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Socket from "effect/socket/Socket"
import { Agent } from "node:https"
import { WebSocket } from "ws"

/** Longest message that is taken from a vendor, in bytes: a sentence of 16 kHz speech in base64 is a tenth of it. */
export const maxMessageBytes = 4 * 1024 * 1024

/**
 * WebSockets over `ws`, with headers: no compression (it costs more than it saves for audio), messages of at most
 * {@link maxMessageBytes} (a longer one ends the connection before it is read), no redirects.
 *
 * With a `proxy` (an address with http or https) those to `wss` addresses go through it, by CONNECT; Node's own agent does
 * that, from Node 24.5 on.
 */
export const layer = (
  options: { readonly proxy?: string | undefined } = {}
): Layer.Layer<Socket.WebSocketConstructor> =>
  Layer.effect(Socket.WebSocketConstructor, Effect.map(agentFor(options.proxy), constructor))

/** An agent whose connections go through the proxy; they end with their sockets. */
const agentFor = (proxy: string | undefined) =>
  proxy === undefined ? Effect.succeed(undefined) : Effect.acquireRelease(
    Effect.sync(() => new Agent({ proxyEnv: { HTTPS_PROXY: proxy, NO_PROXY: "" } })),
    (agent) => Effect.sync(() => agent.destroy())
  )

const constructor = (agent: Agent | undefined): Socket.WebSocketConstructor["Service"] => (url, options) => {
  const { headers, protocols } = typeof options === "object" && !Array.isArray(options)
    ? options
    : { headers: undefined, protocols: options }
  const socket = new WebSocket(url, protocols ?? [], {
    maxPayload: maxMessageBytes,
    perMessageDeflate: false,
    followRedirects: false,
    ...(agent === undefined || !url.startsWith("wss:") ? {} : { agent }),
    ...(headers === undefined ? {} : { headers: { ...headers } })
  })
  // Without a listener `ws` tells of a refused upgrade its status only.
  socket.on("unexpected-response", (request, { headers, statusCode = 0 }) => {
    const after = headers["retry-after"]
    const wait = after === undefined ? "" : `, retry after ${after}`
    request.destroy(new Error(`Unexpected server response: ${statusCode}${wait}`))
  })
  return socket
}
