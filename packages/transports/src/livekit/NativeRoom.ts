import {
  LocalTrackPublication,
  RemoteAudioTrack,
  RemoteParticipant,
  RemoteTrackPublication,
  RemoteVideoTrack,
  Room,
  RoomEvent
} from "@livekit/rtc-node"
import type { Participant, TrackPublication } from "@livekit/rtc-node"

/** A handle of rtc-node: what keeps an object of the native client alive. */
interface Handle {
  readonly dispose: () => void
}

const isHandle = (value: unknown): value is Handle =>
  typeof value === "object" && value !== null && typeof Reflect.get(value, "dispose") === "function"

const isListener = (value: unknown): value is (event: unknown) => void => typeof value === "function"

/** Gives a handle back. Twice is once; and one that the native client has dropped itself is given back already. */
const dispose = (handle: unknown): void => {
  if (!isHandle(handle)) return
  try {
    handle.dispose()
  } catch {
    // "trying to drop an invalid handle": the native client was disposed of before.
  }
}

const disposePublication = (publication: TrackPublication): void => {
  if (publication instanceof RemoteTrackPublication) dispose(publication.track?.ffi_handle)
  dispose(publication.ffiHandle)
}

const disposeParticipant = (participant: Participant): void => {
  for (const publication of participant.trackPublications.values()) disposePublication(publication)
  dispose(participant.ffi_handle)
}

const drop = (what: unknown): void => {
  if (what instanceof RemoteParticipant) disposeParticipant(what)
  else if (what instanceof RemoteTrackPublication || what instanceof LocalTrackPublication) disposePublication(what)
  else if (what instanceof RemoteAudioTrack || what instanceof RemoteVideoTrack) dispose(what.ffi_handle)
}

/** Events by which objects of the native client end; each one's first argument is what has ended. */
const endings: ReadonlySet<PropertyKey> = new Set([
  RoomEvent.ParticipantDisconnected,
  RoomEvent.TrackUnpublished,
  RoomEvent.TrackUnsubscribed,
  RoomEvent.LocalTrackUnpublished
])

/**
 * A room of rtc-node that gives back what it has of the native client: participants, publications and remote tracks when they
 * are gone, and everything at {@link close}. A room of rtc-node leaves that to the garbage collector.
 *
 * - N1. After `close` this room holds nothing in the native client, also of events that were still on their way; so that
 *   nothing of it is collected after `dispose()` of the client, which would end the process (an object's finalizer throws
 *   when its handle is unknown).
 * - N2. What an event is about can be used in its listeners, and until the next task.
 *
 * Local tracks and their sources, and audio streams, belong to who made them.
 */
export class NativeRoom extends Room {
  #closed = false

  override emit(event: PropertyKey, ...args: Array<unknown>): boolean {
    const heard: boolean = Reflect.apply(super.emit.bind(this), undefined, [event, ...args])
    if (endings.has(event)) setImmediate(() => drop(args[0]))
    else if (this.#closed) { for (const arg of args) drop(arg) }
    return heard
  }

  /** Takes off every listener and gives everything back, for ever. The room was left before, or never joined. */
  close(): void {
    this.#closed = true
    // The client takes this one off when it is told to disconnect, but not when the server ends it.
    const listener: unknown = Reflect.get(this, "onFfiEvent")
    if (isListener(listener)) globalThis._ffiClientInstance?.off("ffi_event", listener)
    this.removeAllListeners()
    for (const participant of this.remoteParticipants.values()) disposeParticipant(participant)
    if (this.localParticipant !== undefined) disposeParticipant(this.localParticipant)
    dispose(Reflect.get(this, "ffiHandle"))
  }
}
