import type { NumberStack } from "./NumberStack.ts"
import type { Form } from "./RecordModel.ts"
import { hole, maxDigits, maxHoles } from "./RecordModel.ts"

const zero = 48
const nine = 57

/**
 * The pattern of a string: its text with a hole in the place of each number. A run of digits is a number when it has no
 * leading zero and at most {@link maxDigits} digits; a string with more than {@link maxHoles} of them has no holes at all.
 */
export const patternOf = (value: string): string => {
  let text = ""
  let taken = 0
  let holes = 0
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at)
    if (code < zero || code > nine) continue
    const end = endOfDigits(value, at)
    if (isNumeral(code, end - at)) {
      if (++holes > maxHoles) return value
      text += value.slice(taken, at) + hole
      taken = end
    }
    at = end
  }
  return holes === 0 ? value : text + value.slice(taken)
}

/**
 * Whether the string has the pattern of a form; if so its numbers are put onto the stack. It says the same as comparing
 * patterns, without making one.
 */
export const fits = ({ parts, text }: Form, value: string, numbers: NumberStack): boolean => {
  if (parts.length === 0) return value === text
  const [first = ""] = parts
  if (!value.startsWith(first)) return false
  const { end } = numbers
  let at = first.length
  for (let i = 1; i < parts.length; i++) {
    const begin = at
    // Fifteen digits are exact, and more are no numeral.
    let number = 0
    for (; at < value.length && at - begin <= maxDigits; at++) {
      const code = value.charCodeAt(at)
      if (code < zero || code > nine) break
      number = number * 10 + code - zero
    }
    const part = parts[i] ?? ""
    if (!isNumeral(value.charCodeAt(begin), at - begin) || !value.startsWith(part, at)) {
      numbers.end = end
      return false
    }
    numbers.push(number)
    at += part.length
  }
  if (at === value.length) return true
  numbers.end = end
  return false
}

const endOfDigits = (value: string, from: number): number => {
  let end = from
  for (; end < value.length; end++) {
    const code = value.charCodeAt(end)
    if (code < zero || code > nine) break
  }
  return end
}

const isNumeral = (firstDigit: number, digits: number): boolean =>
  digits > 0 && digits <= maxDigits && (firstDigit !== zero || digits === 1)
