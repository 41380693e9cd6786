import type { ByteStreamReader } from "@livekit/rtc-node"
import { sampleRateHz, samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import * as Effect from "effect/Effect"
import { decodeOpus } from "../../internal/OpusRecording.ts"
import { makeResampler } from "../../internal/Resampler.ts"
import { opusPackets } from "../../internal/WebmOpus.ts"
import type { RoomExtension } from "../RoomExtension.ts"
import { IncomingStreams, readBounded, StreamRefused } from "./IncomingStreams.ts"

/** Topic of the byte stream. */
export const preConnectTopic = "lk.agent.pre-connect-audio-buffer"

/** The longest recording that is taken, ms: clients stop recording after 10 s, and a busy one somewhat later. */
export const maxPreConnectMs = 12_000

/** How long a recording may take to come in, ms; agents of LiveKit wait as long. */
export const preConnectTimeoutMs = 3000

/** Bytes of Opus, at most: the longest recording at its highest rate, 510 kbit/s. */
const maxOpusBytes = maxPreConnectMs * 510 / 8

/** Sample rates that are taken, Hz, and the most channels. */
const rates = { min: 8000, max: 96_000 } as const
const maxChannels = 2

/** Samples that are resampled before other fibers have their turn. */
const stepSamples = 48_000

const bytesPerSample = 2

/** What a stream holds. */
type Format =
  | { readonly kind: "pcm"; readonly rate: number; readonly channels: number }
  | { readonly kind: "webm" }

const formatOf = ({ attributes, mimeType }: ByteStreamReader["info"]): Format | StreamRefused => {
  if (/webm|^audio\/opus/iu.test(mimeType)) return { kind: "webm" }
  if (/ogg|mp4|mpeg|aac|opus|flac/iu.test(mimeType)) {
    return new StreamRefused({ message: `it is ${mimeType}, and only WebM with Opus, and PCM, are understood` })
  }
  const rate = Number(attributes?.["sampleRate"])
  const channels = Number(attributes?.["channels"])
  const fits = Number.isInteger(rate) && rate >= rates.min && rate <= rates.max &&
    Number.isInteger(channels) && channels >= 1 && channels <= maxChannels
  if (fits) return { kind: "pcm", rate, channels }
  return new StreamRefused({
    message: `its attributes must say sampleRate (${rates.min} to ${rates.max}) and channels (1 or ${maxChannels})`
  })
}

/** One channel, from the bytes of interleaved samples; half a sample at the end is left out. */
const monoOf = (bytes: Buffer, channels: number): Float32Array => {
  const samples = new Float32Array(Math.floor(bytes.length / (bytesPerSample * channels)))
  for (let i = 0; i < samples.length; i++) {
    let sum = 0
    for (let channel = 0; channel < channels; channel++) {
      sum += bytes.readInt16LE((i * channels + channel) * bytesPerSample)
    }
    samples[i] = sum / channels / 32_768
  }
  return samples
}

/** The samples at 16 kHz. */
const atSessionRate = (mono: Float32Array, rate: number): Effect.Effect<Int16Array> =>
  Effect.gen(function*() {
    const samples = new Int16Array(Math.round(mono.length * sampleRateHz / rate))
    let at = 0
    const add = (block: Float32Array) => {
      for (const sample of block) {
        if (at < samples.length) samples[at++] = Math.max(-32_768, Math.min(32_767, Math.round(sample * 32_768)))
      }
    }
    if (rate === sampleRateHz) {
      add(mono)
      return samples
    }
    const resampler = yield* makeResampler(rate, sampleRateHz)
    for (let from = 0; from < mono.length; from += stepSamples) {
      resampler.push(mono.subarray(from, from + stepSamples), add)
      yield* Effect.yieldNow
    }
    resampler.end(add)
    return samples
  }).pipe(Effect.scoped)

const decoded = (bytes: Buffer, format: Format): Effect.Effect<Int16Array, StreamRefused> => {
  if (format.kind === "pcm") return atSessionRate(monoOf(bytes, format.channels), format.rate)
  const opus = opusPackets(bytes)
  if (typeof opus === "string") return new StreamRefused({ message: opus })
  if (opus.channels < 1 || opus.channels > maxChannels) {
    return new StreamRefused({ message: `it has ${opus.channels} channels, and 1 or ${maxChannels} are understood` })
  }
  return decodeOpus(opus, maxPreConnectMs * samplesPerMs)
}

/**
 * What the caller said before the agent came: clients that connect with a pre-connect buffer send it as a byte stream on
 * topic `lk.agent.pre-connect-audio-buffer`, and it is heard before their live audio.
 *
 * The handler is registered before the room is connected; the stream may be the first thing that comes. Taken is what
 * browsers record (`audio/webm;codecs=opus`), and PCM (16 bits, little endian, 8 to 96 kHz, as the attributes
 * `sampleRate` and `channels` say), which LiveKit's native clients send; 1 or 2 channels, up to 12 s, complete within 3 s.
 *
 * Not taken: AAC in `video/mp4`, which Safari before version 18.4 records, and Ogg. Such a call goes on without it: the
 * caller is heard from the moment on that the agent is there, and the log says so.
 *
 * source: livekit/agents livekit-agents/livekit/agents/voice/room_io/_pre_connect_audio.py (agents-js has none);
 * livekit/client-sdk-js src/room/participant/LocalParticipant.ts, src/room/track/LocalTrack.ts
 */
export const preConnectAudio = (): RoomExtension => {
  const streams = new IncomingStreams<ByteStreamReader>("audio from before the agent came")
  let recorded: Int16Array | undefined
  const take = (reader: ByteStreamReader) =>
    Effect.gen(function*() {
      const format = formatOf(reader.info)
      if (format instanceof StreamRefused) {
        void reader.close()
        return yield* format
      }
      const chunks = yield* readBounded(reader, {
        maxSize: format.kind === "webm"
          ? maxOpusBytes
          : Math.ceil(maxPreConnectMs * format.rate / 1000) * format.channels * bytesPerSample,
        timeoutMs: preConnectTimeoutMs,
        sizeOf: (chunk) => chunk.length
      })
      const samples = yield* decoded(Buffer.concat(chunks), format)
      if (samples.length === 0) return yield* new StreamRefused({ message: "there is no sound in it" })
      recorded = samples
    })
  return {
    beforeConnect: (room) => room.registerByteStreamHandler(preConnectTopic, streams.take),
    linked: streams.linked,
    joined: ({ room }) => streams.serve(take, () => room.unregisterByteStreamHandler(preConnectTopic)),
    preConnectAudio: () => {
      const samples = recorded
      recorded = undefined
      return samples
    }
  }
}
