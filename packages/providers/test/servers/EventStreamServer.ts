import { Effect } from "effect"
import type { Scope } from "effect"
import { createServer } from "node:http"
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http"
import type { AddressInfo, Socket } from "node:net"
import type { Message } from "@rspp/runtime/ports/LanguageModel"
import type { Fault, ProtocolServer, SeenCall } from "./ProtocolServer.ts"

/** Makes the reply to a conversation, piece by piece. */
export type Reply = (messages: ReadonlyArray<Message>) => AsyncIterable<string>

/** An answer that is no stream. */
export interface Refusal {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: unknown
}

/** What a server that streams events needs to know of a vendor's protocol to speak it. */
export interface Protocol {
  readonly key: string
  /** What comes after the server's address in `base_url`. */
  readonly basePath: string
  /** Whether the path, with its query, is the one that streams replies. */
  readonly serves: (path: string) => boolean
  readonly keyOf: (headers: IncomingHttpHeaders) => string | undefined
  readonly unauthorised: Refusal
  readonly notFound: Refusal
  /** The vendor's own error of a status. */
  readonly refusal: (status: number, retryAfterSeconds: number | undefined) => Refusal
  /** The conversation of a request, or how the vendor refuses the request. */
  readonly read: (body: unknown, headers: IncomingHttpHeaders) => ReadonlyArray<Message> | Refusal
  /** One reply as the vendor's events, each with its empty line. */
  readonly reply: (body: unknown) => ReplyEvents
}

/** The events of one reply. */
export interface ReplyEvents {
  readonly begin: string
  readonly text: (text: string) => string
  readonly end: (reply: string) => string
  /** The vendor's in-band error. */
  readonly error: string
  /** What the vendor would never send. */
  readonly malformed: string
}

/** Good words, and the caller's own: a reply in which every letter of the request can be looked for. */
export const scriptedReply: Reply = async function*(messages) {
  const said = messages.findLast(({ role }) => role === "user")?.text
  yield* ["Good ", "day ", "to ", "you."]
  if (said !== undefined) yield ` You said: ${said}`
}

/** Pieces that are sent after the client cancelled, at most; one each {@link latePieceMs}. */
const latePieces = 10_000
const latePieceMs = 2

const bodyOf = async (request: IncomingMessage): Promise<unknown> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of request) chunks.push(chunk)
  try {
    return JSON.parse(Buffer.concat(chunks).toString())
  } catch {
    return undefined
  }
}

const isRefusal = (read: ReadonlyArray<Message> | Refusal): read is Refusal => "status" in read

const refuse = (response: ServerResponse, { body, headers, status }: Refusal): void => {
  response.writeHead(status, { "content-type": "application/json", ...headers })
  response.end(JSON.stringify(body))
}

type Ended = NonNullable<SeenCall["ended"]>

/** A server of event streams over real sockets; with the scope it ends, and each of its connections. */
export const eventStreamServer = (
  protocol: Protocol,
  engine: Reply = scriptedReply
): Effect.Effect<ProtocolServer, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ readonly server: ProtocolServer; readonly close: () => void }>((resume) => {
        const faults: Array<Fault> = []
        const calls: Array<SeenCall> = []
        const sockets = new Set<Socket>()

        const stream = async (
          response: ServerResponse,
          body: unknown,
          messages: ReadonlyArray<Message>,
          fault: Fault | undefined
        ): Promise<Ended> => {
          const gone = new Promise<void>((resolve) => response.once("close", resolve))
          const isGone = (): boolean => response.destroyed || response.socket?.destroyed !== false
          // Each output has left before the next is made: a fault comes after what went before it.
          const send = async (text: string): Promise<void> => {
            if (isGone() || text === "") return
            await Promise.race([gone, new Promise<void>((sent) => response.write(text, () => sent()))])
          }
          const wait = async (ms: number): Promise<void> => {
            const timer = Promise.withResolvers<void>()
            const handle = setTimeout(timer.resolve, ms)
            await Promise.race([gone, timer.promise])
            clearTimeout(handle)
          }
          const events = protocol.reply(body)
          response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" })
          response.flushHeaders()
          await send(events.begin)
          let reply = ""
          let outputs = 0
          const say = async (text: string): Promise<void> => {
            reply += text
            outputs++
            await send(events.text(text))
          }
          /** Does what the fault says at this output; the call's end when it ends there. */
          const strike = async (): Promise<Ended | undefined> => {
            if (fault === undefined || !("after" in fault) || outputs < fault.after) return undefined
            if (fault.kind === "stall") {
              await gone
              return "aborted"
            }
            if (fault.kind === "cut") response.destroy()
            else {
              await send(events.malformed)
              response.end()
            }
            return "faulted"
          }

          if (fault?.kind === "slow_first") await wait(fault.ms)
          if (fault?.kind === "vendor_error") {
            await send(events.error)
            response.end()
            return "faulted"
          }
          if (fault?.kind === "huge") await say("x".repeat(fault.bytes))
          else if (fault?.kind === "late_chunk") {
            for (let piece = 0; piece < latePieces && !isGone(); piece++) {
              await say(`late ${piece} `)
              await wait(latePieceMs)
            }
          } else if (fault?.kind !== "empty") {
            for await (const text of engine(messages)) {
              const ended = await strike()
              if (ended !== undefined) return ended
              if (isGone()) return "aborted"
              await say(text)
            }
            const ended = await strike()
            if (ended !== undefined) return ended
          }
          if (isGone()) return "aborted"
          const end = events.end(reply)
          await send(end)
          if (fault?.kind === "duplicate_final") await send(events.text("Once more.") + end)
          const whole = new Promise<Ended>((resolve) => response.once("finish", () => resolve("served")))
          response.end()
          return Promise.race([whole, gone.then((): Ended => response.writableFinished ? "served" : "aborted")])
        }

        const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
          const path = request.url ?? ""
          // What warms a connection, and what looks whether somebody is there, is no call.
          if (request.method !== "POST") {
            response.writeHead(request.method === "OPTIONS" ? 204 : 404)
            return void response.end()
          }
          const body = await bodyOf(request)
          const index = calls.length
          calls.push({ path, request: body, ended: undefined })
          const end = (ended: Ended): void => void (calls[index] = { path, request: body, ended })
          const answer = (refusal: Refusal, ended: Ended): void => {
            response.once("close", () => end(ended))
            refuse(response, refusal)
          }
          if (!protocol.serves(path)) return answer(protocol.notFound, "served")
          if (protocol.keyOf(request.headers) !== protocol.key) return answer(protocol.unauthorised, "served")
          const read = protocol.read(body, request.headers)
          if (isRefusal(read)) return answer(read, "served")
          const fault = faults.shift()
          if (fault?.kind === "unanswered") return void response.once("close", () => end("aborted"))
          if (fault?.kind === "refuse") {
            return answer(protocol.refusal(fault.status, fault.retryAfterSeconds), "faulted")
          }
          if (fault?.kind === "wrong_content_type") {
            response.once("close", () => end("faulted"))
            response.writeHead(200, { "content-type": "text/html" })
            return void response.end("<!doctype html><title>Sign in</title><p>Sign in to the network.</p>")
          }
          end(await stream(response, body, read, fault))
        }

        const http = createServer((request, response) => {
          response.on("error", () => {})
          // A client that leaves while its request is read, or an engine that breaks, ends this call only.
          serve(request, response).catch(() => response.destroy())
        })
        http.on("connection", (socket) => {
          socket.setNoDelay(true)
          sockets.add(socket)
          socket.on("close", () => sockets.delete(socket))
        })
        http.listen(0, "127.0.0.1", () => {
          const { port } = http.address() as AddressInfo
          resume(Effect.succeed({
            server: {
              baseUrl: `http://127.0.0.1:${port}${protocol.basePath}`,
              key: protocol.key,
              next: (...more) => void faults.push(...more),
              calls,
              openSockets: () => sockets.size
            },
            close: () => {
              http.close()
              sockets.forEach((socket) => socket.destroy())
            }
          }))
        })
      }),
      ({ close }) => Effect.sync(close)
    ),
    ({ server }) => server
  )
