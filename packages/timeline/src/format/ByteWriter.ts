const encoder = new TextEncoder()

/** Bytes that are put one behind the other, in memory that grows and is used again. */
export class ByteWriter {
  #bytes: Uint8Array
  length = 0

  constructor(initial = 1024) {
    this.#bytes = new Uint8Array(initial)
  }

  clear(): void {
    this.length = 0
  }

  byte(value: number): void {
    if (this.length === this.#bytes.length) this.#grow(1)
    this.#bytes[this.length++] = value
  }

  /** A whole number from 0 to 2^53 − 1: seven bits a byte, the lowest first, the high bit set on all but the last. */
  varint(value: number): void {
    let rest = value
    while (rest >= 0x80) {
      this.byte((rest % 0x80) + 0x80)
      rest = Math.floor(rest / 0x80)
    }
    this.byte(rest)
  }

  bytes(values: Uint8Array): void {
    if (this.length + values.length > this.#bytes.length) this.#grow(values.length)
    this.#bytes.set(values, this.length)
    this.length += values.length
  }

  /** The length of the text in UTF-8 as a varint, and the text. */
  text(value: string): void {
    const room = value.length * 3
    if (room <= 0x7f) {
      // Short: it is encoded in place, and its length is one byte.
      if (this.length + 1 + room > this.#bytes.length) this.#grow(1 + room)
      const { written } = encoder.encodeInto(value, this.#bytes.subarray(this.length + 1))
      this.#bytes[this.length] = written
      this.length += 1 + written
      return
    }
    const encoded = encoder.encode(value)
    this.varint(encoded.length)
    this.bytes(encoded)
  }

  /** What was put, until something else is. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.length)
  }

  /** Gives memory back that one large block needed. */
  shrink(most: number): void {
    if (this.#bytes.length > most) this.#bytes = new Uint8Array(most)
    this.length = 0
  }

  #grow(needed: number): void {
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.length + needed))
    grown.set(this.view())
    this.#bytes = grown
  }
}
