/** One place at which two JSON values differ; a side that has nothing there is `undefined`. */
export interface Difference {
  /** Keys and indexes from the root, joined by dots; empty for the root itself. */
  readonly path: string
  readonly recorded: unknown
  readonly replayed: unknown
}

/** Differences of one record that are listed; the first is what matters, the rest is for the reader. */
export const maxDifferences = 64

type Fields = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Fields => typeof value === "object" && value !== null

/**
 * True exactly when the canonical JSON of both values is the same text: a key whose value is `undefined` counts as
 * absent, `-0` is `0`. Ten times faster than writing the texts, and it stops at the first difference.
 */
export const sameJson = (a: unknown, b: unknown): boolean => {
  if (a === b) return true
  if (!isObject(a) || !isObject(b)) return false
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false
    for (let at = 0; at < a.length; at++) if (!sameJson(a[at], b[at])) return false
    return true
  }
  let present = 0
  for (const key in a) {
    const value = a[key]
    if (value === undefined) continue
    present++
    if (!sameJson(value, b[key])) return false
  }
  for (const key in b) if (b[key] !== undefined) present--
  return present === 0
}

/** The leaves in which two values differ, in the order of their keys, at most {@link maxDifferences}. */
export const differencesOf = (recorded: unknown, replayed: unknown): ReadonlyArray<Difference> => {
  const found: Array<Difference> = []
  const compare = (a: unknown, b: unknown, path: string): void => {
    if (found.length >= maxDifferences || sameJson(a, b)) return
    if (!isObject(a) || !isObject(b) || Array.isArray(a) !== Array.isArray(b)) {
      found.push({ path, recorded: a, replayed: b })
      return
    }
    const keys = Array.isArray(a) && Array.isArray(b)
      ? Array.from({ length: Math.max(a.length, b.length) }, (_, at) => String(at))
      : [...new Set([...Object.keys(a), ...Object.keys(b)])].sort()
    for (const key of keys) compare(a[key], b[key], path === "" ? key : `${path}.${key}`)
  }
  compare(recorded, replayed, "")
  return found
}
