import { sampleRateHz } from "@rspp/runtime/ports/AudioFrame"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { PlatformError } from "effect"
import { makeResampler } from "../internal/Resampler.ts"
import { bytesOf, type SampleLayout, toInt16, toMono } from "../internal/SampleFormat.ts"
import { maxChannels, WaveFault, WaveParser } from "../internal/WaveParser.ts"

/**
 * An audio input cannot be used. `message` names the input, says what is wrong and what to do.
 *
 * - `missing`, `directory`, `unreadable`: the file itself
 * - `empty`: 0 bytes; `no_samples`: a header and nothing else
 * - `not_wav`: something else (named, when known); `malformed`: a WAV whose header makes no sense
 * - `unsupported_codec`, `unsupported_rate`: named in the message
 * - `too_long`: more than {@link maxInputHours}
 * - `bad_options`: the raw format that was given is out of bounds
 */
export class WaveFileError extends Schema.TaggedError<WaveFileError>()("WaveFileError", {
  code: Schema.Literals([
    "missing",
    "directory",
    "unreadable",
    "empty",
    "no_samples",
    "not_wav",
    "malformed",
    "unsupported_codec",
    "unsupported_rate",
    "too_long",
    "bad_options"
  ]),
  input: Schema.String,
  message: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {}

/** Longest recording that is read: 4 h, which is 461 MB of samples. */
export const maxInputHours = 4

/** Sample rates that are read, in Hz: telephone to studio. */
export const inputRateHz = { min: 8_000, max: 192_000 } as const

/** Nothing above this is silence: −60 dBFS of 16-bit PCM. */
const silencePeak = 32

/** What is played in as the caller: mono, 16 kHz, 16-bit. */
export interface Recording {
  readonly samples: Int16Array
  /** What the user should know about how the input was read: a mix-down, a file cut short, silence. */
  readonly notices: ReadonlyArray<string>
  /** What the input was. */
  readonly source: { readonly sampleRateHz: number; readonly channels: number; readonly encoding: string }
}

export interface ReadOptions {
  /** The bytes are raw 16-bit little-endian PCM of this layout. Default: a WAV. */
  readonly raw?: { readonly sampleRateHz: number; readonly channels: number }
  /** Longest input, in seconds. Default {@link maxInputHours}. */
  readonly maxSeconds?: number
}

/**
 * Reads a WAV (PCM of 8, 16, 24 or 32 bits, float, μ-law, A-law; RF64 too) or raw 16-bit PCM into mono 16 kHz.
 *
 * Channels are mixed down to their mean, with a notice. A file that ends before its header says is read as far as it
 * goes, with a notice.
 */
export const readAudioFile = (
  path: string,
  options?: ReadOptions
): Effect.Effect<Recording, WaveFileError, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const info = yield* Effect.mapError(fs.stat(path), (error) => platformFault(path, error))
    if (info.type === "Directory") {
      return yield* fault(path, "directory", "it is a directory; give the path of a WAV file")
    }
    return yield* readAudioStream(fs.stream(path, { chunkSize: 1 << 18 }), path, options)
  })

/** {@link readAudioFile} for bytes that come from elsewhere, such as standard input. `input` names them in messages. */
export const readAudioStream = (
  bytes: Stream.Stream<Uint8Array, PlatformError.PlatformError>,
  input: string,
  options?: ReadOptions
): Effect.Effect<Recording, WaveFileError> =>
  Effect.scoped(Effect.gen(function*() {
    const raw = options?.raw
    const maxSeconds = options?.maxSeconds ?? maxInputHours * 3600
    if (raw !== undefined) yield* checkRaw(input, raw)
    const pieces: Array<Uint8Array> = []
    const parser = new WaveParser((data) => pieces.push(data))
    let layout: SampleLayout | undefined
    if (raw !== undefined) layout = { encoding: "s16", bytes: bytesOf.s16, ...raw }
    let push: ((mono: Float32Array) => void) | undefined
    let end = () => {}
    const sink = new SampleSink()
    let rest: Uint8Array = new Uint8Array(0)
    let totalBytes = 0
    let audioFrames = 0

    const take = Effect.fnUntraced(function*(chunk: Uint8Array) {
      totalBytes += chunk.length
      if (raw === undefined) {
        yield* Effect.try({ try: () => parser.push(chunk), catch: (cause) => waveFault(input, cause) })
        layout ??= parser.layout
        if (layout !== undefined) yield* checkRate(input, layout.sampleRateHz)
      } else {
        pieces.push(chunk)
      }
      if (layout === undefined) return
      const frameBytes = layout.bytes * layout.channels
      const maxFrames = maxSeconds * layout.sampleRateHz
      if ((parser.promisedBytes ?? 0) > maxFrames * frameBytes) return yield* tooLong(input, maxSeconds)
      if (push === undefined) {
        if (layout.sampleRateHz === sampleRateHz) {
          push = (mono) => sink.add(mono)
        } else {
          const resampler = yield* makeResampler(layout.sampleRateHz, sampleRateHz)
          push = (mono) => resampler.push(mono, (out) => sink.add(out))
          end = () => resampler.end((out) => sink.add(out))
        }
      }
      for (const piece of pieces) {
        const data = rest.length === 0 ? piece : concat(rest, piece)
        const whole = data.length - data.length % frameBytes
        audioFrames += whole / frameBytes
        if (audioFrames > maxFrames) return yield* tooLong(input, maxSeconds)
        push(toMono(data.subarray(0, whole), layout))
        rest = data.slice(whole)
      }
      pieces.length = 0
    })

    yield* Stream.runForEach(bytes, take).pipe(
      Effect.catchTag("PlatformError", (error) => Effect.fail(platformFault(input, error)))
    )
    if (totalBytes === 0) return yield* fault(input, "empty", "it is empty (0 bytes); record it again")
    if (raw === undefined) {
      yield* Effect.try({ try: () => parser.end(), catch: (cause) => waveFault(input, cause) })
    }
    end()
    if (layout === undefined || sink.length === 0) {
      return yield* fault(input, "no_samples", "it has no samples, only a header; record it again")
    }

    const notices: Array<string> = []
    const seconds = (bytes: number) => (bytes / (layout!.bytes * layout!.channels * layout!.sampleRateHz)).toFixed(3)
    if (raw === undefined && parser.truncated) {
      notices.push(
        `${input} is cut short: it has ${seconds(parser.dataBytes)} s of the ${
          seconds(parser.promisedBytes!)
        } s that its header promises. What is there was read.`
      )
    } else if (rest.length > 0) {
      notices.push(`${input} ends within a sample; its last ${rest.length} bytes were left out.`)
    }
    if (layout.channels > 1) {
      notices.push(
        `${input} is ${layout.channels === 2 ? "stereo" : `of ${layout.channels} channels`}; it was mixed down to mono.`
      )
    }
    if (sink.peak <= silencePeak) {
      notices.push(`${input} holds only silence (nothing above -60 dBFS); nobody will be heard.`)
    }
    return {
      samples: sink.samples(),
      notices,
      source: { sampleRateHz: layout.sampleRateHz, channels: layout.channels, encoding: layout.encoding }
    }
  }))

/** Growing 16-bit samples. */
class SampleSink {
  length = 0
  peak = 0
  private buffer = new Int16Array(1 << 16)

  add(block: Float32Array): void {
    if (this.length + block.length > this.buffer.length) {
      const larger = new Int16Array(Math.max(this.buffer.length * 2, this.length + block.length))
      larger.set(this.buffer.subarray(0, this.length))
      this.buffer = larger
    }
    toInt16(block, this.buffer, this.length)
    for (let i = this.length; i < this.length + block.length; i++) {
      const level = Math.abs(this.buffer[i]!)
      if (level > this.peak) this.peak = level
    }
    this.length += block.length
  }

  samples(): Int16Array {
    return this.buffer.subarray(0, this.length)
  }
}

const concat = (a: Uint8Array, b: Uint8Array): Uint8Array => {
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}

const fault = (input: string, code: WaveFileError["code"], what: string, cause?: unknown): WaveFileError =>
  new WaveFileError({
    code,
    input,
    message: `${input} cannot be played: ${what}.`,
    ...(cause === undefined ? {} : { cause })
  })

const convert = "convert it, for example with: ffmpeg -i INPUT -ar 16000 -ac 1 OUTPUT.wav"

const tooLong = (input: string, maxSeconds: number): WaveFileError => {
  const bound = maxSeconds >= 3600 ? `${maxSeconds / 3600} hours` : `${maxSeconds} seconds`
  return fault(input, "too_long", `it is longer than ${bound}; play it in parts`)
}

const waveFault = (input: string, cause: unknown): WaveFileError => {
  if (!(cause instanceof WaveFault)) throw cause
  const advice = cause.code === "not_wav"
    ? `${convert}. Raw 16-bit PCM needs its rate and channels to be given`
    : convert
  return fault(input, cause.code, `${cause.message}; ${advice}`)
}

const platformFault = (input: string, error: PlatformError.PlatformError): WaveFileError => {
  switch (error.reason._tag) {
    case "NotFound":
      return fault(input, "missing", "there is no such file; check the path", error)
    case "PermissionDenied":
      return fault(input, "unreadable", "it may not be read; check its permissions", error)
    default:
      return fault(input, "unreadable", `reading it failed (${reasonOf(error)})`, error)
  }
}

/** The system's own words, such as `EIO: i/o error, read`. */
const reasonOf = (error: PlatformError.PlatformError): string => {
  const cause = error.reason.cause
  return cause instanceof Error ? cause.message : error.reason._tag
}

const checkRate = (input: string, rateHz: number): Effect.Effect<void, WaveFileError> =>
  rateHz >= inputRateHz.min && rateHz <= inputRateHz.max
    ? Effect.void
    : Effect.fail(fault(
      input,
      "unsupported_rate",
      `its sample rate is ${rateHz} Hz; ${inputRateHz.min} to ${inputRateHz.max} Hz can be read; ${convert}`
    ))

const checkRaw = (
  input: string,
  raw: { readonly sampleRateHz: number; readonly channels: number }
): Effect.Effect<void, WaveFileError> => {
  const whole = Number.isInteger(raw.sampleRateHz) && Number.isInteger(raw.channels)
  if (!whole || raw.channels < 1 || raw.channels > maxChannels) {
    const what =
      `raw PCM needs a whole rate and 1 to ${maxChannels} channels, not ${raw.sampleRateHz} Hz and ${raw.channels}`
    return Effect.fail(fault(input, "bad_options", what))
  }
  return checkRate(input, raw.sampleRateHz)
}
