import { bytesOf, type SampleEncoding, type SampleLayout } from "./SampleFormat.ts"

/** What is wrong with the bytes; {@link WaveParser} throws it, the reader adds the name of the input. */
export class WaveFault extends Error {
  readonly code: "not_wav" | "malformed" | "unsupported_codec"
  constructor(code: WaveFault["code"], message: string) {
    super(message)
    this.code = code
  }
}

/** Names of `wFormatTag`, for the message about what cannot be read. */
const codecNames: Record<number, string> = {
  0x0002: "Microsoft ADPCM",
  0x0010: "OKI ADPCM",
  0x0011: "IMA ADPCM",
  0x0014: "G.723 ADPCM",
  0x0022: "TrueSpeech",
  0x0031: "GSM 6.10",
  0x0040: "G.721 ADPCM",
  0x0042: "G.723.1",
  0x0050: "MPEG",
  0x0055: "MP3",
  0x0064: "G.726 ADPCM",
  0x0065: "G.722 ADPCM",
  0x00ff: "AAC",
  0x0161: "WMA",
  0x0162: "WMA Pro",
  0x1610: "AAC",
  0x674f: "Ogg Vorbis",
  0xf1ac: "FLAC"
}

const magics: ReadonlyArray<readonly [at: number, magic: string, name: string]> = [
  [0, "OggS", "an Ogg"],
  [0, "fLaC", "a FLAC"],
  [0, "ID3", "an MP3"],
  [0, "\xff\xfb", "an MP3"],
  [0, "\xff\xf3", "an MP3"],
  [0, "\xff\xf1", "an AAC"],
  [4, "ftyp", "an MP4 or M4A"],
  [0, "FORM", "an AIFF"],
  [0, "caff", "a CAF"],
  [0, "#!AMR", "an AMR"],
  [0, ".snd", "an AU"],
  [0, "\x1aE\xdf\xa3", "a WebM or Matroska"]
]

const text = (bytes: Uint8Array, at: number, length: number): string =>
  String.fromCharCode(...bytes.subarray(at, at + length))

const u16 = (bytes: Uint8Array, at: number): number => bytes[at]! | (bytes[at + 1]! << 8)
const u32 = (bytes: Uint8Array, at: number): number => (u16(bytes, at) | (u16(bytes, at + 2) << 16)) >>> 0

/** Metadata kept of a chunk; `fmt ` needs 40 bytes, `ds64` 28. */
const chunkHeadBytes = 64

const unknownLength = 0xffffffff

/** More is a broken header. */
export const maxChannels = 64

/**
 * Reads RIFF/WAVE and RF64 from bytes that come in pieces of any size, in constant memory.
 *
 * `layout` is set when the format is known; `onData` gets the bytes of the data chunk.
 */
export class WaveParser {
  layout: SampleLayout | undefined
  /** Bytes of audio that the header promises; undefined when it does not say (a stream, or a header never fixed). */
  promisedBytes: number | undefined
  /** Bytes of audio that have come. */
  dataBytes = 0

  private readonly onData: (bytes: Uint8Array) => void
  private head = new Uint8Array(chunkHeadBytes)
  private headLength = 0
  private headWanted = 12
  private state: "riff" | "chunk" | "body" | "skip" | "data" | "done" = "riff"
  private id = ""
  private left = 0
  private riffBytes = 0
  private longDataBytes: number | undefined

  constructor(onData: (bytes: Uint8Array) => void) {
    this.onData = onData
  }

  push(bytes: Uint8Array): void {
    let at = 0
    while (at < bytes.length && this.state !== "done") {
      if (this.state === "data" || this.state === "skip") {
        const n = Math.min(this.left, bytes.length - at)
        if (this.state === "data") {
          this.dataBytes += n
          this.onData(bytes.subarray(at, at + n))
        }
        at += n
        this.left -= n
        if (this.left === 0) this.state === "data" ? this.state = "done" : this.expect("chunk", 8)
      } else {
        const n = Math.min(this.headWanted - this.headLength, bytes.length - at)
        this.head.set(bytes.subarray(at, at + n), this.headLength)
        this.headLength += n
        at += n
        if (this.headLength === this.headWanted) this.step()
      }
    }
  }

  /** The bytes have ended. Throws when they end before the audio. */
  end(): void {
    if (this.state === "riff") this.refuse()
    if (this.state !== "data" && this.state !== "done") {
      throw new WaveFault("malformed", "it ends before its audio: the file has no data chunk")
    }
  }

  /** Whether fewer bytes came than the header promises. */
  get truncated(): boolean {
    return this.promisedBytes !== undefined && this.dataBytes < this.promisedBytes
  }

  private expect(state: "chunk" | "body", bytes: number): void {
    this.state = state
    this.headLength = 0
    this.headWanted = bytes
  }

  private skip(bytes: number): void {
    this.left = bytes
    if (bytes === 0) this.expect("chunk", 8)
    else this.state = "skip"
  }

  /** A header is complete: that of the file, of a chunk, or the body of a chunk that matters. */
  private step(): void {
    const head = this.head
    switch (this.state) {
      case "skip":
      case "data":
      case "done":
        return
      case "riff": {
        const magic = text(head, 0, 4)
        if ((magic !== "RIFF" && magic !== "RF64") || text(head, 8, 4) !== "WAVE") return this.refuse()
        this.riffBytes = u32(head, 4)
        return this.expect("chunk", 8)
      }
      case "chunk": {
        this.id = text(head, 0, 4)
        const size = u32(head, 4)
        if (this.id === "data") return this.startData(size)
        this.left = size + (size & 1)
        if (this.id !== "fmt " && this.id !== "ds64") return this.skip(this.left)
        if (size < (this.id === "fmt " ? 14 : 28)) {
          throw new WaveFault("malformed", `its ${this.id.trim()} chunk has only ${size} bytes`)
        }
        return this.expect("body", Math.min(size, chunkHeadBytes))
      }
      case "body": {
        if (this.id === "fmt ") this.layout = parseFormat(head.subarray(0, this.headLength))
        else this.longDataBytes = u32(head, 8) + u32(head, 12) * 2 ** 32
        return this.skip(this.left - this.headLength)
      }
    }
  }

  private startData(size: number): void {
    if (this.layout === undefined) {
      throw new WaveFault("malformed", "its audio comes before its format: there is no fmt chunk in front of the data")
    }
    this.state = "data"
    if (size === unknownLength) {
      this.promisedBytes = this.longDataBytes
    } else if (size === 0 && (this.riffBytes <= 36 || this.riffBytes === unknownLength)) {
      // A writer that never came back to fix its header.
      this.promisedBytes = undefined
    } else {
      this.promisedBytes = size
    }
    this.left = this.promisedBytes ?? Infinity
    if (this.left === 0) this.state = "done"
  }

  private refuse(): never {
    const head = this.head.subarray(0, this.headLength)
    if (text(head, 0, 4) === "RIFX") {
      throw new WaveFault("unsupported_codec", "it is a big-endian WAV (RIFX), which cannot be read")
    }
    const found = magics.find(([at, magic]) => text(head, at, magic.length) === magic)
    throw new WaveFault(
      "not_wav",
      found ? `it is ${found[2]} file, not a WAV` : "it is not a WAV: it has no RIFF header"
    )
  }
}

const parseFormat = (fmt: Uint8Array): SampleLayout => {
  let tag = u16(fmt, 0)
  const channels = u16(fmt, 2)
  const sampleRateHz = u32(fmt, 4)
  const blockAlign = u16(fmt, 12)
  const bits = fmt.length >= 16 ? u16(fmt, 14) : 8
  // WAVE_FORMAT_EXTENSIBLE: the format is the start of the sub-format's GUID.
  if (tag === 0xfffe && fmt.length >= 26) tag = u16(fmt, 24)
  if (channels === 0 || channels > maxChannels) {
    throw new WaveFault("malformed", `its format says ${channels} channels; 1 to ${maxChannels} can be read`)
  }
  const encoding = encodingOf(tag, bits)
  if (encoding === undefined) {
    const name = tag === 1 || tag === 3
      ? `${bits}-bit ${tag === 1 ? "PCM" : "float"}`
      : codecNames[tag] ?? `codec 0x${tag.toString(16).padStart(4, "0")}`
    throw new WaveFault(
      "unsupported_codec",
      `it holds ${name}, which cannot be read; PCM of 8, 16, 24 or 32 bits, 32- or 64-bit float, μ-law and A-law can`
    )
  }
  const bytes = bytesOf[encoding]
  if (blockAlign !== bytes * channels) {
    throw new WaveFault(
      "malformed",
      `its format contradicts itself: ${channels} channels of ${bytes} bytes in blocks of ${blockAlign}`
    )
  }
  return { encoding, bytes, channels, sampleRateHz }
}

const encodingOf = (tag: number, bits: number): SampleEncoding | undefined => {
  switch (tag) {
    case 1:
      return bits === 8 ? "u8" : bits === 16 ? "s16" : bits === 24 ? "s24" : bits === 32 ? "s32" : undefined
    case 3:
      return bits === 32 ? "f32" : bits === 64 ? "f64" : undefined
    case 6:
      return bits === 8 ? "alaw" : undefined
    case 7:
      return bits === 8 ? "mulaw" : undefined
    default:
      return undefined
  }
}
