import { frameSamples, samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import { VoiceActivity } from "@rspp/runtime/ports/VoiceActivity"
import { Effect, Layer } from "effect"

/** Loudness from which a frame of a test's audio counts as speech. */
const speechLevel = 500

/** So much sound that {@link layer} takes for speech, in ms. What is said in it is the recogniser's script to say. */
export const speech = (ms: number): Int16Array => new Int16Array(ms * samplesPerMs).fill(4000)

/**
 * Voice activity for tests: a frame with sound in it is speech. It reports at once and exactly, so that a test knows to
 * the sample what the session is told.
 */
export const layer = Layer.succeed(VoiceActivity, {
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
          const loud = samples.some((sample) => Math.abs(sample) >= speechLevel)
          if (loud) {
            lastSpeech = sampleIndex + frameSamples
            if (!speaking) {
              speaking = true
              onEdge({ edge: "speech_started", sampleIndex })
            }
          } else if (speaking && sampleIndex - lastSpeech >= settings.min_silence_ms * samplesPerMs) ended()
        },
        end: () => {
          if (speaking) ended()
        }
      }
    })
})
