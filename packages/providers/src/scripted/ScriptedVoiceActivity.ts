import { samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import { VoiceActivity } from "@rspp/runtime/ports/VoiceActivity"
import { Effect, Layer } from "effect"

/** Loudness from which a frame counts as speech, of 32,767: −36 dB. */
const speechLevel = 500

const isLoud = (samples: Int16Array): boolean => {
  for (let i = 0; i < samples.length; i++) if (Math.abs(samples[i] ?? 0) >= speechLevel) return true
  return false
}

/** So much sound that {@link layer} takes for speech, in ms. What is said in it is the recogniser's script to say. */
export const speech = (ms: number): Int16Array => new Int16Array(ms * samplesPerMs).fill(4000)

/**
 * Voice activity for callers that are scripted: a frame with sound in it is speech. It reports at once and to the sample,
 * and costs next to nothing. Not for microphones: any noise is speech to it.
 */
export const layer: Layer.Layer<VoiceActivity> = Layer.succeed(VoiceActivity, {
  open: ({ onEdge, settings }) =>
    Effect.sync(() => {
      let speaking = false
      let lastSpeech = 0
      const ended = () => {
        speaking = false
        onEdge({ edge: "speech_ended", sampleIndex: lastSpeech })
      }
      return {
        push: ({ sampleIndex, samples }) => {
          if (isLoud(samples)) {
            lastSpeech = sampleIndex + samples.length
            if (speaking) return
            speaking = true
            onEdge({ edge: "speech_started", sampleIndex })
          } else if (speaking && sampleIndex - lastSpeech >= settings.min_silence_ms * samplesPerMs) ended()
        },
        end: () => {
          if (speaking) ended()
        }
      }
    })
})
