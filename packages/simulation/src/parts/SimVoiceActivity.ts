import { frameMs, frameSamples, samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import { VoiceActivity } from "@rspp/runtime/ports/VoiceActivity"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Pipe } from "./Pipe.ts"
import type { SimCall } from "./SimCall.ts"
import { soundOf } from "./SpeechBook.ts"

/** How sure the detector is that a sound is speech. A noise deceives it at the usual threshold, so does the agent's echo. */
const probability = (sound: number): number => {
  if (sound >= soundOf.word) return 0.95
  if (sound === soundOf.echo) return 0.7
  return sound === soundOf.noise ? 0.55 : 0.02
}

const cannotLoad = Effect.fail(
  new ProviderFailure({
    provider_id: "sim/vad",
    outcome_class: "infrastructure_failure",
    retryable: false,
    message: "the model cannot be loaded"
  })
)

/**
 * Voice activity of a simulated call: thresholds and times of the session's settings, applied to what each frame is.
 * Results take `voiceActivityMs` of the scenario, in order.
 */
export const layer = (call: SimCall): Layer.Layer<VoiceActivity> =>
  Layer.succeed(VoiceActivity, {
    open: ({ onEdge, settings }) =>
      call.scenario.refused === "voice_activity" ? cannotLoad : Effect.map(
        Effect.acquireRelease(Effect.sync(() => new Pipe(call.world)), (pipe) => Effect.sync(() => pipe.close())),
        (pipe) => {
          const { voiceActivityMs } = call.scenario
          let speaking = false
          let onset: number | undefined
          let speechMs = 0
          let lastSpeech = 0
          let newest = -1
          const report = (edge: "speech_started" | "speech_ended", sampleIndex: number) =>
            pipe.push(voiceActivityMs, () => onEdge({ edge, sampleIndex }))
          const ended = () => {
            speaking = false
            onset = undefined
            report("speech_ended", lastSpeech)
          }
          return {
            push: ({ sampleIndex, samples }) => {
              // Overtaken or repeated: a detector cannot go back.
              if (sampleIndex <= newest) return
              newest = sampleIndex
              const p = probability(samples[0] ?? 0)
              const end = sampleIndex + frameSamples
              if (speaking) {
                if (p >= settings.off_threshold) lastSpeech = end
                else if (end - lastSpeech >= settings.min_silence_ms * samplesPerMs) ended()
                return
              }
              if (p < settings.on_threshold) {
                onset = undefined
                return
              }
              if (onset === undefined) {
                onset = sampleIndex
                speechMs = 0
              }
              speechMs += frameMs
              if (speechMs < settings.min_speech_ms) return
              speaking = true
              lastSpeech = end
              report("speech_started", onset)
            },
            end: () => {
              if (speaking) ended()
            }
          }
        }
      )
  })
