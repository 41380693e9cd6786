import { AudioSource, LocalAudioTrack, TrackPublishOptions, TrackSource } from "@livekit/rtc-node"
import type { LocalTrackPublication, Room } from "@livekit/rtc-node"
import { frameMs, sampleRateHz } from "@rspp/runtime/ports/AudioFrame"
import { Transport } from "@rspp/runtime/ports/Transport"
import type { TransportFailure, TransportIngress } from "@rspp/runtime/ports/Transport"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type CallEnd, RoomCall, tickMs } from "./RoomCall.ts"
import { RoomAudioOutput } from "./RoomAudioOutput.ts"
import { defaultConnectTimeoutMs, joinRoom, type RoomAddress } from "./RoomConnection.ts"
import type { RoomExtension } from "./RoomExtension.ts"
import { roomFailure, transportId } from "./RoomFailure.ts"
import { type RoomReport, RoomReports } from "./RoomReports.ts"

/** Length of the agent's output queue, ms. What it holds is what a cut may have to take back. */
export const defaultCapacityMs = 100

/** How long the agent's first words wait for the caller to subscribe to its track, ms. */
export const defaultSubscriptionMs = 5_000

/** The contract's bounds of an output queue, ms. */
const capacityBoundsMs = { min: frameMs, max: 200 } as const

export interface RoomOptions extends RoomAddress {
  /** Length of the agent's output queue, ms: 20 to 200. Default {@link defaultCapacityMs}. */
  readonly capacityMs?: number
  /** Conventions of front ends. */
  readonly extensions?: ReadonlyArray<RoomExtension>
  /** How long joining, and then publishing, may take, ms. Default 10 s. */
  readonly connectTimeoutMs?: number
  /** The caller is this participant, of whatever kind. Default: the first person, telephone or connector. */
  readonly callerIdentity?: string
  /** How long a caller who was cut off may take to come back, ms. Default 20 s. */
  readonly callerReturnMs?: number
  /** How long a caller who left may take to come back, as a client does that connects anew, ms. Default 2 s. */
  readonly callerLeaveMs?: number
  /** How long to wait for somebody to come at all, ms. Default 5 min. */
  readonly callerWaitMs?: number
  /** A line without audio for this long is `silence`, ms. Default 2 s. */
  readonly silenceMs?: number
  /** A line without audio for this long is a `stall`, which ends the turn, ms. Default 8 s. */
  readonly stallMs?: number
  /** How long the first words wait for the caller to listen, ms. Default {@link defaultSubscriptionMs}. */
  readonly subscriptionMs?: number
  /** Name of the agent's track. Default `agent`. */
  readonly trackName?: string
}

const publish = (
  room: Room,
  track: LocalAudioTrack,
  timeoutMs: number
): Effect.Effect<LocalTrackPublication, TransportFailure> =>
  Effect.tryPromise({
    try: async () => {
      if (room.localParticipant === undefined) throw new Error("the room was left")
      const options = new TrackPublishOptions({ source: TrackSource.SOURCE_MICROPHONE })
      return await room.localParticipant.publishTrack(track, options)
    },
    catch: (cause) => roomFailure("The agent's track cannot be published; its token must allow canPublish.", cause)
  }).pipe(Effect.timeoutOrElse({
    duration: timeoutMs,
    orElse: () =>
      Effect.fail(
        roomFailure(
          `The agent's track was not published within ${timeoutMs} ms; its token must allow canPublish, and media must reach the server.`
        )
      )
  }))

const closed = (what: LocalAudioTrack | AudioSource): Effect.Effect<void> =>
  // Where the native client is gone, it is gone with it.
  Effect.ignore(Effect.tryPromise(() => what.close()))

/** The agent's track, published as the one microphone of this participant, for as long as the scope. */
const openVoice = (room: Room, options: RoomOptions, capacityMs: number, timeoutMs: number) =>
  Effect.gen(function*() {
    const source = yield* Effect.acquireRelease(
      Effect.sync(() => new AudioSource(sampleRateHz, 1, capacityMs)),
      closed
    )
    const track = yield* Effect.acquireRelease(
      Effect.sync(() => LocalAudioTrack.createAudioTrack(options.trackName ?? "agent", source)),
      closed
    )
    const publication = yield* publish(room, track, timeoutMs)
    const output = new RoomAudioOutput(source, { capacityMs, clock: yield* Clock.Clock })
    yield* Effect.addFinalizer(() => Effect.sync(() => output.close(roomFailure("The call has ended."))))
    return { publication, output }
  })

const deliver = (
  call: RoomCall,
  place: Omit<Parameters<NonNullable<RoomExtension["joined"]>>[0], "ingress">,
  extensions: ReadonlyArray<RoomExtension>,
  ingress: TransportIngress
): Effect.Effect<void, TransportFailure> =>
  Effect.gen(function*() {
    for (const { joined } of extensions) yield* joined?.({ ...place, ingress }) ?? Effect.void
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(tickMs), Effect.sync(() => call.tick()))))
    const end = yield* Effect.callback<CallEnd>((resume) => {
      call.start(ingress, (how) => resume(Effect.succeed(how)))
      return Effect.sync(() => call.stop())
    })
    if (end.kind === "lost") return yield* end.failure
  }).pipe(Effect.scoped)

/**
 * A call in a LiveKit room: the agent joins, publishes one microphone track, and hears the first person who is there.
 *
 * Opening joins and publishes; `run` delivers until the caller has left for good, or fails when the room is lost. A caller
 * who was cut off is waited for. Captures wait until the caller listens, and while the connection is made again. When the
 * scope of `open` closes the room is left, and with the last room of the process the native client is gone.
 *
 * Frames reach the session at 16 kHz, mono, 20 ms, through a queue of 1 s that drops its oldest; what was lost is counted
 * in {@link RoomReports}. One call per layer.
 *
 * Fails with `TransportFailure`, without tokens in its text; that of a failed join has a `RoomJoinError` as its cause.
 */
export const layer = (options: RoomOptions): Layer.Layer<Transport | RoomReports> =>
  Layer.effectContext(Effect.sync(() => {
    let opened = false
    let report: (() => RoomReport) | undefined
    const capacityMs = options.capacityMs ?? defaultCapacityMs
    const timeoutMs = options.connectTimeoutMs ?? defaultConnectTimeoutMs
    const extensions = options.extensions ?? []

    const open = Effect.fnUntraced(function*({ session_id }: { readonly session_id: string }) {
      if (opened) return yield* roomFailure("This transport joins one room, and it has been opened already.")
      opened = true
      if (!(capacityMs >= capacityBoundsMs.min && capacityMs <= capacityBoundsMs.max)) {
        const bounds = `${capacityBoundsMs.min} to ${capacityBoundsMs.max} ms`
        return yield* roomFailure(`The agent's output queue can hold ${bounds}, not ${capacityMs} ms.`)
      }
      const clock = yield* Clock.Clock
      const nowMs = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
      const beganMs = nowMs()
      const room = yield* joinRoom(options, {
        connectTimeoutMs: timeoutMs,
        beforeConnect: (connecting) => {
          for (const { beforeConnect } of extensions) beforeConnect?.(connecting)
        }
      })
      const joinedMs = nowMs() - beganMs
      const { output, publication } = yield* openVoice(room, options, capacityMs, timeoutMs)
      const call = new RoomCall({
        ...options,
        room,
        output,
        publication,
        extensions,
        nowMs,
        subscriptionMs: options.subscriptionMs ?? defaultSubscriptionMs
      })
      yield* Effect.addFinalizer(() => Effect.sync(() => call.stop()))
      const roomName = room.name ?? ""
      report = () => ({
        session_id,
        room: roomName,
        joined_ms: joinedMs,
        caller: call.callerIdentity,
        ...call.audio.counts,
        ...call.statistics.counts,
        reconnects: call.reconnects,
        caller_returns: call.returns,
        silences: call.silences,
        stalls: call.stalls,
        captured_samples: output.capturedSamples,
        cleared_samples: output.clearedSamples,
        notices: call.notices.slice()
      })
      let running = false
      return {
        transport_id: transportId,
        output,
        run: (ingress: TransportIngress) =>
          Effect.suspend(() => {
            if (running) return Effect.fail(roomFailure("The call is running already."))
            running = true
            const place = { room, caller: call.caller, agentTrackSid: () => publication.sid }
            return deliver(call, place, extensions, ingress)
          })
      }
    })

    return Context.make(Transport, { open }).pipe(
      Context.add(RoomReports, { report: Effect.sync(() => report?.()) })
    )
  }))
