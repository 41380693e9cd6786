import { Effect } from "effect"
import { createServer } from "node:http"
import type { IncomingMessage } from "node:http"
import type { AddressInfo, Socket } from "node:net"
import { WebSocketServer } from "ws"

/** Where the vendor says again what it was sent. */
export type Echo =
  /** In the status line, the headers and the body of a refusal. */
  | "refusal"
  /** In an error within a stream, or in a message and the reason for which the connection is closed. */
  | "in band"

/** What was sent to it, and the key alone, which fits into a close reason. */
const sentBy = ({ headers, rawHeaders, url }: IncomingMessage) => {
  const key = [headers.authorization, headers["xi-api-key"], headers["x-api-key"], headers["x-goog-api-key"]].find(
    (value) => typeof value === "string"
  )
  return { all: `${rawHeaders.join(" ")} ${url}`, key: String(key ?? url) }
}

/** A value that may stand in a header or a status line. */
const oneLine = (text: string): string => text.replace(/[^\x20-\x7e]/gu, "?").slice(0, 400)

/** A server for every vendor's protocol that repeats, wherever a vendor can write something, all that it was sent. */
export const hostileVendor = (echo: Echo) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly port: number; readonly keys: Set<string>; readonly close: () => void }>((resume) => {
      const sockets = new Set<Socket>()
      const keys = new Set<string>()
      const upgrades = new WebSocketServer({ noServer: true })
      const errorOf = (message: string) => ({
        type: "error",
        error: { type: "overloaded_error", code: 500, message, status: message },
        message,
        detail: { status: message, message },
        err_msg: message,
        title: message
      })
      const server = createServer((request, response) => {
        const { all, key } = sentBy(request)
        keys.add(key)
        request.resume()
        request.on("end", () => {
          if (echo === "refusal") {
            response.writeHead(400, oneLine(all), { "content-type": "application/json", "x-said": oneLine(all) })
            return void response.end(JSON.stringify(errorOf(all)))
          }
          response.writeHead(200, { "content-type": "text/event-stream" })
          response.end(`event: error\ndata: ${JSON.stringify(errorOf(all))}\n\n`)
        })
      })
      server.on("connection", (socket) => {
        sockets.add(socket)
        socket.on("error", () => undefined)
        socket.on("close", () => sockets.delete(socket))
      })
      server.on("upgrade", (request, socket: Socket, head) => {
        const { all, key } = sentBy(request)
        keys.add(key)
        if (echo === "refusal") {
          const body = JSON.stringify(errorOf(all))
          return void socket.end(
            `HTTP/1.1 400 ${oneLine(all)}\r\nx-said: ${oneLine(all)}\r\ncontent-length: ${
              Buffer.byteLength(body)
            }\r\n\r\n${body}`
          )
        }
        upgrades.handleUpgrade(request, socket, head, (client) => {
          client.on("error", () => undefined)
          client.on("message", () => {
            client.send(JSON.stringify(errorOf(all)))
            client.close(4000, oneLine(key).slice(0, 120))
          })
        })
      })
      server.listen(0, "127.0.0.1", () =>
        resume(Effect.succeed({
          port: (server.address() as AddressInfo).port,
          keys,
          close: () => {
            server.close()
            for (const socket of sockets) socket.destroy()
          }
        })))
    }),
    ({ close }) => Effect.sync(close)
  )
