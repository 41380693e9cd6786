/** Edits (insert, delete, replace, swap of neighbours) that turn `a` into `b`. */
const distance = (a: string, b: string): number => {
  let before: Array<number> = []
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      let best = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + same)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, (before[j - 2] ?? 0) + 1)
      }
      next.push(best)
    }
    before = row
    row = next
  }
  return row[b.length] ?? 0
}

/** Longest name that is compared; anything longer is not a slip of the pen. */
const maxNameLength = 64

/**
 * The known name that `name` was probably meant to be, if one is near enough: at most a third of its letters differ.
 * Ties go to the first in `known`.
 */
export const nearest = (name: string, known: Iterable<string>): string | undefined => {
  if (name.length > maxNameLength) return undefined
  const plain = name.toLowerCase().replaceAll("-", "_")
  let best: string | undefined
  let bestDistance = Infinity
  for (const candidate of known) {
    const d = distance(plain, candidate.toLowerCase())
    if (d <= Math.floor(candidate.length / 3) && d < bestDistance) {
      best = candidate
      bestDistance = d
    }
  }
  return best
}

/** `Did you mean x?` where something is near, else the list of what there is. */
export const suggest = (name: string, known: Iterable<string>, what: string): string => {
  const names = [...known]
  const near = nearest(name, names)
  if (near !== undefined) return `Did you mean ${JSON.stringify(near)}?`
  return names.length === 0
    ? `There is no ${what} here.`
    : `${what[0]?.toUpperCase()}${what.slice(1)}s here: ${names.join(", ")}.`
}
