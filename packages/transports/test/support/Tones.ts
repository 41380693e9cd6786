// Tones that survive Opus: which of them is in a stretch of audio, and how loud.
import { frameSamples, sampleRateHz } from "@rspp/runtime/ports/AudioFrame"

/** Amplitude of the test's tones: −12 dBFS. */
export const toneAmplitude = 8_000

/** A tone; it begins and ends softly (5 ms), so that it does not click. */
export const tone = (hz: number, length: number, from = 0, amplitude = toneAmplitude): Int16Array => {
  const edge = 80
  return Int16Array.from({ length }, (_, i) => {
    const soft = Math.min(1, (i + 1) / edge, (length - i) / edge)
    return Math.round(soft * amplitude * Math.sin(2 * Math.PI * hz * (from + i) / sampleRateHz))
  })
}

/** Amplitude of a tone within samples (Goertzel). */
export const amplitudeOf = (hz: number, samples: Int16Array): number => {
  const w = 2 * Math.PI * hz / sampleRateHz
  const k = 2 * Math.cos(w)
  let a = 0
  let b = 0
  for (const x of samples) [a, b] = [x + k * a - b, a]
  return 2 * Math.sqrt(Math.max(0, a * a + b * b - k * a * b)) / samples.length
}

/** In how many 20 ms frames a tone is heard, at a quarter of its level at least. */
export const framesWith = (hz: number, samples: Int16Array, amplitude = toneAmplitude): number => {
  let count = 0
  for (let at = 0; at + frameSamples <= samples.length; at += frameSamples) {
    if (amplitudeOf(hz, samples.subarray(at, at + frameSamples)) >= amplitude / 4) count++
  }
  return count
}
