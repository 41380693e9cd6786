import * as Schema from "effect/Schema"

/**
 * Sets of patterns that have a name. Every repetition is bounded, so that no text takes long to look through.
 *
 * They find what is written the way that recognisers and models write it; they are no proof that nothing is left.
 */
export const namedPatterns: Readonly<Record<string, RegExp>> = {
  digits: /\p{Nd}{1,100}/gu,
  /** Three number words in a row and more: a number that is spelled out. */
  spoken_digits:
    /\b(?:zero|oh|one|two|three|four|five|six|seven|eight|nine)(?:[\s,-]{1,3}(?:zero|oh|one|two|three|four|five|six|seven|eight|nine)){2,40}\b/giu,
  email: /[\p{L}\p{N}._%+-]{1,64}@[\p{L}\p{N}-]{1,63}(?:\.[\p{L}\p{N}-]{1,63}){1,8}/gu,
  phone: /\+?\d(?:[\s().-]{0,2}\d){6,14}/gu,
  card: /\b\d(?:[ -]?\d){12,18}\b/gu,
  url: /\b(?:https?:\/\/|www\.)\S{1,2000}/giu
}

/** Characters of one list of patterns, and patterns in it. */
const listChars = 2000
const listPatterns = 32

/**
 * The patterns of a list: names of {@link namedPatterns}, regular expressions between slashes (`/iban [a-z0-9]+/i`) and
 * plain words, separated by commas. Words are found whatever their case. What is wrong with it comes as text.
 */
export const parsePatterns = (list: string): ReadonlyArray<RegExp> | string => {
  if (list.length > listChars) return `a list of patterns has ${listChars} characters at most`
  const patterns: Array<RegExp> = []
  let rest = list.trim()
  while (rest !== "") {
    const regular = /^\/((?:[^\\/[]|\\.|\[(?:[^\\\]]|\\.)*\])+)\/([a-z]*)\s*(?:,\s*|$)/u.exec(rest)
    const plain = /^([^,/]+?)\s*(?:,\s*|$)/u.exec(rest)
    if (regular !== null) {
      const [whole, source = "", flags = ""] = regular
      try {
        patterns.push(new RegExp(source, [...new Set(`${flags}gu`)].join("")))
      } catch {
        return `/${source}/${flags} is no regular expression`
      }
      rest = rest.slice(whole.length)
    } else if (plain !== null) {
      const [whole, name = ""] = plain
      const known = Object.hasOwn(namedPatterns, name) ? namedPatterns[name] : undefined
      if (known === undefined && /_/u.test(name)) {
        return `there is no set of patterns ${name}; there are ${Object.keys(namedPatterns).join(", ")}`
      }
      patterns.push(known ?? new RegExp(escaped(name), "giu"))
      rest = rest.slice(whole.length)
    } else {return `it cannot be read from "${
        rest.slice(0, 20)
      }" on: write names, words or /expressions/, with commas between`}
    if (patterns.length > listPatterns) return `a list has ${listPatterns} patterns at most`
  }
  return patterns
}

const escaped = (text: string) => text.replaceAll(/[\\^$.*+?()[\]{}|/-]/gu, "\\$&")

/** A setting that is a list of patterns. */
export const PatternList = Schema.String.check(
  Schema.makeFilter<string>((list) => {
    const parsed = parsePatterns(list)
    return typeof parsed === "string" ? parsed : undefined
  }, { expected: "a list of patterns" })
)

/** The patterns of a list that has been checked. */
export const patternsOf = (list: string | undefined): ReadonlyArray<RegExp> => {
  const parsed = parsePatterns(list ?? "")
  return typeof parsed === "string" ? [] : parsed
}
