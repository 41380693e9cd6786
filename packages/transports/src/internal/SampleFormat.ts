/** How a sample is stored. All are little-endian. */
export type SampleEncoding = "u8" | "s16" | "s24" | "s32" | "f32" | "f64" | "mulaw" | "alaw"

/** Layout of PCM-like audio: `channels` samples of `bytes` bytes each make one sample frame. */
export interface SampleLayout {
  readonly encoding: SampleEncoding
  readonly bytes: number
  readonly channels: number
  readonly sampleRateHz: number
}

export const bytesOf: Record<SampleEncoding, number> = {
  u8: 1,
  s16: 2,
  s24: 3,
  s32: 4,
  f32: 4,
  f64: 8,
  mulaw: 1,
  alaw: 1
}

/** G.711 μ-law: one byte to 16-bit PCM. */
export const mulawToPcm = (byte: number): number => {
  const u = ~byte & 0xff
  const magnitude = ((((u & 0x0f) << 3) + 0x84) << ((u >> 4) & 7)) - 0x84
  return u & 0x80 ? -magnitude : magnitude
}

/** G.711 A-law: one byte to 16-bit PCM. */
export const alawToPcm = (byte: number): number => {
  const a = byte ^ 0x55
  const exponent = (a >> 4) & 7
  const mantissa = ((a & 0x0f) << 4) + 8
  const magnitude = exponent === 0 ? mantissa : (mantissa + 0x100) << (exponent - 1)
  return a & 0x80 ? magnitude : -magnitude
}

const table = (decode: (byte: number) => number) => Float32Array.from({ length: 256 }, (_, byte) => decode(byte))
const mulawTable = table(mulawToPcm)
const alawTable = table(alawToPcm)

type Read = (view: DataView, at: number) => number

// Every reader gives a sample on the scale of 16-bit PCM.
const readers: Record<SampleEncoding, Read> = {
  u8: (view, at) => (view.getUint8(at) - 128) * 256,
  s16: (view, at) => view.getInt16(at, true),
  s24: (view, at) => ((view.getInt16(at + 1, true) << 8) | view.getUint8(at)) / 256,
  s32: (view, at) => view.getInt32(at, true) / 65536,
  f32: (view, at) => finite(view.getFloat32(at, true)) * 32768,
  f64: (view, at) => finite(view.getFloat64(at, true)) * 32768,
  mulaw: (view, at) => mulawTable[view.getUint8(at)]!,
  alaw: (view, at) => alawTable[view.getUint8(at)]!
}

const finite = (x: number): number => Number.isFinite(x) ? x : 0

/** Decodes whole sample frames and mixes the channels down to their mean, on the scale of 16-bit PCM. */
export const toMono = (bytes: Uint8Array, layout: SampleLayout): Float32Array => {
  const { bytes: width, channels } = layout
  const read = readers[layout.encoding]
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const mono = new Float32Array(Math.floor(bytes.length / (width * channels)))
  for (let i = 0, at = 0; i < mono.length; i++) {
    let sum = 0
    for (let c = 0; c < channels; c++, at += width) sum += read(view, at)
    mono[i] = sum / channels
  }
  return mono
}

/** Rounds to 16-bit PCM; what is too loud is clipped. */
export const toInt16 = (from: Float32Array, into: Int16Array, at: number): void => {
  for (let i = 0; i < from.length; i++) {
    const x = Math.round(from[i]!)
    into[at + i] = x > 32767 ? 32767 : x < -32768 ? -32768 : x
  }
}
