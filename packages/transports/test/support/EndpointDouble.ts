// A double of LiveKit's agent endpoint, for what a real server does not do on demand. It is no LiveKit server: it says what
// a test makes it say, over the same WebSocket and the same messages.
import {
  AvailabilityRequest,
  Job as WireJob,
  JobAssignment,
  JobTermination,
  RegisterWorkerResponse,
  Room,
  ServerInfo,
  ServerMessage,
  WorkerMessage,
  WorkerPong
} from "@livekit/protocol"
import * as NodeWS from "@effect/platform-node/NodeWS"
import { createServer } from "node:http"
import type { Duplex } from "node:stream"
import type { Place } from "./TestWorker.ts"
import { until } from "./TestWorker.ts"

type Said = WorkerMessage["message"]
type SaidOf<C extends Said["case"]> = Extract<Said, { readonly case: C }> extends { readonly value: infer V } ? V
  : never

/** How the double behaves from the next connection on. */
export interface Manners {
  /** It confirms registrations. */
  registers: boolean
  /** It answers pings. */
  pongs: boolean
  /** Status of a handshake that it refuses. */
  refuses: number | undefined
  /** It answers handshakes at all. */
  answers: boolean
}

export interface EndpointDouble extends Place {
  readonly manners: Manners
  readonly connections: () => number
  /** Authorization headers of the handshakes. */
  readonly authorizations: ReadonlyArray<string>
  /** All that workers said, on all connections. */
  readonly said: ReadonlyArray<Said>
  readonly saidOf: <C extends NonNullable<Said["case"]>>(kind: C) => ReadonlyArray<SaidOf<C>>
  /** Waits until that many messages of the kind came. */
  readonly heard: <C extends NonNullable<Said["case"]>>(kind: C, count?: number) => Promise<ReadonlyArray<SaidOf<C>>>
  /** To the newest connection. */
  readonly say: (message: ServerMessage["message"]) => void
  readonly sayJson: (message: ServerMessage["message"]) => void
  readonly sayBytes: (bytes: Uint8Array) => void
  readonly offer: (jobId: string, room?: string) => void
  readonly assign: (jobId: string, room?: string) => void
  readonly terminate: (jobId: string) => void
  /** Ends the newest connection, as a server does that goes away (code) or dies (no code). */
  readonly drop: (code?: number) => void
  readonly stop: () => Promise<void>
}

const wireJob = (id: string, room: string) => new WireJob({ id, room: new Room({ name: room }), agentName: "double" })

export const startDouble = async (): Promise<EndpointDouble> => {
  const manners: Manners = { registers: true, pongs: true, refuses: undefined, answers: true }
  const said: Array<Said> = []
  const authorizations: Array<string> = []
  const sockets: Array<NodeWS.WebSocket> = []
  const raw: Array<Duplex> = []
  const http = createServer()
  const server = new NodeWS.WebSocketServer({ noServer: true })
  http.on("upgrade", (request, socket, head) => {
    authorizations.push(request.headers.authorization ?? "")
    raw.push(socket)
    if (!manners.answers) return void socket.on("error", () => {})
    if (manners.refuses !== undefined) {
      return void socket.end(`HTTP/1.1 ${manners.refuses} No\r\nconnection: close\r\n\r\n`)
    }
    server.handleUpgrade(request, socket, head, (opened) => {
      sockets.push(opened)
      const answer = (message: ServerMessage["message"]) => opened.send(new ServerMessage({ message }).toBinary())
      opened.on("message", (data: Buffer) => {
        const { message } = WorkerMessage.fromBinary(data)
        said.push(message)
        if (message.case === "register" && manners.registers) {
          answer({
            case: "register",
            value: new RegisterWorkerResponse({
              workerId: `W${sockets.length}`,
              serverInfo: new ServerInfo({ version: "double" })
            })
          })
        }
        if (message.case === "ping" && manners.pongs) {
          answer({ case: "pong", value: new WorkerPong({ lastTimestamp: message.value.timestamp }) })
        }
      })
      opened.on("error", () => {})
    })
  })
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve))
  const address = http.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  const newest = () => {
    const socket = sockets.at(-1)
    if (socket === undefined) throw new Error("no worker has connected")
    return socket
  }
  const saidOf = <C extends NonNullable<Said["case"]>>(kind: C) =>
    said.flatMap((message) => (message.case === kind ? [message.value as SaidOf<C>] : []))
  const say = (message: ServerMessage["message"]) => newest().send(new ServerMessage({ message }).toBinary())
  return {
    url: `ws://127.0.0.1:${port}`,
    apiKey: "key",
    apiSecret: "a-secret-of-a-double-with-32-characters",
    manners,
    connections: () => sockets.length,
    authorizations,
    said,
    saidOf,
    heard: (kind, count = 1) =>
      until(() => {
        const found = saidOf(kind)
        return found.length >= count && found
      }),
    say,
    sayJson: (message) => newest().send(new ServerMessage({ message }).toJsonString()),
    sayBytes: (bytes) => newest().send(bytes),
    offer: (jobId, room = "room") =>
      say({ case: "availability", value: new AvailabilityRequest({ job: wireJob(jobId, room) }) }),
    assign: (jobId, room = "room") =>
      say({ case: "assignment", value: new JobAssignment({ job: wireJob(jobId, room), token: "eyJ.eyJ.x" }) }),
    terminate: (jobId) => say({ case: "termination", value: new JobTermination({ jobId }) }),
    drop: (code) => code === undefined ? newest().terminate() : newest().close(code),
    stop: async () => {
      for (const socket of sockets) socket.terminate()
      for (const socket of raw) socket.destroy()
      server.close()
      http.closeAllConnections()
      await new Promise((resolve) => http.close(resolve))
    }
  }
}
