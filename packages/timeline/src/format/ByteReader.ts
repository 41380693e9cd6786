const decoder = new TextDecoder("utf-8", { fatal: true })

/** What is read goes past the end of the bytes, or is no number that the format has. */
export class BytesSpent extends RangeError {}

/** Reads what a `ByteWriter` has put. Throws {@link BytesSpent} where there is no more. */
export class ByteReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  byte(): number {
    const value = this.#bytes[this.#at]
    if (value === undefined) throw new BytesSpent("the bytes end here")
    this.#at++
    return value
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (let count = 0; count < 8; count++) {
      const byte = this.byte()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break
        return value
      }
      scale *= 0x80
    }
    throw new BytesSpent("no number is so large")
  }

  bytes(count: number): Uint8Array {
    if (count > this.left) throw new BytesSpent("the bytes end here")
    this.#at += count
    return this.#bytes.subarray(this.#at - count, this.#at)
  }

  /** Throws a `TypeError` where it is not UTF-8. */
  text(): string {
    return decoder.decode(this.bytes(this.varint()))
  }

  rest(): Uint8Array {
    return this.bytes(this.left)
  }
}
