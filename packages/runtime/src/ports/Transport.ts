import * as Context from "effect/Context"
import * as Schema from "effect/Schema"
import type { Effect, Scope } from "effect"
import type { AudioFrame } from "./AudioFrame.ts"

/** The transport could not be opened, or broke. `message` is one sentence without secrets. */
export class TransportFailure extends Schema.TaggedError<TransportFailure>()("TransportFailure", {
  transport_id: Schema.String,
  message: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {}

/** What becomes of the connection, normalised (RK-23). */
export type ConnectionState = "connected" | "reconnecting" | "disconnected" | "ended" | "silence" | "stall"

/** Where a transport delivers what comes from the caller. Every call is synchronous and never waits. */
export interface TransportIngress {
  /** A frame arrived. False: the session had no room and the frame is lost; the transport counts it. */
  readonly audio: (frame: AudioFrame) => boolean
  readonly connection: (state: ConnectionState) => void
  /** The caller typed a message. `idempotencyKey`, where the client has one, makes of a repeated message one. */
  readonly text: (text: string, idempotencyKey?: string) => void
  /**
   * The caller pressed or released its key, or takes back what it said since the press; of use in sessions with
   * `turn_detection: push_to_talk`.
   */
  readonly pushToTalk: (state: "pressed" | "released" | "cancelled") => void
  /** The caller's audio stream has ended (a file's end, a hang-up). */
  readonly audioEnded: () => void
}

/**
 * The agent's audio output: a short queue of frames that plays in real time (of the session's clock).
 *
 * `capacityMs` is 20 to 200 (CONTRACT section 4). `capture` takes up to 20 ms of samples, resolves when they are in the
 * queue, and waits while the queue is full: this paces egress. One writer at a time.
 */
export interface AudioOutput {
  readonly capacityMs: number
  readonly capture: (samples: Int16Array) => Effect.Effect<void, TransportFailure>
  /**
   * False: nobody could hear a frame now (nobody listens yet, the connection is being made again), and a capture would wait
   * for more than room. The writer waits instead, and asks again: a frame is checked for its authority when it leaves.
   */
  readonly accepts?: () => boolean
  /** Samples that are in the queue and have not been played yet. */
  readonly queuedSamples: () => number
  /**
   * Empties the queue at once, synchronously: nothing that it held is played, nor a frame whose capture still waits.
   * Returns the number of samples dropped.
   */
  readonly clear: () => number
}

/** An open connection of one session. */
export interface TransportSession {
  readonly transport_id: string
  readonly output: AudioOutput
  /** Starts delivery; returns when the caller's side has ended for good (`ended` was reported). */
  readonly run: (ingress: TransportIngress) => Effect.Effect<void, TransportFailure>
}

/** The media transport (RK-22's port). Opening acquires the connection for as long as the scope. */
export class Transport extends Context.Service<Transport, {
  readonly open: (
    options: { readonly session_id: string }
  ) => Effect.Effect<TransportSession, TransportFailure, Scope.Scope>
}>()("rspp/Transport") {}
