import * as NodeWS from "@effect/platform-node/NodeWS"
import type { LeaseAuthority } from "@rspp/control/LeaseAuthority"
import type { NormalizedSpec } from "@rspp/control/SpecNormalizer"
import { rsppVersion } from "@rspp/runtime/session/Session"
import type { SessionStates } from "@rspp/timeline/state/SessionStates"
import { AccessTokens } from "@rspp/transports/livekit/AccessTokens"
import type { LiveKitKeys } from "@rspp/transports/livekit/AccessTokens"
import { Dispatch } from "@rspp/transports/livekit/Dispatch"
import { AgentEndpoint } from "@rspp/transports/livekit/worker/AgentEndpoint"
import type { Job, JobFailure } from "@rspp/transports/livekit/worker/Job"
import { SelfDispatch } from "@rspp/transports/livekit/worker/SelfDispatch"
import type { Worker } from "@rspp/transports/livekit/worker/Worker"
import { Context, Effect, Fiber, Layer, Semaphore } from "effect"
import type { Scope } from "effect"
import type { SharedLeases } from "./LeaseDatabase.ts"
import { endsAlone } from "./SessionFault.ts"
import { aboutSession, claimSession, watchSessions } from "./SessionWatch.ts"
import type { ClaimedSession, WatchOptions } from "./SessionWatch.ts"

/** Where a session is held: a room, and the way into it. */
export type Place = Pick<Job, "identity" | "leaving" | "room" | "terminated" | "token" | "url">

/** A session whose runtime died longer ago than this is left alone: its caller has gone, ms. */
const abandonedAfterMs = 60_000

export interface RoomTakeoverOptions {
  readonly authority: LeaseAuthority["Service"]
  readonly states: SessionStates["Service"]
  readonly leases: SharedLeases
  /** Whose places taken sessions need. */
  readonly worker: Worker["Service"]
  readonly server: LiveKitKeys & { readonly url: string }
  readonly sessions: number
  readonly spec: NormalizedSpec
  /** Whether a session can go on here, by the hash of the pipeline that it runs. */
  readonly isWanted: (hash: string) => boolean
  /** Goes on with a session in its room, until it has ended. */
  readonly run: (claimed: ClaimedSession, place: Place) => Effect.Effect<void, JobFailure, Scope.Scope>
  readonly tell: (event: Readonly<Record<string, string | number | boolean>>, words: string | undefined) => void
  readonly onAway: WatchOptions["onAway"]
}

/**
 * Takes over sessions in rooms whose worker is gone (F8): the next epoch of the lease first, then what was kept, then the
 * room, under the identity that the old worker has there, which removes it. The job is one of the LiveKit server, to which
 * this process dispatches itself; where the server assigns none, it joins with a token of its own.
 */
export const roomTakeovers = Effect.fnUntraced(function*(options: RoomTakeoverOptions) {
  const { authority, leases, server, sessions, spec, states, tell, worker } = options
  const tokens = Context.get(yield* Layer.build(AccessTokens.layer(server)), AccessTokens)
  const itself = Context.get(
    yield* Layer.build(
      SelfDispatch.layer({
        name: `rspp/${leases.placementId}`,
        version: rsppVersion,
        url: server.url,
        maxSessions: sessions
      }).pipe(
        Layer.provide([AgentEndpoint.layer({ url: server.url }), Dispatch.layer(server)]),
        Layer.provide([Layer.succeed(AccessTokens, tokens), NodeWS.layerWebSocketConstructor])
      )
    ),
    SelfDispatch
  )

  const goOn = Effect.fnUntraced(function*(lease: ClaimedSession["lease"]) {
    const { authority_epoch, session_id } = lease
    // Full: interrupted, it leaves the session to others.
    if (!(yield* worker.occupy(session_id))) return yield* Effect.interrupt
    const claimed = yield* claimSession(states, lease, { about: aboutSession(spec), begins: false })
    if (claimed?.about?.room === undefined) return
    const { identity, name: room } = claimed.about.room
    const { conversation = [], turns = 0 } = claimed.before ?? {}
    const lines = conversation.filter(({ role }) => role !== "system").length
    tell(
      { event: "taken", session_id, room, authority_epoch, turns, conversation: lines },
      `${session_id}: taken over under epoch ${authority_epoch}, ${turns} turns and ${lines} lines known`
    )
    yield* itself.to({ room, identity }, (job) => options.run(claimed, job)).pipe(
      Effect.catchTag("DispatchFailure", ({ message }) =>
        Effect.gen(function*() {
          tell({ event: "joins", session_id, room, message }, `${session_id}: joins by itself: ${message}`)
          const token = yield* tokens.join({ room, identity, kind: "agent" })
          yield* options.run(claimed, {
            identity,
            room,
            token,
            url: server.url,
            leaving: () => Effect.void,
            terminated: Effect.never
          })
        }))
    )
  })

  const watching = yield* Effect.forkScoped(watchSessions({
    authority,
    states,
    placementId: leases.placementId,
    ttlMs: leases.ttlMs,
    abandonedAfter: abandonedAfterMs,
    sessions,
    room: yield* Semaphore.make(sessions),
    isWanted: (about) => about?.room !== undefined && options.isWanted(about.pipeline.hash),
    goOn: (lease) =>
      goOn(lease).pipe(endsAlone((message) => {
        const { authority_epoch, session_id } = lease
        tell({ event: "failed", session_id, message }, `${session_id}: cannot go on: ${message}`)
        return Effect.ignore(states.forget(session_id, authority_epoch))
      })),
    onAway: options.onAway
  }))
  return {
    /** Takes over no more, and lets those that were taken end until `until` does: as a worker drains. */
    drain: (until: Effect.Effect<unknown>) => Effect.ensuring(itself.drain(until), Fiber.interrupt(watching))
  }
})
