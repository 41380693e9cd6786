/** What JSON can say. */
export type Json = null | boolean | number | string | ReadonlyArray<Json> | { readonly [key: string]: Json }

/**
 * The canonical JSON text of a value: keys sorted by UTF-16 code units, no white space, numbers and strings as
 * `JSON.stringify` writes them. Equal values give equal text, so every hash of RSPP is taken over it.
 *
 * Keys whose value is `undefined` count as absent. It throws a `TypeError` on what JSON cannot hold: functions, symbols,
 * bigints, `undefined` in a list, and numbers that are not finite. It does not look for cycles.
 */
export const canonicalJson = (value: unknown): string => {
  switch (typeof value) {
    case "string":
    case "boolean":
      return JSON.stringify(value)
    case "number":
      if (!Number.isFinite(value)) throw new TypeError(`canonicalJson: ${value} is not a JSON number`)
      return JSON.stringify(value)
    case "object": {
      if (value === null) return "null"
      if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`
      const fields = value as Readonly<Record<string, unknown>>
      const members = Object.keys(fields).filter((key) => fields[key] !== undefined).sort()
      return `{${members.map((key) => `${JSON.stringify(key)}:${canonicalJson(fields[key])}`).join(",")}}`
    }
    default:
      throw new TypeError(`canonicalJson: a ${typeof value} is not JSON`)
  }
}
