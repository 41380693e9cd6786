import {
  AudioSource,
  LocalAudioTrack,
  RoomEvent,
  SimulateScenarioKind,
  TrackPublishOptions,
  TrackSource
} from "@livekit/rtc-node"
import type { RemoteParticipant, Room, TextStreamInfo, TextStreamReader } from "@livekit/rtc-node"
import type { TransportIngress } from "@rspp/runtime/ports/Transport"
import { NativeRoom } from "@rspp/transports/livekit/NativeRoom"
import type { RoomExtension } from "@rspp/transports/livekit/RoomExtension"
import type { LiveKitServer } from "@rspp/transports/test/support/LiveKitServer"
import { Effect, Exit, Logger, Scope } from "effect"
import { AccessToken } from "livekit-server-sdk"
import type { VideoGrant } from "livekit-server-sdk"

export type Server = Exclude<LiveKitServer, { readonly missing: string }>

/** Waits for a fact; says what it was when it does not come. */
export const until = async <A>(what: string, fact: () => A | undefined | false, withinMs = 20_000): Promise<A> => {
  for (let waited = 0; waited < withinMs; waited += 20) {
    const found = fact()
    if (found !== undefined && found !== false) return found
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`it did not happen within ${withinMs} ms: ${what}`)
}

export const join = async (
  server: Server,
  options: {
    readonly room: string
    readonly identity: string
    readonly kind?: "agent"
    readonly grant?: VideoGrant
    readonly before?: (room: Room) => void
  }
): Promise<NativeRoom> => {
  const token = new AccessToken(server.apiKey, server.apiSecret, { identity: options.identity })
  token.addGrant({
    room: options.room,
    roomJoin: true,
    canUpdateOwnMetadata: options.kind === "agent",
    ...options.grant
  })
  if (options.kind !== undefined) token.kind = options.kind
  const room = new NativeRoom()
  options.before?.(room)
  await room.connect(server.url, await token.toJwt(), { autoSubscribe: true, dynacast: false })
  return room
}

export const leave = async (room: NativeRoom): Promise<void> => {
  await room.disconnect()
  room.close()
}

/** Breaks the connection, and waits until it is made again, by a new participant of the same identity. */
export const reconnect = async (room: Room): Promise<void> => {
  let back = false
  room.once(RoomEvent.Reconnected, () => {
    back = true
  })
  await room.simulateScenario(SimulateScenarioKind.SIMULATE_FULL_RECONNECT)
  await until("the connection is made again", () => back)
}

/** Publishes a microphone that says nothing. */
export const publishMicrophone = async (room: Room): Promise<string> => {
  const track = LocalAudioTrack.createAudioTrack("microphone", new AudioSource(16_000, 1, 100))
  const publication = await room.localParticipant?.publishTrack(
    track,
    new TrackPublishOptions({ source: TrackSource.SOURCE_MICROPHONE })
  )
  return publication?.sid ?? ""
}

/** A text stream as a client saw it. */
export interface Seen {
  readonly info: TextStreamInfo
  readonly sender: string
  readonly chunks: Array<string>
  closed: boolean
}

/** What LiveKit's front ends look at. */
export interface Watcher {
  readonly states: Array<string>
  readonly streams: Array<Seen>
  /** Text of a segment as components-js shows it: that of the newest stream of the segment. */
  readonly shown: (segment: string) => string | undefined
}

/** Looks at a room as a front end does; to be called before the room is connected. */
export const watch = (room: Room): Watcher => {
  const states: Array<string> = []
  const streams: Array<Seen> = []
  const state = (participant: { readonly attributes: Record<string, string> }) => {
    const now = participant.attributes["lk.agent.state"]
    if (now !== undefined && states.at(-1) !== now) states.push(now)
  }
  room.on(RoomEvent.ParticipantConnected, state)
  room.on(RoomEvent.ParticipantAttributesChanged, (_, participant) => state(participant))
  const read = async (reader: TextStreamReader, sender: string) => {
    const seen: Seen = { info: reader.info, sender, chunks: [], closed: false }
    streams.push(seen)
    for await (const chunk of reader) seen.chunks.push(chunk)
    seen.closed = true
  }
  room.registerTextStreamHandler("lk.transcription", (reader, { identity }) => void read(reader, identity))
  return {
    states,
    streams,
    shown: (segment) => streams.findLast(({ info }) => info.attributes?.["lk.segment_id"] === segment)?.chunks.join("")
  }
}

/** What the session was given. */
export interface Given {
  readonly texts: Array<{ readonly text: string; readonly key: string | undefined }>
  readonly keys: Array<"pressed" | "released" | "cancelled">
  /** What was logged. */
  readonly warnings: Array<string>
}

/** An agent's room with extensions, as the transport has it, and what they delivered. */
export interface ExtendedRoom {
  readonly room: Room
  readonly given: Given
  /** Ends what the extensions do, and leaves. */
  readonly leave: () => Promise<void>
}

export const joinExtended = async (
  server: Server,
  options: {
    readonly room: string
    readonly caller: string
    readonly extensions: ReadonlyArray<RoomExtension>
    readonly grant?: VideoGrant
    readonly trackSid?: () => string | undefined
  }
): Promise<ExtendedRoom> => {
  const { caller, extensions } = options
  const given: Given = { texts: [], keys: [], warnings: [] }
  const logger = Logger.layer([Logger.make(({ message }) => void given.warnings.push(String(message)))])
  const ingress: TransportIngress = {
    audio: () => true,
    connection: () => {},
    text: (text, key) => void given.texts.push({ text, key }),
    pushToTalk: (state) => void given.keys.push(state),
    audioEnded: () => {}
  }
  const room = await join(server, {
    ...options,
    identity: "agent",
    kind: "agent",
    before: (connecting) => {
      for (const { beforeConnect } of extensions) beforeConnect?.(connecting)
    }
  })
  const person = (): RemoteParticipant | undefined => room.remoteParticipants.get(caller)
  const scope = Effect.runSync(Scope.make())
  const place = { room, ingress, caller: person, agentTrackSid: options.trackSid ?? (() => undefined) }
  for (const { joined } of extensions) {
    await Effect.runPromise(Scope.provide(joined?.(place) ?? Effect.void, scope).pipe(Effect.provide(logger)))
  }
  const link = () => {
    const present = person()
    if (present !== undefined) { for (const { linked } of extensions) linked?.(present) }
  }
  link()
  room.on(RoomEvent.ParticipantConnected, link)
  return {
    room,
    given,
    leave: async () => {
      await Effect.runPromise(Scope.close(scope, Exit.void))
      await leave(room)
    }
  }
}
