import { workerData } from "node:worker_threads"
import { loadSherpa } from "../internal/Sherpa.ts"
import type { SherpaVad } from "../internal/Sherpa.ts"
import { serve } from "../internal/WorkerServer.ts"
import { EdgeFinder } from "./EdgeFinder.ts"
import type { EdgeFinderSettings } from "./EdgeFinder.ts"
import type { VoiceEdge } from "@rspp/runtime/ports/VoiceActivity"

/**
 * What the worker does: keep one detector per open stream.
 *
 * `audio` carries samples from `sampleIndex` on, without gaps; `end` reports an open speech as ended.
 */
export type SileroRequest =
  | { readonly type: "open"; readonly detector: number; readonly settings: EdgeFinderSettings }
  | { readonly type: "audio"; readonly detector: number; readonly sampleIndex: number; readonly samples: Int16Array }
  | { readonly type: "end"; readonly detector: number }
  | { readonly type: "close"; readonly detector: number }

/** The edges found by a request, in stream order. */
export type SileroReply = ReadonlyArray<VoiceEdge>

const { Vad } = loadSherpa()

/** Models of closed streams, kept for the next one with the same threshold: loading one takes 20–120 ms. */
const idle = new Map<number, Array<SherpaVad>>()
const maxIdlePerThreshold = 8

/**
 * Silero's window decision with nothing added: sherpa's own minimum times are set (next to) zero, because its segments
 * end with an estimate and are only known afterwards; {@link EdgeFinder} does the times exactly.
 */
const acquire = (threshold: number): SherpaVad => {
  const kept = idle.get(threshold)?.pop()
  if (kept !== undefined) return kept
  const sileroVad = {
    model: workerData.modelPath as string,
    threshold,
    minSpeechDuration: 1e-5,
    minSilenceDuration: 1e-5,
    windowSize: 512,
    // sherpa raises the threshold after this much speech without a single quiet window.
    maxSpeechDuration: 45
  }
  return new Vad({ sileroVad, sampleRate: 16_000, numThreads: 1, debug: 0 }, 60)
}

const release = (threshold: number, vad: SherpaVad): void => {
  const kept = idle.get(threshold) ?? []
  if (kept.length >= maxIdlePerThreshold) return
  vad.reset()
  idle.set(threshold, [...kept, vad])
}

interface Detector {
  readonly finder: EdgeFinder
  readonly models: ReadonlyArray<readonly [threshold: number, vad: SherpaVad]>
}

const detectors = new Map<number, Detector>()

const openDetector = (settings: EdgeFinderSettings): Detector => {
  const models = EdgeFinder.modelThresholds(settings).map((threshold) => [threshold, acquire(threshold)] as const)
  const window = (samples: Float32Array) =>
    models.map(([, vad]) => {
      vad.acceptWaveform(samples)
      while (!vad.isEmpty()) vad.pop()
      return vad.isDetected()
    })
  return { models, finder: new EdgeFinder(settings, window, () => models.forEach(([, vad]) => vad.reset())) }
}

serve<SileroRequest, SileroReply>((request) => {
  if (request.type === "open") {
    detectors.set(request.detector, openDetector(request.settings))
    return { value: [] }
  }
  const detector = detectors.get(request.detector)
  if (detector === undefined) throw new Error("the detector is not open")
  switch (request.type) {
    case "audio":
      return { value: detector.finder.push(request.sampleIndex, request.samples) }
    case "end":
      return { value: detector.finder.end() }
    case "close":
      detectors.delete(request.detector)
      for (const [threshold, vad] of detector.models) release(threshold, vad)
      return { value: [] }
  }
})
