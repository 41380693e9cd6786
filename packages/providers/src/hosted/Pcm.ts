/** Bytes of little-endian 16-bit PCM that come in pieces of any length, as samples: a sample that is cut in two waits for its other half. */
export class PcmReader {
  #half: number | undefined

  /** The whole samples so far, in a buffer of their own. */
  read(bytes: Uint8Array): Int16Array {
    const held = this.#half
    const lead = held === undefined ? 0 : 1
    const count = (bytes.length + lead) >> 1
    const samples = new Int16Array(count)
    const into = new Uint8Array(samples.buffer)
    const whole = count * 2 - lead
    if (held !== undefined && count > 0) into[0] = held
    into.set(bytes.subarray(0, whole), lead)
    if (count > 0) this.#half = whole < bytes.length ? bytes[bytes.length - 1] : undefined
    else if (bytes.length > 0) this.#half = bytes[0]
    return samples
  }

  /** Whether the PCM ended in the middle of a sample. */
  get isCut(): boolean {
    return this.#half !== undefined
  }
}

/** The bytes of samples, without a copy: little-endian, as every machine that this runs on has them. */
export const bytesOf = (samples: Int16Array): Uint8Array =>
  new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength)
