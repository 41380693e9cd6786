import { readFileSync, writeFileSync } from "node:fs"

/** Samples of a 16-bit PCM WAV, interleaved. */
export interface Wave {
  readonly rate: number
  readonly channels: number
  readonly samples: Int16Array
}

/** Reads a WAV of 16-bit PCM; throws on anything else. */
export const readWave = (file: string): Wave => {
  const bytes = readFileSync(file)
  if (bytes.toString("latin1", 0, 4) !== "RIFF" || bytes.toString("latin1", 8, 12) !== "WAVE") {
    throw new Error(`${file} is not a WAV`)
  }
  let format: { readonly rate: number; readonly channels: number } | undefined
  for (let at = 12; at + 8 <= bytes.length;) {
    const name = bytes.toString("latin1", at, at + 4)
    const size = bytes.readUInt32LE(at + 4)
    const body = at + 8
    if (name === "fmt ") {
      const [tag, channels, bits] = [
        bytes.readUInt16LE(body),
        bytes.readUInt16LE(body + 2),
        bytes.readUInt16LE(body + 14)
      ]
      if (tag !== 1 || bits !== 16) throw new Error(`${file} is not of 16-bit PCM`)
      format = { rate: bytes.readUInt32LE(body + 4), channels }
    } else if (name === "data") {
      if (format === undefined) break
      const count = Math.min(size, bytes.length - body) >> 1
      return { ...format, samples: Int16Array.from({ length: count }, (_, i) => bytes.readInt16LE(body + i * 2)) }
    }
    at = body + size + (size & 1)
  }
  throw new Error(`${file} has no samples`)
}

export const writeWave = (file: string, { channels, rate, samples }: Wave): void => {
  const bytes = Buffer.alloc(44 + samples.length * 2)
  bytes.write("RIFF", 0, "latin1")
  bytes.writeUInt32LE(36 + samples.length * 2, 4)
  bytes.write("WAVEfmt ", 8, "latin1")
  bytes.writeUInt32LE(16, 16)
  bytes.writeUInt16LE(1, 20)
  bytes.writeUInt16LE(channels, 22)
  bytes.writeUInt32LE(rate, 24)
  bytes.writeUInt32LE(rate * channels * 2, 28)
  bytes.writeUInt16LE(channels * 2, 32)
  bytes.writeUInt16LE(16, 34)
  bytes.write("data", 36, "latin1")
  bytes.writeUInt32LE(samples.length * 2, 40)
  for (const [i, sample] of samples.entries()) bytes.writeInt16LE(sample, 44 + i * 2)
  writeFileSync(file, bytes)
}
