import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import { createRequire } from "node:module"
import { samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import type { AudioFrame } from "@rspp/runtime/ports/AudioFrame"
import { measured } from "@rspp/runtime/ports/MeasuredWork"
import { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import { VoiceActivity } from "@rspp/runtime/ports/VoiceActivity"
import { sha256Of } from "../internal/Sha256.ts"
import { loadSherpa } from "../internal/Sherpa.ts"
import * as WorkerClient from "../internal/WorkerClient.ts"
import { ProviderUnavailable } from "../ProviderUnavailable.ts"
import { windowSamples } from "./EdgeFinder.ts"
import type { SileroReply, SileroRequest } from "./silero.worker.ts"

export const providerId = "embedded/silero"

/** Audio that may wait for a worker that is behind; past it the detector fails as overloaded. */
export const maxBacklogMs = 5_000

/** The only window that Silero v5 has at 16 kHz. */
const windowMs = windowSamples / samplesPerMs

const modelSha256 = "2623a2953f6ff3d2c1e61740c6cdb7168133479b267dfef114a4a3cc5bdd788f"

/** Where the Silero v5 model is; throws when the package is not installed. */
export const modelPath = (): string =>
  createRequire(import.meta.url).resolve("@ricky0123/vad-web/dist/silero_vad_v5.onnx")

const failure = (message: string, options?: { readonly overload?: true; readonly blocked?: true }) =>
  new ProviderFailure({
    provider_id: providerId,
    outcome_class: options?.overload ? "overload" : options?.blocked ? "blocked" : "infrastructure_failure",
    retryable: options?.blocked !== true,
    message
  })

const unavailable = (message: string) => (cause: unknown) =>
  new ProviderUnavailable({
    provider_id: providerId,
    message: `${message}: ${cause instanceof Error ? cause.message : String(cause)}`,
    remedy: "Run npm install; if it says that a SHA-256 differs, remove node_modules first",
    cause
  })

/** The path of the model, after a check that it is the tested file and that the engine loads. */
export const check = Effect.tryPromise({
  try: async () => {
    const path = modelPath()
    const actual = await sha256Of(path)
    if (actual !== modelSha256) throw new Error(`${path} has SHA-256 ${actual}, expected ${modelSha256}`)
    loadSherpa()
    return path
  },
  catch: unavailable("Voice activity detection cannot run")
})

/**
 * Silero v5 in a worker thread as {@link VoiceActivity}.
 *
 * Frames go to the worker as soon as they fill a window of 32 ms and the last request has been answered (0.3–1 ms), so
 * batches form by themselves when it is behind. `speech_started` is reported once speech has lasted
 * `min_speech_ms` and not less than 64 ms; with its lag the model notices it 130–190 ms after the true onset, and the
 * edge's position is followed back to where the sound began. `speech_ended` is reported `min_silence_ms` after
 * the last speech sample, which is its position (to 32 ms).
 *
 * Lost frames: up to one second is heard as silence, more ends an open speech. Opening fails as `blocked` when
 * `window_ms` is not 32. A dead worker is reported once to each open detector that needs it; detectors opened later get
 * a new worker. More than {@link maxBacklogMs} of waiting audio is reported as `overload`.
 *
 * Each request is measured work, posted synchronously by `push`; the edges of `end` come after it the same way.
 */
export const make = Effect.fnUntraced(function*(options?: { readonly workerUrl?: URL }) {
  const path = yield* check
  const worker = yield* WorkerClient.make<SileroRequest, SileroReply>({
    name: "silero",
    url: options?.workerUrl ?? new URL("./silero.worker.ts", import.meta.url),
    workerData: { modelPath: path }
  })
  let nextDetector = 0

  // Loads the model (about 100 ms) before the first caller needs it.
  const warm = { on_threshold: 0.5, off_threshold: 0.35, min_speech_ms: 50, min_silence_ms: 250 }
  yield* worker.call({ type: "open", detector: -1, settings: warm }).pipe(
    Effect.andThen(worker.call({ type: "close", detector: -1 })),
    Effect.mapError(unavailable("Voice activity detection does not start"))
  )

  return VoiceActivity.of({
    open: Effect.fnUntraced(function*({ onEdge, onFailure, settings }) {
      if (settings.window_ms !== windowMs) {
        return yield* failure(`window_ms is ${settings.window_ms}; Silero has windows of ${windowMs} ms only`, {
          blocked: true
        })
      }
      const detector = nextDetector++
      yield* Effect.mapError(
        measured(worker.call({ type: "open", detector, settings })),
        (error) => failure(error.message)
      )
      yield* Effect.addFinalizer(() => Effect.sync(() => worker.tell({ type: "close", detector })))
      const generation = worker.generation()
      const fork = yield* FiberSet.makeRuntime<never, void, never>()

      let pending = new Int16Array(8 * windowSamples)
      let pendingCount = 0
      let pendingIndex = 0
      let unusedCount = 0
      let inFlight = 0
      /** `end` was called: no more frames, but what is in flight still reports its edges. */
      let ended = false
      /** A failure was reported: nothing is reported any more. */
      let closed = false

      const fail = (error: ProviderFailure): void => {
        if (closed) return
        closed = true
        onFailure(error)
      }
      const request = (message: SileroRequest): void => {
        if (worker.generation() !== generation) return fail(failure("The voice activity worker died"))
        inFlight++
        fork(
          Effect.match(measured(worker.call(message)), {
            onFailure: (error) => fail(failure(error.message)),
            onSuccess: (edges) => {
              inFlight--
              edges.forEach(onEdge)
              flushWhenFull()
            }
          }).pipe(Effect.catchDefect(() => Effect.sync(() => fail(failure("Voice activity detection broke")))))
        )
      }
      const flush = (): void => {
        if (pendingCount === 0) return
        const samples = pending.slice(0, pendingCount)
        unusedCount = (unusedCount + pendingCount) % windowSamples
        pendingCount = 0
        request({ type: "audio", detector, sampleIndex: pendingIndex, samples })
      }
      const flushWhenFull = (): void => {
        if (!closed && inFlight === 0 && unusedCount + pendingCount >= windowSamples) flush()
      }
      const push = (frame: AudioFrame): void => {
        if (closed || ended) return
        if (pendingCount > 0 && frame.sampleIndex !== pendingIndex + pendingCount) flush()
        if (pendingCount === 0) pendingIndex = frame.sampleIndex
        const needed = pendingCount + frame.samples.length
        if (needed > maxBacklogMs * samplesPerMs) {
          return fail(failure(`Voice activity detection is more than ${maxBacklogMs} ms behind`, { overload: true }))
        }
        if (needed > pending.length) {
          const grown = new Int16Array(needed * 2)
          grown.set(pending.subarray(0, pendingCount))
          pending = grown
        }
        pending.set(frame.samples, pendingCount)
        pendingCount = needed
        flushWhenFull()
      }
      const end = (): void => {
        if (closed || ended) return
        flush()
        request({ type: "end", detector })
        ended = true
      }
      return { push, end }
    })
  })
})

export const layer = Layer.effect(VoiceActivity, make())
