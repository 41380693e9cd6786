/** A WAV file of these bytes. */
export const wave = (
  data: Uint8Array,
  { bits = 16, channels = 1, format = 1, rate = 16_000 }: {
    readonly rate?: number
    readonly channels?: number
    readonly format?: number
    readonly bits?: number
  } = {}
): Uint8Array => {
  const header = Buffer.alloc(44)
  header.write("RIFF", 0)
  header.writeUInt32LE(36 + data.length, 4)
  header.write("WAVEfmt ", 8)
  header.writeUInt32LE(16, 16)
  header.writeUInt16LE(format, 20)
  header.writeUInt16LE(channels, 22)
  header.writeUInt32LE(rate, 24)
  header.writeUInt32LE((rate * channels * bits) / 8, 28)
  header.writeUInt16LE((channels * bits) / 8, 32)
  header.writeUInt16LE(bits, 34)
  header.write("data", 36)
  header.writeUInt32LE(data.length, 40)
  return Buffer.concat([header, data])
}
