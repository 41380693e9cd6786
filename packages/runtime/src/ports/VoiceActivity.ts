import * as Context from "effect/Context"
import type { Effect, Scope } from "effect"
import type { AudioFrame } from "./AudioFrame.ts"
import type { ProviderFailure } from "./ProviderFailure.ts"

/** Settings of a detector; the session's `voice_activity` settings (thresholds 0–1, times in ms). */
export interface VoiceActivitySettings {
  readonly on_threshold: number
  readonly off_threshold: number
  readonly window_ms: number
  readonly min_speech_ms: number
  readonly min_silence_ms: number
}

/**
 * An edge of the caller's speech. `sampleIndex` is where in the caller's stream it happened (the first or the last
 * sample of speech), not where it was noticed.
 */
export interface VoiceEdge {
  readonly edge: "speech_started" | "speech_ended"
  readonly sampleIndex: number
}

/** A running detector of one session. `push` is synchronous, never waits, and copies nothing it does not need. */
export interface VoiceActivityStream {
  readonly push: (frame: AudioFrame) => void
  /** The caller's stream has ended: reports an open speech as ended at its last speech sample. */
  readonly end: () => void
}

/**
 * Voice activity detection (RK-02's first port): finds where the caller's speech starts and ends.
 *
 * One detector per session, open as long as the scope. Edges are reported through `onEdge` in stream order, each
 * start followed by its end. Failures after opening are reported through `onFailure` once.
 */
export class VoiceActivity extends Context.Service<VoiceActivity, {
  readonly open: (options: {
    readonly settings: VoiceActivitySettings
    readonly onEdge: (edge: VoiceEdge) => void
    readonly onFailure: (failure: ProviderFailure) => void
  }) => Effect.Effect<VoiceActivityStream, ProviderFailure, Scope.Scope>
}>()("rspp/VoiceActivity") {}
