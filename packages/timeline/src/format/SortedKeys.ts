/** A step of one key: what comes behind it, and the keys so far in their order. */
interface Step {
  readonly next: Map<string, Step>
  sorted: ReadonlyArray<string> | undefined
}

/** Steps that are kept of all objects that were seen; then it begins again. */
const maxSteps = 8192

const newStep = (): Step => ({ next: new Map(), sorted: undefined })
let first = newStep()
let steps = 0

/**
 * The keys of an object whose values are not `undefined`, sorted by UTF-16 code units as canonical JSON has them. Objects
 * whose keys come in the same order give the same list, so that sorting is done once for each way of building an object.
 */
export const sortedKeys = (value: Readonly<Record<string, unknown>>): ReadonlyArray<string> => {
  let at = first
  for (const key of Object.keys(value)) {
    if (value[key] === undefined) continue
    const known = at.next.get(key)
    if (known === undefined) {
      if (++steps > maxSteps) {
        first = newStep()
        steps = 0
        return Object.keys(value).filter((one) => value[one] !== undefined).sort()
      }
      const made = newStep()
      at.next.set(key, made)
      at = made
    } else at = known
  }
  at.sorted ??= Object.keys(value).filter((key) => value[key] !== undefined).sort()
  return at.sorted
}
