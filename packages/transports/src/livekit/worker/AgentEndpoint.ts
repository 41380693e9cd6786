import {
  JobType,
  MigrateJobRequest,
  RegisterWorkerRequest,
  ServerMessage,
  WorkerMessage,
  WorkerPing
} from "@livekit/protocol"
import type { RegisterWorkerResponse } from "@livekit/protocol"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Socket from "effect/socket/Socket"
import type { Scope } from "effect"
import { AccessTokens } from "../AccessTokens.ts"
import { endpointFailure, failureOfSocket } from "./AgentEndpointFailure.ts"
import type { AgentEndpointFailure } from "./AgentEndpointFailure.ts"

/** What a worker tells a server about itself. */
export interface Registration {
  /** Jobs are dispatched to it by this name; empty: it gets one job for each new room. */
  readonly agentName: string
  readonly version: string
  /** Jobs that run here already, from before a reconnect. */
  readonly running: ReadonlyArray<string>
}

/** What a worker may send after it has registered. */
export type WorkerSaying = Exclude<WorkerMessage["message"], { readonly case: "register" | "ping" | undefined }>

/** What a server may say to a registered worker. */
export type ServerSaying = Extract<
  ServerMessage["message"],
  { readonly case: "availability" | "assignment" | "termination" }
>

/** A connection on which the server has registered this worker. It lasts as long as its scope. */
export interface AgentConnection {
  readonly workerId: string
  /** Of the server; empty when it did not say. */
  readonly serverVersion: string
  /** Sends a message; false: the connection is gone, and nothing was sent. */
  readonly send: (saying: WorkerSaying) => Effect.Effect<boolean>
  /** What the server said next. Fails when the connection has ended, or is silent for too long. */
  readonly next: Effect.Effect<ReadonlyArray<ServerSaying>, AgentEndpointFailure>
}

/** Times of the endpoint, ms. */
export interface AgentEndpointTimes {
  /** From the first packet until the server has registered the worker; the server itself allows 10 s. */
  readonly registerMs: number
  /** A ping is sent so often. */
  readonly pingMs: number
  /** Nothing came for so long, although pings are answered: the connection is taken as broken. */
  readonly silentMs: number
}

export const defaultEndpointTimes: AgentEndpointTimes = { registerMs: 10_000, pingMs: 5_000, silentMs: 15_000 }

const pathOf = (url: string): string => `${url.replace(/\/+$/u, "")}/agent`

/** Without credentials, should somebody have written some into the address. */
const shown = (url: string): string => url.replace(/^([a-z]+:\/\/)[^/@]*@/iu, "$1")

const decode = (frame: Uint8Array | string): ServerMessage =>
  typeof frame === "string"
    ? ServerMessage.fromJsonString(frame, { ignoreUnknownFields: true })
    : ServerMessage.fromBinary(frame)

/**
 * The agent endpoint of a LiveKit server: a WebSocket on which a worker registers, is offered jobs, and tells what
 * becomes of them.
 *
 * A connection is handed out only when the server has answered a ping that was sent *after* it had confirmed the
 * registration: livekit-server confirms before it takes the worker into its list, and drops a job for which nobody is in
 * the list. Messages that this program does not know are skipped; what is no message at all ends the connection.
 */
export class AgentEndpoint extends Context.Service<AgentEndpoint, {
  /** Connects and registers, once. Fails with the class of what was wrong; trying again is the caller's. */
  readonly connect: (registration: Registration) => Effect.Effect<AgentConnection, AgentEndpointFailure, Scope.Scope>
}>()("rspp/AgentEndpoint") {
  /** The endpoint of the server at `url` (`ws://…` or `wss://…`; `http` counts as `ws`). */
  static readonly layer = (
    { times: { pingMs, registerMs, silentMs } = defaultEndpointTimes, url: given }: {
      readonly url: string
      readonly times?: AgentEndpointTimes
    }
  ): Layer.Layer<AgentEndpoint, never, AccessTokens | Socket.WebSocketConstructor> =>
    Layer.effect(
      AgentEndpoint,
      Effect.gen(function*() {
        const tokens = yield* AccessTokens
        const constructor = yield* Socket.WebSocketConstructor
        const url = given.replace(/^http/iu, "ws")
        const place = shown(url)
        const notAnAddress = endpointFailure("not_livekit", `"${place}" is no address of a LiveKit server`)

        const open = Effect.fnUntraced(function*(registration: Registration) {
          const token = yield* tokens.worker
          const socket = yield* Effect.try({
            try: () => new URL(pathOf(url)),
            catch: () => notAnAddress
          }).pipe(
            Effect.filterOrFail(({ protocol }) => protocol === "ws:" || protocol === "wss:", () => notAnAddress),
            Effect.flatMap(({ href }) =>
              Socket.makeWebSocket(href, {
                openTimeout: registerMs,
                headers: { authorization: `Bearer ${Redacted.value(token)}` }
              })
            ),
            Effect.provideService(Socket.WebSocketConstructor, constructor)
          )
          const failed = (error: Socket.SocketError) => failureOfSocket(error, place)
          const { pull } = yield* Effect.mapError(socket.reader, failed)
          const { write } = yield* socket.writer
          // A writer of Effect waits for the next connection when this one is gone; nothing may be sent there.
          let gone = false
          yield* Effect.addFinalizer(() => Effect.sync(() => void (gone = true)))
          const say = (message: WorkerMessage["message"]) =>
            Effect.suspend(() =>
              gone ? Effect.succeed(false) : Effect.as(write(new WorkerMessage({ message }).toBinary()), true)
            )
          const hear = pull.pipe(
            Effect.tapError(() => Effect.sync(() => void (gone = true))),
            Effect.mapError(failed),
            Effect.flatMap((frames) =>
              Effect.try({
                try: () => frames.map((frame) => decode(frame).message),
                catch: (cause) => endpointFailure("protocol", `${place} sent what is no message: ${String(cause)}`)
              })
            )
          )
          const ping = Effect.flatMap(Clock.currentTimeMillis, (now) =>
            say({ case: "ping", value: new WorkerPing({ timestamp: BigInt(Math.floor(now)) }) }))

          yield* Effect.mapError(
            say({
              case: "register",
              value: new RegisterWorkerRequest({
                type: JobType.JT_ROOM,
                agentName: registration.agentName,
                version: registration.version,
                pingInterval: Math.ceil(pingMs / 1000)
              })
            }),
            failed
          )
          let registered: RegisterWorkerResponse | undefined
          let listed = false
          /** What was said before the worker was handed out. */
          const early: Array<ServerSaying> = []
          while (!listed) {
            for (const message of yield* hear) {
              if (message.case === "register" && registered === undefined) {
                registered = message.value
                yield* Effect.mapError(ping, failed)
              } else if (message.case === "pong") {
                listed = registered !== undefined
              } else if (isSaying(message)) {
                early.push(message)
              }
            }
          }
          if (registration.running.length > 0) {
            // A server that can (LiveKit Cloud) takes the running jobs over into this connection; others ignore it.
            yield* Effect.mapError(
              say({ case: "migrateJob", value: new MigrateJobRequest({ jobIds: [...registration.running] }) }),
              failed
            )
          }
          const connection: AgentConnection = {
            workerId: registered?.workerId ?? "",
            serverVersion: registered?.serverInfo?.version ?? "",
            send: (saying) =>
              Effect.orElseSucceed(say(saying), () => false),
            next: Effect.suspend(() => {
              if (early.length > 0) return Effect.succeed(early.splice(0))
              return hear.pipe(
                Effect.timeoutOrElse({
                  duration: silentMs,
                  orElse: () => Effect.fail(endpointFailure("silent", `nothing came from ${place} for ${silentMs} ms`))
                }),
                Effect.map((messages) => messages.filter(isSaying))
              )
            })
          }
          yield* Effect.forkScoped(
            Effect.repeat(Effect.ignore(ping), Schedule.spaced(pingMs)).pipe(Effect.delay(pingMs))
          )
          return connection
        })

        return AgentEndpoint.of({
          connect: (registration) =>
            open(registration).pipe(
              Effect.timeoutOrElse({
                duration: registerMs,
                orElse: () =>
                  Effect.fail(
                    endpointFailure("timeout", `${place} did not register the worker within ${registerMs} ms`)
                  )
              })
            )
        })
      })
    )
}

const isSaying = (message: ServerMessage["message"]): message is ServerSaying =>
  message.case === "availability" || message.case === "assignment" || message.case === "termination"
