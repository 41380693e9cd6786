import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { PressureReason } from "@rspp/contracts/SessionInput"
import type { InputRecord, TimelineHeader } from "@rspp/contracts/Timeline"
import type { RecordingLevel } from "@rspp/contracts/TurnPlan"
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"
import type { Effect, Scope } from "effect"
import type { KernelOutput } from "../kernel/KernelContext.ts"

/** The timeline could not be opened or written. */
export class RecorderFailure extends Schema.TaggedError<RecorderFailure>()("RecorderFailure", {
  message: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {}

/** Why a session's recording was closed. */
export type CloseReason = "ended" | "interrupted" | "failed" | `broken:${string}`

/** What a recorder can still keep up with, and why that has changed. */
export interface RecordingPressure {
  readonly level: RecordingLevel
  readonly reason: PressureReason
}

/**
 * The recorder of one session. Every call is synchronous, bounded and never waits: the writer works behind it.
 *
 * Calls arrive in the order of `runtime_sequence`. Evidence is made only from what arrives here.
 */
export interface SessionRecorder {
  /** A frame of caller audio was sequenced. Frames are kept as runs. */
  readonly audio: (sequence: number, sampleIndex: number, timestampMs: number) => void
  readonly input: (record: InputRecord) => void
  /**
   * What the kernel put out in one step. A command `append_evidence` is answered with `onAppended` (room for the
   * turn's evidence and its terminal markers is kept, or refused); with the terminal and close that follow it, the
   * evidence is written as one group. `seal_supplement` writes the turn's supplement, if there is one. From
   * `limit_recording` on nothing above its level is kept.
   */
  readonly outputs: (outputs: ReadonlyArray<KernelOutput>) => void
  /** Text or speech behind a handle, kept as the recording level and the payload's class allow. */
  readonly payload: (handle: PayloadHandle, content: string | Int16Array) => void
  /** Samples of the caller; kept at L2 only. */
  readonly callerAudio: (sampleIndex: number, samples: Int16Array) => void
  /** Says why the recording ends; the scope then flushes and closes it. */
  readonly closing: (reason: CloseReason) => void
}

/**
 * Timeline recorder (OR-02), the port that a live session writes to and a replay swaps out.
 *
 * The recording lives as long as the scope; closing the scope flushes everything and writes the end record.
 */
export class Recorder extends Context.Service<Recorder, {
  readonly open: (options: {
    readonly header: TimelineHeader
    readonly onAppended: (turnId: string, result: "appended" | "refused") => void
    /**
     * Told when the recorder has to go down one level, and when it may go up again; it goes when the kernel says so. Where
     * nobody is told it keeps its level.
     */
    readonly onPressure?: (pressure: RecordingPressure) => void
  }) => Effect.Effect<SessionRecorder, RecorderFailure, Scope.Scope>
}>()("rspp/Recorder") {}
