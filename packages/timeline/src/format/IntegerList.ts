import type { ByteReader } from "./ByteReader.ts"
import type { ByteWriter } from "./ByteWriter.ts"

/** Whole numbers of a size below this can be in such a list. */
export const integerBound = 2 ** 24

/** Low bits of a number at most. */
const maxLowBits = 24

/** 0, −1, 1, −2, 2 … as 0, 1, 2, 3, 4 …. */
const folded = (value: number): number => value < 0 ? -2 * value - 1 : 2 * value

const unfolded = (value: number): number => value % 2 === 0 ? value / 2 : -(value + 1) / 2

/**
 * Writes whole numbers in about as many bits as they need (a Rice code): a byte that says how many low bits each has; then
 * for each number, folded, so many ones as are left without its low bits, a zero, and the low bits, the highest first.
 * Bits fill bytes from the highest on; the last byte is filled with zeros.
 */
export const writeIntegers = (values: ReadonlyArray<number>, to: ByteWriter): void => {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += folded(values[i] ?? 0)
  let low = 0
  while (low < maxLowBits && sum > values.length * 2 ** (low + 1)) low++
  to.byte(low)
  // Numbers have at most 25 bits, and fewer than 8 wait to fill a byte.
  let waiting = 0
  let bits = 0
  for (let i = 0; i < values.length; i++) {
    const number = folded(values[i] ?? 0)
    for (let ones = number >>> low; ones > 0; ones--) {
      waiting = (waiting << 1) | 1
      if (++bits === 8) {
        to.byte(waiting)
        waiting = 0
        bits = 0
      }
    }
    // The zero, and the low bits.
    for (let place = low; place >= 0; place--) {
      waiting = (waiting << 1) | (place === low ? 0 : (number >>> place) & 1)
      if (++bits === 8) {
        to.byte(waiting)
        waiting = 0
        bits = 0
      }
    }
  }
  if (bits > 0) to.byte(waiting << (8 - bits))
}

/** Reads so many. Throws where there are not as many. */
export const readIntegers = (count: number, from: ByteReader): Array<number> => {
  const low = from.byte()
  if (low > maxLowBits) throw new RangeError("no list has so many low bits")
  let byte = 0
  let left = 0
  const bit = (): number => {
    if (left === 0) {
      byte = from.byte()
      left = 8
    }
    left--
    return (byte >> left) & 1
  }
  const values: Array<number> = []
  for (let i = 0; i < count; i++) {
    let number = 0
    while (bit() === 1) number++
    for (let place = 0; place < low; place++) number = number * 2 + bit()
    values.push(unfolded(number))
  }
  return values
}
