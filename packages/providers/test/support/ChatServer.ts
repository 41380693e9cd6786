import { Effect } from "effect"
import { createServer } from "node:http"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

/** A request that the server got. */
export interface ChatRequest {
  readonly path: string
  readonly authorization: string | undefined
  readonly body: unknown
}

/** One event of a streamed chat completion. */
export const event = (content: string, finish_reason: string | null = null): string =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content }, finish_reason }] })}\n\n`

/** A real HTTP server on 127.0.0.1 that answers each request by `answer`; it ends with the scope. */
export const chatServer = (answer: (response: ServerResponse, request: IncomingMessage) => void) =>
  Effect.acquireRelease(
    Effect.callback<{
      readonly baseUrl: string
      readonly requests: Array<ChatRequest>
      readonly closed: () => number
      readonly close: () => void
    }>((resume) => {
      const requests: Array<ChatRequest> = []
      let closed = 0
      const server = createServer((request, response) => {
        // What warms a connection is no request.
        if (request.method === "OPTIONS") return void response.writeHead(204).end()
        let body = ""
        request.on("data", (chunk) => body += chunk)
        request.on("end", () => {
          requests.push({
            path: request.url ?? "",
            authorization: request.headers.authorization,
            body: JSON.parse(body)
          })
          answer(response, request)
        })
        response.on("close", () => {
          if (!response.writableFinished) closed++
        })
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        resume(Effect.succeed({
          baseUrl: `http://127.0.0.1:${port}/v1`,
          requests,
          closed: () => closed,
          close: () => {
            server.closeAllConnections()
            server.close()
          }
        }))
      })
    }),
    (server) => Effect.sync(server.close)
  )
