import { sampleRateHz } from "@rspp/runtime/ports/AudioFrame"
import * as Effect from "effect/Effect"
import type { OpusPackets } from "./WebmOpus.ts"

/** Packets that are decoded before other fibers have their turn: half a second of them. */
const stepPackets = 25

/** Rate at which Opus counts samples, Hz. */
const opusRate = 48_000

/**
 * The sound of Opus packets, at 16 kHz, one channel, up to `maxSamples`. A packet that cannot be decoded is left out.
 *
 * The decoder (libopus, as WebAssembly) is loaded when the first recording comes.
 */
export const decodeOpus = (
  { channels, packets, preSkip }: OpusPackets,
  maxSamples: number
): Effect.Effect<Int16Array> =>
  Effect.gen(function*() {
    const decoder = yield* Effect.acquireRelease(
      Effect.promise(async () => {
        const { OpusDecoder } = await import("opus-decoder")
        const made = new OpusDecoder({ sampleRate: sampleRateHz, channels })
        await made.ready
        return made
      }),
      (made) => Effect.sync(() => made.free())
    )
    const samples = new Int16Array(maxSamples)
    let at = 0
    let skip = Math.round(preSkip * sampleRateHz / opusRate)
    for (let from = 0; from < packets.length && at < maxSamples; from += stepPackets) {
      const { channelData, samplesDecoded } = decoder.decodeFrames(packets.slice(from, from + stepPackets))
      for (let i = Math.min(skip, samplesDecoded); i < samplesDecoded && at < maxSamples; i++) {
        let sum = 0
        for (const channel of channelData) sum += channel[i] ?? 0
        const sample = Math.round(sum / channelData.length * 32_768)
        samples[at++] = Math.max(-32_768, Math.min(32_767, sample))
      }
      skip = Math.max(0, skip - samplesDecoded)
      yield* Effect.yieldNow
    }
    return samples.slice(0, at)
  }).pipe(Effect.scoped)
