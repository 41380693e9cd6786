import { Effect } from "effect"
import type { Scope } from "effect"
import { createServer } from "node:http"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { AddressInfo, Socket } from "node:net"
import type { Duplex } from "node:stream"
import type { RawData, WebSocket } from "ws"
import { concat } from "../support/Wav.ts"
import type { Fault, ProtocolServer, SeenCall } from "./ProtocolServer.ts"

/** What makes the sound of a speech server: 16 kHz mono. */
export interface SpeechEngine {
  readonly speak: (text: string) => AsyncIterable<Int16Array>
}

/** What every speech server can be told. */
export interface SpeechServerOptions {
  /** Default: {@link tone}. */
  readonly engine?: SpeechEngine
  /** Pause between two outputs, in milliseconds; default none. */
  readonly paceMs?: number
}

/** How long the tone speaks for one character, in milliseconds: about how fast people speak. */
export const toneMsPerCharacter = 60

/** A 220 Hz tone, as long as the text deserves; it fades in and out. */
export const tone: SpeechEngine = {
  async *speak(text) {
    const samples = new Int16Array(Math.max(4, text.trim().length) * toneMsPerCharacter * 16)
    for (let at = 0; at < samples.length; at++) {
      const fade = Math.min(1, at / 160, (samples.length - at) / 160)
      samples[at] = Math.round(8_000 * fade * Math.sin(2 * Math.PI * 220 * at / 16_000))
    }
    yield samples
  }
}

/** All of what the engine says. */
export const spoken = async (engine: SpeechEngine, text: string): Promise<Int16Array> => {
  const parts: Array<Int16Array> = []
  for await (const part of engine.speak(text)) parts.push(part)
  return concat(...parts)
}

/** The bytes of samples, little endian. */
export const bytesOf = (samples: Int16Array): Buffer =>
  Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength)

/** Text in base64, as the vendors send audio. */
export const base64Of = (samples: Int16Array): string => bytesOf(samples).toString("base64")

type CallEnd = NonNullable<SeenCall["ended"]>

/** A {@link SeenCall} that is being served. */
export interface Call extends SeenCall {
  request: unknown
  ended: CallEnd | undefined
  /** The first end counts. */
  readonly end: (how: CallEnd) => void
}

/** What the vendors' servers need of the one below them. */
export interface SpeechHost {
  /** The fault of this call; taken from the queue. */
  readonly take: () => Fault | undefined
  /** The fault of this connection, taken from the queue if it is one that ends a connection before its first message. */
  readonly takeForUpgrade: () => Fault | undefined
  readonly open: (path: string, request: unknown) => Call
}

const beforeMessages: ReadonlyArray<Fault["kind"]> = ["refuse", "unanswered", "wrong_content_type"]

const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => ms > 0 ? setTimeout(resolve, ms) : setImmediate(resolve))

/** One answer of a number of outputs, however the vendor sends them. */
export interface Answer {
  readonly call: Call
  readonly fault: Fault | undefined
  readonly paceMs: number
  readonly outputs: number
  readonly send: (output: number) => Promise<void>
  readonly final: () => Promise<void>
  readonly malformed: () => Promise<void>
  readonly vendorError: () => Promise<void>
  readonly huge: (bytes: number) => Promise<void>
  /** Destroys the TCP connection. */
  readonly cut: () => void
  /** The client is gone. */
  readonly gone: () => boolean
  /** The client has cancelled. */
  readonly cancelled: () => boolean
}

const hasLeft = ({ cancelled, gone }: Answer): boolean => gone() || cancelled()

/** Waits until the client leaves, or `ms` are over. */
const untilLeft = async (answer: Answer, ms: number): Promise<void> => {
  const until = Date.now() + ms
  while (!hasLeft(answer) && Date.now() < until) await sleep(2)
}

/** Gives an answer, with its fault. */
export const give = async (answer: Answer): Promise<void> => {
  const { call, fault } = answer
  if (fault?.kind === "vendor_error") {
    call.end("faulted")
    return answer.vendorError()
  }
  if (fault?.kind === "slow_first") await untilLeft(answer, fault.ms)
  if (fault?.kind === "unanswered") await untilLeft(answer, Number.POSITIVE_INFINITY)
  const outputs = fault?.kind === "empty" || fault?.kind === "huge" ? 0 : answer.outputs
  if (fault?.kind === "huge") await answer.huge(fault.bytes)
  for (let output = 0; output <= outputs; output++) {
    if (answer.gone()) return call.end("aborted")
    if (answer.cancelled() && fault?.kind !== "late_chunk") break
    const due = fault !== undefined && "after" in fault &&
      (fault.after === output || output === outputs && fault.after > output)
    if (due && fault.kind === "stall") {
      await untilLeft(answer, Number.POSITIVE_INFINITY)
      if (answer.gone()) return call.end("aborted")
      break
    }
    if (due) {
      call.end("faulted")
      if (fault.kind === "cut") answer.cut()
      if (fault.kind === "malformed") await answer.malformed()
      return
    }
    if (output < outputs) {
      await answer.send(output)
      await sleep(answer.paceMs)
    }
  }
  call.end(answer.cancelled() ? "aborted" : "served")
  await answer.final()
  if (fault?.kind === "duplicate_final") await answer.final()
}

/** Sends a message and waits until the socket has taken it, or is gone. */
export const sendOn = (socket: WebSocket, message: unknown): Promise<void> =>
  new Promise((resolve) => {
    socket.send(typeof message === "string" ? message : JSON.stringify(message), () => resolve())
  })

/** Writes and waits until the socket has taken it, or is gone. */
export const writeOn = (response: ServerResponse, data: string | Uint8Array): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      response.off("close", done)
      resolve()
    }
    response.once("close", done)
    response.write(data, done)
  })

/** A client's message. */
export const messageOf = (data: RawData): Record<string, unknown> =>
  JSON.parse((Buffer.isBuffer(data) ? data : Buffer.alloc(0)).toString()) as Record<string, unknown>

/** Why an upgrade, or a request, is not served. */
export interface Refusal {
  readonly status: number
  readonly body: unknown
  readonly retryAfterSeconds?: number | undefined
}

/** Answers a request with a refusal. */
export const refuse = (response: ServerResponse, { body, retryAfterSeconds, status }: Refusal): void => {
  response.writeHead(status, {
    "content-type": "application/json",
    ...(retryAfterSeconds === undefined ? {} : { "retry-after": String(retryAfterSeconds) })
  })
  response.end(JSON.stringify(body))
}

/** Answers an upgrade with a refusal. */
export const refuseUpgrade = (socket: Duplex, { body, retryAfterSeconds, status }: Refusal): void => {
  const text = JSON.stringify(body)
  socket.end(
    `HTTP/1.1 ${status} Refused\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n` +
      (retryAfterSeconds === undefined ? "" : `retry-after: ${retryAfterSeconds}\r\n`) +
      `connection: close\r\n\r\n${text}`
  )
}

/** What a captive portal says instead of the vendor. */
export const portal = "<!doctype html><title>Sign in</title>"

/** Whether an upgrade was met with its fault instead. */
export const isFaulty = (
  host: SpeechHost,
  path: string,
  socket: Duplex,
  refusal: (status: number, retryAfterSeconds?: number) => Refusal
): boolean => {
  const fault = host.takeForUpgrade()
  if (fault === undefined) return false
  const call = host.open(path, [])
  if (fault.kind === "refuse") {
    call.end("faulted")
    refuseUpgrade(socket, refusal(fault.status, fault.retryAfterSeconds))
  } else if (fault.kind === "wrong_content_type") {
    call.end("faulted")
    socket.end(`HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n${portal}`)
  } else {
    // Nobody reads it otherwise, and so nobody would see that the client leaves.
    socket.on("close", () => call.end("aborted")).on("end", () => socket.destroy()).resume()
  }
  return true
}

/** A real server on 127.0.0.1, with the queue of faults, the calls so far and the open connections. It ends with the scope. */
export const speechHost = (options: {
  readonly key: string
  readonly path: string
  readonly request: (host: SpeechHost, request: IncomingMessage, response: ServerResponse, body: unknown) => void
  readonly upgrade?: (host: SpeechHost, request: IncomingMessage, socket: Socket, head: Buffer) => void
}): Effect.Effect<ProtocolServer, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ readonly server: ProtocolServer; readonly close: Effect.Effect<void> }>((resume) => {
        const faults: Array<Fault> = []
        const calls: Array<Call> = []
        const sockets = new Set<Socket>()
        const host: SpeechHost = {
          take: () => faults.shift(),
          takeForUpgrade: () => {
            const [first] = faults
            return first !== undefined && beforeMessages.includes(first.kind) ? faults.shift() : undefined
          },
          open: (path, request) => {
            const call: Call = {
              path,
              request,
              ended: undefined,
              end: (how) => {
                call.ended ??= how
              }
            }
            calls.push(call)
            return call
          }
        }
        const server = createServer((request, response) => {
          const parts: Array<Buffer> = []
          request.on("data", (part: Buffer) => parts.push(part))
          request.on("error", () => {})
          request.on("end", () => {
            const text = Buffer.concat(parts).toString()
            options.request(host, request, response, text === "" ? undefined : JSON.parse(text))
          })
        })
        server.on("connection", (socket) => {
          sockets.add(socket)
          socket.on("error", () => {})
          socket.on("close", () => sockets.delete(socket))
        })
        server.on("upgrade", (request, socket, head) => {
          if (options.upgrade === undefined) return void socket.destroy()
          options.upgrade(host, request, socket as Socket, head)
        })
        server.listen(0, "127.0.0.1", () => {
          const { port } = server.address() as AddressInfo
          resume(Effect.succeed({
            server: {
              baseUrl: `http://127.0.0.1:${port}${options.path}`,
              key: options.key,
              next: (...more) => void faults.push(...more),
              calls,
              openSockets: () => sockets.size
            },
            close: Effect.callback<void>((resume) => {
              server.close(() => resume(Effect.void))
              for (const socket of sockets) socket.destroy()
            })
          }))
        })
      }),
      ({ close }) => close
    ),
    ({ server }) => server
  )
