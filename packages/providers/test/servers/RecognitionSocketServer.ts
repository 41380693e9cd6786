import { Effect } from "effect"
import type { Scope } from "effect"
import { createServer } from "node:http"
import type { IncomingHttpHeaders } from "node:http"
import type { AddressInfo, Socket } from "node:net"
import { type RawData, WebSocket, WebSocketServer } from "ws"
import type { Fault, ProtocolServer, SeenCall } from "./ProtocolServer.ts"

/** How the HTTP request that asks for a WebSocket is answered when it gets none. */
export interface Refusal {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: unknown
}

/** One connection, as the vendor's code sees it. What it sends goes through the fault of the call. */
export interface Connection {
  readonly url: URL
  readonly headers: IncomingHttpHeaders
  /** How many calls there were before. */
  readonly call: number
  /** Whether the answer of this call is to be empty. */
  readonly empty: () => boolean
  /** A message that is no useful output. */
  readonly send: (message: object) => void
  /** A useful output; `final` when it is the text of finished words. */
  readonly output: (message: object, final: boolean) => void
  /** Ends the connection; `served` when that is its regular end. */
  readonly close: (code: number, reason: string, served: boolean) => void
}

/** What the vendor does with a connection's messages; all of them come in order. */
export interface Handlers {
  readonly audio: (bytes: Buffer) => void
  readonly message: (text: string) => void
  /** The vendor's own in-band error, in place of an output. */
  readonly fail: () => void
  readonly closed: () => void
}

/** Milliseconds between two messages that come after the client's end. */
const lateEveryMs = 5

const atHandshake = (fault: Fault | undefined): boolean =>
  fault !== undefined && ["refuse", "unanswered", "wrong_content_type"].includes(fault.kind)

class Call implements SeenCall {
  readonly request: Array<unknown> = []
  ended: SeenCall["ended"]
  readonly path: string
  constructor(path: string) {
    this.path = path
  }
}

const textOf = (data: RawData): string =>
  (Array.isArray(data) ? Buffer.concat(data) : data instanceof ArrayBuffer ? Buffer.from(data) : data).toString()

/** A text message as the bytes of one frame; for a socket whose WebSocket is already closing. */
const textFrame = (text: string): Buffer => {
  const bytes = Buffer.from(text)
  const head = Buffer.alloc(bytes.length < 126 ? 2 : 4)
  head[0] = 0x81
  if (bytes.length < 126) head[1] = bytes.length
  else {
    head[1] = 126
    head.writeUInt16BE(Math.min(bytes.length, 0xffff), 2)
  }
  return Buffer.concat([head, bytes.subarray(0, 0xffff)])
}

/** One WebSocket with the faults of its call. The fault is taken with the first message that is not `isIdle`. */
class FaultyConnection implements Connection {
  readonly url: URL
  readonly headers: IncomingHttpHeaders
  call = 0
  handlers: Handlers | undefined
  private readonly socket: WebSocket
  private readonly tcp: Socket
  private fault: Fault | undefined
  private seen: Call | undefined
  private outputs = 0
  private stalled = false
  private spoiled = false
  private servedToEnd = false
  /** What waits for a late first output, in order. */
  private held: Array<() => void> | undefined
  private timer: NodeJS.Timeout | undefined
  private lastText = "{}"
  private endSocket: ((code?: number, reason?: string) => void) | undefined

  constructor(socket: WebSocket, tcp: Socket, url: URL, headers: IncomingHttpHeaders) {
    this.socket = socket
    this.tcp = tcp
    this.url = url
    this.headers = headers
  }

  begin(seen: Call, call: number, fault: Fault | undefined): void {
    this.seen = seen
    this.call = call
    this.fault = fault
    if (fault?.kind === "late_chunk") this.goOnAfterTheEnd()
  }

  get begun(): boolean {
    return this.seen !== undefined
  }

  note(entry: unknown): void {
    this.seen?.request.push(entry)
  }

  ended(): void {
    clearTimeout(this.timer)
    clearInterval(this.timer)
    if (this.seen !== undefined) this.seen.ended ??= this.spoiled ? "faulted" : "aborted"
    this.handlers?.closed()
  }

  empty(): boolean {
    return this.fault?.kind === "empty"
  }

  send(message: object): void {
    this.inOrder(() => this.write(JSON.stringify(message)))
  }

  output(message: object, final: boolean): void {
    if (this.fault?.kind === "slow_first" && this.held === undefined && this.outputs === 0) {
      this.held = []
      this.timer = setTimeout(() => {
        const held = this.held ?? []
        this.held = undefined
        for (const act of held) act()
      }, this.fault.ms)
    }
    this.inOrder(() => this.put(message, final))
  }

  close(code: number, reason: string, served: boolean): void {
    this.inOrder(() => {
      if (this.stalled) return
      this.servedToEnd = served
      this.spoiled ||= !served
      if (this.seen !== undefined) this.seen.ended ??= this.spoiled ? "faulted" : "served"
      if (this.endSocket === undefined) this.socket.close(code, reason)
      else this.endSocket(code, reason)
    })
  }

  private inOrder(act: () => void): void {
    if (this.held === undefined) act()
    else this.held.push(act)
  }

  private put(message: object, final: boolean): void {
    const fault = this.fault
    const count = this.outputs++
    if (fault !== undefined && "after" in fault && count === fault.after) {
      this.stalled = fault.kind === "stall"
      if (this.stalled) return
      this.spoiled = true
      if (fault.kind === "malformed") this.write(JSON.stringify(message).slice(0, 25))
      else this.tcp.destroy()
      return
    }
    if (fault?.kind === "vendor_error") {
      this.spoiled = true
      return this.handlers?.fail()
    }
    if (fault?.kind === "huge" && count === 0) {
      return this.write(JSON.stringify({ ...message, padding: "x".repeat(fault.bytes) }))
    }
    this.write(JSON.stringify(message))
    if (fault?.kind === "duplicate_final" && final) this.write(JSON.stringify(message))
  }

  private write(text: string): void {
    if (this.stalled || this.socket.readyState !== WebSocket.OPEN) return
    this.lastText = text
    this.socket.send(text)
  }

  /** The client's close frame is not answered; its last message comes again and again until its socket is gone. */
  private goOnAfterTheEnd(): void {
    this.endSocket = this.socket.close.bind(this.socket)
    this.socket.close = () => {
      if (this.servedToEnd) return this.endSocket?.()
      if (this.timer !== undefined) return
      this.timer = setInterval(() => {
        if (this.tcp.writable) this.tcp.write(textFrame(this.lastText))
        else clearInterval(this.timer)
      }, lateEveryMs)
    }
  }
}

const refusalText = ({ body, headers, status }: Refusal): string => {
  const text = typeof body === "string" ? body : JSON.stringify(body)
  const all = {
    "Content-Type": typeof body === "string" ? "text/html" : "application/json",
    "Content-Length": String(Buffer.byteLength(text)),
    Connection: "close",
    ...headers
  }
  return `HTTP/1.1 ${status} ${status === 200 ? "OK" : "Refused"}\r\n${
    Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join("")
  }\r\n${text}`
}

/**
 * A WebSocket server on 127.0.0.1 for one vendor's speech recognition, with every {@link Fault}.
 *
 * `refuse`, `unanswered` and `wrong_content_type` meet the next upgrade; the others meet the first connection that is
 * used: a connection that was opened in advance and only kept alive is no call.
 */
export const recognitionSocketServer = (vendor: {
  readonly key: string
  readonly path: string
  /** Whether the upgrade is refused by the vendor's own rules. */
  readonly refusal: (url: URL, headers: IncomingHttpHeaders) => Refusal | undefined
  /** The vendor's answer with some status. */
  readonly refused: (status: number) => Refusal
  /** Whether a message does not yet make the connection a call. */
  readonly isIdle: (text: string) => boolean
  readonly serve: (connection: Connection) => Handlers
}): Effect.Effect<ProtocolServer, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<ProtocolServer & { readonly stop: () => void }>((resume) => {
      const calls: Array<Call> = []
      const faults: Array<Fault> = []
      const sockets = new Set<Socket>()
      const upgrades = new WebSocketServer({ noServer: true, maxPayload: 1 << 20 })
      const server = createServer((_, response) => {
        response.writeHead(404, { "Content-Type": "application/json" }).end("{}")
      })
      const seen = (path: string): Call => {
        const call = new Call(path)
        calls.push(call)
        return call
      }
      server.on("connection", (socket) => {
        sockets.add(socket)
        socket.on("error", () => undefined)
        socket.on("close", () => sockets.delete(socket))
      })
      server.on("upgrade", (request, tcp: Socket, head) => {
        const url = new URL(request.url ?? "/", "http://127.0.0.1")
        const path = request.url ?? "/"
        const fault = atHandshake(faults[0]) ? faults.shift() : undefined
        const refuse = (refusal: Refusal) => {
          seen(path).ended = "faulted"
          tcp.end(refusalText(refusal))
        }
        if (fault?.kind === "unanswered") {
          const call = seen(path)
          tcp.on("close", () => call.ended = "aborted")
          // A socket that nobody reads would not notice that the client has gone.
          tcp.on("end", () => tcp.destroy()).resume()
          return
        }
        if (fault?.kind === "wrong_content_type") return refuse({ status: 200, body: "<html>Welcome</html>" })
        if (fault?.kind === "refuse") {
          const { retryAfterSeconds, status } = fault
          const refusal = vendor.refused(status)
          return refuse(
            retryAfterSeconds === undefined
              ? refusal
              : { ...refusal, headers: { ...refusal.headers, "Retry-After": String(retryAfterSeconds) } }
          )
        }
        const refusal = url.pathname === vendor.path
          ? vendor.refusal(url, request.headers)
          : { status: 404, body: { error: "Not Found" } }
        if (refusal !== undefined) return refuse(refusal)
        upgrades.handleUpgrade(request, tcp, head, (socket) => {
          const connection = new FaultyConnection(socket, tcp, url, request.headers)
          const handlers = vendor.serve(connection)
          connection.handlers = handlers
          const begin = () => {
            if (!connection.begun) {
              connection.begin(seen(path), calls.length - 1, atHandshake(faults[0]) ? undefined : faults.shift())
            }
          }
          let audioBytes: { audio_bytes: number } | undefined
          socket.on("message", (data, isBinary) => {
            if (isBinary) {
              begin()
              const bytes = Array.isArray(data)
                ? Buffer.concat(data)
                : data instanceof ArrayBuffer
                ? Buffer.from(data)
                : data
              if (audioBytes === undefined) {
                connection.note(audioBytes = { audio_bytes: 0 })
              }
              audioBytes.audio_bytes += bytes.length
              handlers.audio(bytes)
              return
            }
            const text = textOf(data)
            if (!vendor.isIdle(text)) begin()
            connection.note(text)
            audioBytes = undefined
            handlers.message(text)
          })
          socket.on("error", () => undefined)
          tcp.on("close", () => connection.ended())
        })
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        resume(Effect.succeed({
          baseUrl: `ws://127.0.0.1:${port}`,
          key: vendor.key,
          next: (...more) => void faults.push(...more),
          calls,
          openSockets: () => sockets.size,
          stop: () => {
            for (const socket of sockets) socket.destroy()
            server.close()
          }
        }))
      })
    }),
    (server) => Effect.sync(server.stop)
  )
