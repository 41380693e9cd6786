/** The keys of objects that are built in the same way; the same object for all of them, mostly. */
export interface Keys {
  /** By UTF-16 code units, as canonical JSON has them. */
  readonly sorted: ReadonlyArray<string>
  /** As the object has them. */
  readonly given: ReadonlyArray<string>
}

/** A step of one key: what comes behind it, and the keys so far. */
interface Step {
  readonly next: Map<string, Step>
  keys: Keys | undefined
}

/** Steps that are kept of all objects that were seen; then it begins again. */
const maxSteps = 8192

const newStep = (): Step => ({ next: new Map(), keys: undefined })
let first = newStep()
let steps = 0

/**
 * The keys of an object whose values are not `undefined`. Objects whose keys come in the same order give the same answer,
 * so that sorting is done once for each way of building an object.
 */
export const keysOf = (value: Readonly<Record<string, unknown>>): Keys => {
  let at = first
  for (const key of Object.keys(value)) {
    if (value[key] === undefined) continue
    const known = at.next.get(key)
    if (known === undefined) {
      if (++steps > maxSteps) {
        first = newStep()
        steps = 0
        return sorted(value)
      }
      const made = newStep()
      at.next.set(key, made)
      at = made
    } else at = known
  }
  return at.keys ??= sorted(value)
}

const sorted = (value: Readonly<Record<string, unknown>>): Keys => {
  const given = Object.keys(value).filter((key) => value[key] !== undefined)
  return { given, sorted: [...given].sort() }
}

/** Whether an object has these keys in this order, and no others; `false` may also mean that it has one without a value. */
export const hasInOrder = (value: Readonly<Record<string, unknown>>, keys: ReadonlyArray<string>): boolean => {
  let count = 0
  for (const key in value) {
    if (key !== keys[count] || value[key] === undefined) return false
    count++
  }
  // What it inherits is none of its own.
  return count === keys.length && Object.getPrototypeOf(value) === Object.prototype
}
