import * as Context from "effect/Context"
import type { Effect } from "effect"

/** What happened on the line of one room, in counts since it was joined. Samples are of 16 kHz. */
export interface RoomReport {
  readonly session_id: string
  readonly room: string
  /** How long joining took, ms. */
  readonly joined_ms: number
  /** Who the session is about; undefined until somebody came. */
  readonly caller: string | undefined
  /** 20 ms frames of the caller that were delivered, filled ones included. */
  readonly frames: number
  /** Of these, frames that the session refused: it had no room. */
  readonly refused_frames: number
  /** Frames that came while the session's thread stood still for more than a second: the oldest were dropped. */
  readonly dropped_frames: number
  /** Frames of silence that stand for audio that nobody sent: a track muted or gone. */
  readonly filled_frames: number
  /** Samples that the caller's position moved on by without audio. */
  readonly gap_samples: number
  /** Frames from before the agent came. */
  readonly preconnect_frames: number
  /** Of the caller's RTP stream, by the native client's count; refreshed each 2 s. */
  readonly packets_received: number
  readonly packets_lost: number
  readonly concealed_samples: number
  /** Interarrival jitter (RFC 3550), ms: the last and the highest that was seen. */
  readonly jitter_ms: number
  readonly jitter_max_ms: number
  /** How often our own connection was made again, and how often the caller came back. */
  readonly reconnects: number
  readonly caller_returns: number
  /** How often the caller's audio failed to come, and how often for so long that the turn ended. */
  readonly silences: number
  readonly stalls: number
  /** Samples of the agent that were given to the native client, and those that were taken back. */
  readonly captured_samples: number
  readonly cleared_samples: number
  /** What the user should know; at most 100. */
  readonly notices: ReadonlyArray<string>
}

/** The report of the room that a transport has joined; undefined before it is opened. Readable at any time. */
export class RoomReports extends Context.Service<RoomReports, {
  readonly report: Effect.Effect<RoomReport | undefined>
}>()("rspp/transports/RoomReports") {}
