import type { RemoteParticipant, Room } from "@livekit/rtc-node"
import type { TransportIngress } from "@rspp/runtime/ports/Transport"
import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"
import type { Effect, Scope } from "effect"

/** Where an extension works. */
export interface RoomPlace {
  readonly room: Room
  readonly ingress: TransportIngress
  /** Who the session is about, while that participant is in the room. */
  readonly caller: () => RemoteParticipant | undefined
  /** The agent's track; it changes when the connection is made again. */
  readonly agentTrackSid: () => string | undefined
}

/** What a convention of front ends adds to a room: it listens there, and shows what the session does. */
export interface RoomExtension {
  /** Before the room is connected: register stream handlers here. */
  readonly beforeConnect?: (room: Room) => void
  /** The room is joined, the agent's track published, delivery begins. What it acquires lives as long as the scope. */
  readonly joined?: (place: RoomPlace) => Effect.Effect<void, never, Scope.Scope>
  /** The caller that the session is about became known, or changed. */
  readonly linked?: (caller: RemoteParticipant) => void
  /** What the session does, to show it to the front end. */
  readonly observer?: SessionObserver
  /**
   * Audio that was recorded before the agent came, 16 kHz mono, oldest first; undefined: none (yet). Delivered before live
   * frames, which wait for it up to 3 s when the caller's track announces it; of any other track it must be there when
   * the first frame comes. At most the last 30 s of it.
   */
  readonly preConnectAudio?: () => Int16Array | undefined
}
