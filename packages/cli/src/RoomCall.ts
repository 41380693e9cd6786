import { CallReports } from "@rspp/transports/loopback/CallReport"
import type { RoomAddress } from "@rspp/transports/livekit/RoomConnection"
import type { RoomReports } from "@rspp/transports/livekit/RoomReports"
import { frameSamples } from "@rspp/runtime/ports/AudioFrame"
import { Transport } from "@rspp/runtime/ports/Transport"
import { Effect, Layer } from "effect"
import type { Context, Exit } from "effect"
import { playCall } from "./Call.ts"
import type { CallOptions } from "./Call.ts"

export interface RoomCallOptions extends Omit<CallOptions, "transport" | "speed"> {
  /** The room that the caller is in, or will come to. */
  readonly room: RoomAddress
  /** How long to wait for somebody to come at all, ms; by default as long as the transport does. */
  readonly callerWaitMs?: number
  /** Done before the room is left; it is told how the session has ended. */
  readonly leaving?: (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>
}

/** The transport, with something that is done before a connection of it is given up. */
const leavingWith = (leaving: NonNullable<RoomCallOptions["leaving"]>) =>
  Layer.effect(
    Transport,
    Effect.map(Transport, (transport) =>
      Transport.of({
        open: (options) => Effect.tap(transport.open(options), () => Effect.addFinalizer(leaving))
      }))
  )

/** What a room's report says of what a call's report says. */
const callReports = (rooms: Context.Key<RoomReports, RoomReports["Service"]>) =>
  Layer.effect(
    CallReports,
    Effect.map(rooms, ({ report }) => ({
      report: Effect.map(report, (room) =>
        room === undefined ? undefined : {
          session_id: room.session_id,
          frames: room.frames,
          lost_frames: room.refused_frames + room.dropped_frames,
          samples: room.frames * frameSamples,
          notices: room.notices,
          caller: [],
          agent: []
        })
    }))
  )

/**
 * One session in a LiveKit room, from joining it until the caller has left: as {@link playCall}, with what LiveKit's front
 * ends expect of an agent. The native client is loaded only then.
 */
export const joinCall = Effect.fn("joinCall")(function*(
  { callerWaitMs, leaving, observers = [], room, ...call }: RoomCallOptions
) {
  const [RoomTransport, { RoomReports }, { frontEnd }] = yield* Effect.promise(() =>
    Promise.all([
      import("@rspp/transports/livekit/RoomTransport"),
      import("@rspp/transports/livekit/RoomReports"),
      import("@rspp/transports/livekit/frontend/FrontEnd")
    ])
  )
  const extensions = frontEnd()
  const joined = RoomTransport.layer({
    ...room,
    extensions,
    ...(callerWaitMs === undefined ? {} : { callerWaitMs })
  })
  return yield* playCall({
    ...call,
    speed: "real",
    transport: Layer.provideMerge(
      leaving === undefined ? callReports(RoomReports) : Layer.merge(callReports(RoomReports), leavingWith(leaving)),
      joined
    ),
    observers: [...extensions.flatMap(({ observer }) => observer === undefined ? [] : [observer]), ...observers]
  })
})
