import { sampleRateHz } from "@rspp/runtime/ports/AudioFrame"
import { bytesOf } from "../hosted/Pcm.ts"

/** Length of the header of a WAV file, in bytes. */
const headerBytes = 44

/** 16 kHz mono samples as a 16-bit WAV file. */
export const wavFile = (samples: Int16Array): Uint8Array<ArrayBuffer> => {
  const file = new Uint8Array(headerBytes + samples.byteLength)
  const view = new DataView(file.buffer)
  const name = (at: number, four: string) => {
    for (let index = 0; index < 4; index++) view.setUint8(at + index, four.charCodeAt(index))
  }
  name(0, "RIFF")
  view.setUint32(4, file.length - 8, true)
  name(8, "WAVE")
  name(12, "fmt ")
  view.setUint32(16, 16, true)
  // PCM, one channel.
  view.setUint16(20, 1, true)
  view.setUint16(22, 1, true)
  view.setUint32(24, sampleRateHz, true)
  view.setUint32(28, sampleRateHz * 2, true)
  view.setUint16(32, 2, true)
  view.setUint16(34, 16, true)
  name(36, "data")
  view.setUint32(40, samples.byteLength, true)
  file.set(bytesOf(samples), headerBytes)
  return file
}
