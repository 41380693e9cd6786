import type { RemoteParticipant, Room } from "@livekit/rtc-node"
import type { TransportIngress } from "@rspp/runtime/ports/Transport"
import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"
import type { Effect, Scope } from "effect"

/** What an extension is given when the room is joined. */
export interface RoomPlace {
  readonly room: Room
  readonly ingress: TransportIngress
  /** The participant that the session is about; undefined until one is linked. */
  readonly caller: () => RemoteParticipant | undefined
  readonly agentTrackSid: () => string | undefined
}

/**
 * What plugs into a room besides audio: conventions of front ends. A value is of one room; make a new one for each.
 *
 * Calls are synchronous and must not throw, `joined` excepted.
 */
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
   * Audio that was recorded before the agent came, 16 kHz mono, oldest first; undefined: none (yet). Delivered before
   * live frames.
   */
  readonly preConnectAudio?: () => Int16Array | undefined
}
