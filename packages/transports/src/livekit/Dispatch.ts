import { scrubSecrets } from "@rspp/contracts/Secrets"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { AgentDispatchClient, RoomServiceClient, ServerError } from "livekit-server-sdk"
import type { AgentDispatch } from "livekit-server-sdk"
import type { LiveKitKeys } from "./AccessTokens.ts"

/**
 * What was wrong with a request to the dispatch service.
 *
 * - `unreachable`: nobody answers there.
 * - `timeout`: no answer in time. Whether the request was carried out is not known.
 * - `unauthorized`: the server does not know the key pair, or the key may not do this.
 * - `not_found`: there is no such room or dispatch.
 * - `refused`: the request itself is wrong.
 * - `overloaded`: the server could not do it now.
 */
export const dispatchFaults = ["unreachable", "timeout", "unauthorized", "not_found", "refused", "overloaded"] as const
export type DispatchFault = (typeof dispatchFaults)[number]

/** An agent could not be dispatched, or dispatches could not be listed. Tokens are taken out of `message`. */
export class DispatchFailure extends Schema.TaggedError<DispatchFailure>()("DispatchFailure", {
  fault: Schema.Literals(dispatchFaults),
  message: Schema.String,
  hint: Schema.String
}) {}

const jobStatuses = ["pending", "running", "succeeded", "failed"] as const

/** A job that came of a dispatch, as the server shows it. */
export interface DispatchedJob {
  readonly job_id: string
  /** livekit-server 1.13 writes it down when it assigns the job, and not again: `running` says that it was assigned. */
  readonly status: (typeof jobStatuses)[number]
  readonly error: string
  readonly worker_id: string
  readonly identity: string
}

/** An agent that was sent to a room. */
export interface DispatchedAgent {
  readonly dispatch_id: string
  readonly room: string
  /** Empty: the dispatch that every room has, to workers without a name. */
  readonly agent_name: string
  readonly metadata: string
  /** The server lists a job up to 5 s after it has assigned it. */
  readonly jobs: ReadonlyArray<DispatchedJob>
}

/** Where agents are sent, and by whom. */
export interface DispatchOptions extends LiveKitKeys {
  /** Of the LiveKit server, `ws://…`, `wss://…`, `http://…` or `https://…`. */
  readonly url: string
  /** How long a request may take, ms. Default {@link defaultDispatchMs}. */
  readonly withinMs?: number
}

/** How often it is looked whether somebody who was removed is gone, and for how long, ms. */
const goneEveryMs = 20
const goneWithinMs = 1_000

/** As long as LiveKit's own client waits. */
export const defaultDispatchMs = 10_000

const hints: Readonly<Record<DispatchFault, string>> = {
  unreachable: "Check the address, and that the LiveKit server runs.",
  timeout: "List the dispatches of the room before it is asked again: it may have been done.",
  unauthorized: "Give the key and the secret that the LiveKit server has for this project.",
  not_found: "Check the name of the room: it is gone when nobody is in it.",
  refused: "Check the name of the room and of the agent.",
  overloaded: "Ask again."
}

const failure = (fault: DispatchFault, message: string) =>
  new DispatchFailure({ fault, message: scrubSecrets(message), hint: hints[fault] })

const faultOfStatus = (status: number): DispatchFault => {
  if (status === 401 || status === 403) return "unauthorized"
  if (status === 404) return "not_found"
  return status === 429 || status >= 500 ? "overloaded" : "refused"
}

const reasonOf = (cause: unknown): string => {
  if (!(cause instanceof Error)) return String(cause)
  // What fetch says is in its cause, and of several addresses in the first.
  if (cause instanceof AggregateError && cause.errors.length > 0) return reasonOf(cause.errors[0])
  return cause.cause === undefined ? cause.message : reasonOf(cause.cause)
}

const failureOf = (what: string, cause: unknown): DispatchFailure =>
  cause instanceof ServerError
    ? failure(faultOfStatus(cause.status), `${what}: ${cause.message}`)
    : failure(
      cause instanceof Error && cause.name === "TimeoutError" ? "timeout" : "unreachable",
      `${what}: ${reasonOf(cause)}`
    )

const shown = ({ agentName, id, metadata, room, state }: AgentDispatch): DispatchedAgent => ({
  dispatch_id: id,
  room,
  agent_name: agentName,
  metadata,
  jobs: (state?.jobs ?? []).map(({ id, state }) => ({
    job_id: id,
    status: jobStatuses[state?.status ?? 0] ?? "pending",
    error: state?.error ?? "",
    worker_id: state?.workerId ?? "",
    identity: state?.participantIdentity ?? ""
  }))
})

/**
 * Sends agents to rooms. A dispatch reaches a worker that is registered at that moment and not full, or nobody: the open
 * server keeps no queue. The worker joins as a job of its own.
 */
export class Dispatch extends Context.Service<Dispatch, {
  /** Sends the agent to the room, which is made if there is none. Done twice, two agents come. */
  readonly create: (
    request: { readonly room: string; readonly agentName: string; readonly metadata?: string }
  ) => Effect.Effect<DispatchedAgent, DispatchFailure>
  /** The dispatches of a room. Fails with `not_found` or `overloaded` when there is no such room. */
  readonly list: (room: string) => Effect.Effect<ReadonlyArray<DispatchedAgent>, DispatchFailure>
  /**
   * Removes whoever is in the room under that identity; they are gone when this returns. livekit-server takes the job of an
   * agent that is pushed out by another of its identity for the other's, and ends that: so the place is vacated first.
   */
  readonly vacate: (
    request: { readonly room: string; readonly identity: string }
  ) => Effect.Effect<void, DispatchFailure>
  /** Takes a dispatch back: its job is terminated, and its agent removed from the room. */
  readonly remove: (
    request: { readonly room: string; readonly dispatch_id: string }
  ) => Effect.Effect<void, DispatchFailure>
}>()("rspp/Dispatch") {
  static readonly layer = (options: DispatchOptions): Layer.Layer<Dispatch> =>
    Layer.sync(Dispatch, () => {
      const withinMs = options.withinMs ?? defaultDispatchMs
      const client = new AgentDispatchClient(
        options.url.replace(/^ws/iu, "http"),
        options.apiKey,
        Redacted.value(options.apiSecret),
        { requestTimeout: Math.ceil(withinMs / 1000) }
      )
      const ask = <A>(what: string, request: () => Promise<A>) =>
        Effect.tryPromise({ try: request, catch: (cause) => failureOf(what, cause) }).pipe(
          Effect.timeoutOrElse({
            duration: withinMs,
            orElse: () => Effect.fail(failure("timeout", `${what}: no answer within ${withinMs} ms`))
          })
        )
      const rooms = new RoomServiceClient(
        options.url.replace(/^ws/iu, "http"),
        options.apiKey,
        Redacted.value(options.apiSecret),
        { requestTimeout: Math.ceil(withinMs / 1000) }
      )
      const isThere = (room: string, identity: string) =>
        ask(`the participants of ${room} could not be listed`, () => rooms.listParticipants(room)).pipe(
          Effect.map((there) => there.some((participant) => participant.identity === identity))
        )
      return Dispatch.of({
        vacate: Effect.fn("Dispatch.vacate")(function*({ identity, room }) {
          if (!(yield* isThere(room, identity))) return
          yield* ask(`${identity} could not be removed from ${room}`, () => rooms.removeParticipant(room, identity))
            .pipe(
              Effect.catchIf(({ fault }) => fault === "not_found", () => Effect.void)
            )
          yield* isThere(room, identity).pipe(
            Effect.repeat({ while: (there) => there, schedule: Schedule.spaced(goneEveryMs) }),
            Effect.timeoutOption(goneWithinMs)
          )
        }),
        create: ({ agentName, metadata, room }) =>
          ask(
            `${agentName} could not be sent to ${room}`,
            () => client.createDispatch(room, agentName, metadata === undefined ? {} : { metadata })
          ).pipe(Effect.map(shown)),
        list: (room) =>
          ask(`the agents of ${room} could not be listed`, () => client.listDispatch(room)).pipe(
            Effect.map((dispatches) => dispatches.map(shown))
          ),
        remove: ({ dispatch_id, room }) =>
          ask(`${dispatch_id} could not be taken from ${room}`, () => client.deleteDispatch(dispatch_id, room))
      })
    })
}
