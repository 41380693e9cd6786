import { sampleRateHz } from "@rspp/runtime/ports/AudioFrame"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type { PlatformError, Scope } from "effect"

const headerBytes = 44

/** The header of a 16-bit PCM WAV at {@link sampleRateHz} with `dataBytes` bytes of audio. */
export const waveHeader = (channels: number, dataBytes: number): Uint8Array => {
  const header = new Uint8Array(headerBytes)
  const view = new DataView(header.buffer)
  const text = (at: number, s: string) => {
    for (let i = 0; i < s.length; i++) header[at + i] = s.charCodeAt(i)
  }
  text(0, "RIFF")
  view.setUint32(4, headerBytes - 8 + dataBytes, true)
  text(8, "WAVEfmt ")
  view.setUint32(16, 16, true)
  view.setUint16(20, 1, true)
  view.setUint16(22, channels, true)
  view.setUint32(24, sampleRateHz, true)
  view.setUint32(28, sampleRateHz * channels * 2, true)
  view.setUint16(32, channels * 2, true)
  view.setUint16(34, 16, true)
  text(36, "data")
  view.setUint32(40, dataBytes, true)
  return header
}

/** Two tracks as one stereo stream. The shorter is taken to go on in silence. */
export const interleave = (left: Int16Array, right: Int16Array): Int16Array => {
  const frames = Math.max(left.length, right.length)
  const both = new Int16Array(frames * 2)
  for (let i = 0; i < left.length; i++) both[2 * i] = left[i]!
  for (let i = 0; i < right.length; i++) both[2 * i + 1] = right[i]!
  return both
}

/** An open WAV file, 16-bit at {@link sampleRateHz}. */
export interface WaveWriter {
  /** Adds interleaved samples; a multiple of the channels. Not interruptible: a write that began ends. */
  readonly append: (samples: Int16Array) => Effect.Effect<void, PlatformError.PlatformError>
  /** Fixes the header. What is appended later is fixed by the next call, or by the scope's end. */
  readonly finish: Effect.Effect<void, PlatformError.PlatformError>
}

/**
 * Creates (or overwrites) a WAV file that is written piece by piece, in constant memory.
 *
 * The header is fixed when the scope closes, also on failure and interruption, so that the file is valid and holds all
 * that was appended. One writer at a time. Bound: 4 GB, which is more than 18 h of stereo.
 */
export const openWaveWriter = (
  path: string,
  channels: number
): Effect.Effect<WaveWriter, PlatformError.PlatformError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const file = yield* fs.open(path, { flag: "w" })
    let written = 0
    let fixed = 0
    yield* file.writeAll(waveHeader(channels, 0))
    const finish = Effect.uninterruptible(Effect.suspend(() => {
      if (fixed === written) return Effect.void
      const bytes = written
      return file.seek(0n, "start").pipe(
        Effect.andThen(file.writeAll(waveHeader(channels, bytes))),
        Effect.andThen(file.seek(BigInt(headerBytes + bytes), "start")),
        Effect.tap(() => Effect.sync(() => fixed = bytes)),
        Effect.asVoid
      )
    }))
    // A finalizer must not fail: who needs to know calls `finish`.
    yield* Effect.addFinalizer(() => Effect.ignore(finish))
    return {
      append: (samples) =>
        Effect.uninterruptible(Effect.suspend(() => {
          const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength)
          return Effect.andThen(
            file.writeAll(bytes),
            Effect.sync(() => {
              written += bytes.length
            })
          )
        })),
      finish
    }
  })

/** Writes a whole WAV file at once. */
export const writeWaveFile = (
  path: string,
  samples: Int16Array,
  channels = 1
): Effect.Effect<void, PlatformError.PlatformError, FileSystem.FileSystem> =>
  Effect.scoped(Effect.gen(function*() {
    const writer = yield* openWaveWriter(path, channels)
    yield* writer.append(samples)
    yield* writer.finish
  }))
