import { PcmReader } from "../hosted/Pcm.ts"

/** Bytes that a text in base64 stands for; NaN when its length is none of a base64 text. */
const bytesIn = (base64: string): number => {
  const { length } = base64
  if (length % 4 !== 0) return Number.NaN
  if (length === 0) return 0
  const padding = base64.charCodeAt(length - 1) !== 61 ? 0 : base64.charCodeAt(length - 2) !== 61 ? 1 : 2
  return length / 4 * 3 - padding
}

/**
 * 16-bit PCM that comes as texts in base64, as samples.
 *
 * Each text is decoded straight into the buffer of its samples; only where a sample is cut in two by the end of a text
 * are its bytes copied.
 */
export class Base64Pcm {
  readonly #torn = new PcmReader()

  /** The whole samples so far, in a buffer of their own; undefined when the text is no base64. */
  read(base64: string): Int16Array | undefined {
    const bytes = bytesIn(base64)
    if (Number.isNaN(bytes)) return undefined
    if (bytes % 2 === 0 && !this.#torn.isCut) {
      const samples = new Int16Array(bytes / 2)
      return Buffer.from(samples.buffer).write(base64, "base64") === bytes ? samples : undefined
    }
    const decoded = Buffer.from(base64, "base64")
    return decoded.length === bytes ? this.#torn.read(decoded) : undefined
  }

  /** Whether the PCM ended in the middle of a sample. */
  get isCut(): boolean {
    return this.#torn.isCut
  }
}
