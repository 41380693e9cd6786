import * as Layer from "effect/Layer"
import * as Socket from "effect/socket/Socket"
import { WebSocket } from "ws"

/** Longest message that is taken from a vendor, in bytes: a sentence of 16 kHz speech in base64 is a tenth of it. */
export const maxMessageBytes = 4 * 1024 * 1024

/**
 * WebSockets over `ws`, with headers: no compression (it costs more than it saves for audio), messages of at most
 * {@link maxMessageBytes} (a longer one ends the connection before it is read), no redirects.
 */
export const layer: Layer.Layer<Socket.WebSocketConstructor> = Layer.succeed(
  Socket.WebSocketConstructor,
  (url, options) => {
    const { headers, protocols } = typeof options === "object" && !Array.isArray(options)
      ? options
      : { headers: undefined, protocols: options }
    const socket = new WebSocket(url, protocols ?? [], {
      maxPayload: maxMessageBytes,
      perMessageDeflate: false,
      followRedirects: false,
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
)
