/** What a vendor's message says, field by field; nothing is known of any of them. */
export type VendorJson = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is VendorJson =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** A value as an object; undefined when it is none. */
export const objectOf = (value: unknown): VendorJson | undefined => isObject(value) ? value : undefined

/** A message as an object; undefined when it is none. By hand: a schema would cost more than the sound in it. */
export const parseObject = (text: string): VendorJson | undefined => {
  try {
    return objectOf(JSON.parse(text))
  } catch {
    return undefined
  }
}

/** A value as text; undefined when it is none. */
export const textOf = (value: unknown): string | undefined => typeof value === "string" ? value : undefined

/** A value as a list of texts; empty when it is none. */
export const textsOf = (value: unknown): ReadonlyArray<string> =>
  Array.isArray(value) ? value.filter((one) => typeof one === "string") : []

/** A value as a list of numbers; empty when it is none. */
export const numbersOf = (value: unknown): ReadonlyArray<number> =>
  Array.isArray(value) ? value.filter((one) => typeof one === "number") : []
