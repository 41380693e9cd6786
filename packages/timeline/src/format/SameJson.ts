import type { Fields } from "./RecordModel.ts"

/** True when both have the same canonical JSON. Values that the same part of a record is made of are usually one object. */
export const isSameJson = (a: unknown, b: unknown): boolean => {
  if (a === b) return true
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => isSameJson(item, b[i]))
  }
  return !Array.isArray(b) && hasFieldsOf(a as Fields, b as Fields) && hasFieldsOf(b as Fields, a as Fields, true)
}

/** Every field of `a` is in `b`, and, unless only names are looked at, is the same there. */
const hasFieldsOf = (a: Fields, b: Fields, namesOnly = false): boolean => {
  for (const key of Object.keys(a)) {
    const value = a[key]
    if (value === undefined) continue
    if (!Object.hasOwn(b, key) || b[key] === undefined) return false
    if (!namesOnly && !isSameJson(value, b[key])) return false
  }
  return true
}
