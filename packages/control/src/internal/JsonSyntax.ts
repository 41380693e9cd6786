/** Where a JSON text stops being JSON (offset in UTF-16 units), and what should have stood there. */
export interface JsonFault {
  readonly offset: number
  readonly expected: string
  /** The text is well formed up to here, but this key stands in its object a second time. */
  readonly duplicate: boolean
}

const space = /[ \t\n\r]*/uy
const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/uy
const word = /true|false|null/uy
// eslint-disable-next-line no-control-regex -- JSON forbids raw control characters in strings
const string = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/uy

/** Deeper nesting is a fault of its own; a spec needs five levels. */
const maxDepth = 64

/**
 * Finds the first fault of a JSON text, or undefined if there is none (RFC 8259, and no key twice in an object).
 *
 * `JSON.parse` says that a text is broken but, for short texts, not where; and it keeps the last of two equal keys in
 * silence, which would hide half of what an author wrote.
 */
export const findJsonFault = (text: string): JsonFault | undefined => {
  let at = 0
  let fault: JsonFault | undefined
  const fail = (expected: string, offset = at, duplicate = false): false => {
    fault ??= { offset, expected, duplicate }
    return false
  }
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at
    const found = pattern.exec(text)?.[0]
    if (found !== undefined) at += found.length
    return found
  }
  const takeChar = (char: string): boolean => {
    take(space)
    if (text[at] !== char) return false
    at++
    return true
  }
  const member = (keys: Set<string>, depth: number): boolean => {
    take(space)
    const start = at
    const key = take(string)
    if (key === undefined) return fail("a key in double quotes")
    if (keys.has(key)) return fail(`a key other than ${key}, which this object already has`, start, true)
    keys.add(key)
    if (!takeChar(":")) return fail("\":\"")
    return value(depth)
  }
  const value = (depth: number): boolean => {
    if (depth > maxDepth) return fail(`at most ${maxDepth} levels`)
    if (takeChar("{")) {
      if (takeChar("}")) return true
      const keys = new Set<string>()
      do if (!member(keys, depth + 1)) return false
      while (takeChar(","))
      return takeChar("}") || fail("\",\" or \"}\"")
    }
    if (takeChar("[")) {
      if (takeChar("]")) return true
      do if (!value(depth + 1)) return false
      while (takeChar(","))
      return takeChar("]") || fail("\",\" or \"]\"")
    }
    return (take(string) ?? take(number) ?? take(word)) !== undefined || fail("a value")
  }
  if (value(0)) {
    take(space)
    if (at < text.length) fail("the end of the text")
  }
  return fault
}
