const ones = [
  "zero",
  "one",
  "two",
  "three",
  "four",
  "five",
  "six",
  "seven",
  "eight",
  "nine",
  "ten",
  "eleven",
  "twelve",
  "thirteen",
  "fourteen",
  "fifteen",
  "sixteen",
  "seventeen",
  "eighteen",
  "nineteen",
  "twenty"
]

/** Words as they are compared: lower case, no punctuation, numbers as words, one spelling. */
export const wordsOf = (text: string): Array<string> =>
  text.toLowerCase()
    .replace(/\u2019/gu, "'")
    .replace(/good-bye/gu, "goodbye")
    .replace(/-/gu, " ")
    .replace(/[^a-z0-9' ]+/gu, " ")
    .replace(/\b\d{1,2}\b/gu, (digits) => ones[Number(digits)] ?? digits)
    .replace(/\bmetres\b/gu, "meters")
    .replace(/\bmr\b/gu, "mister")
    .replace(/\bokay\b/gu, "ok")
    .replace(/\ball right\b/gu, "alright")
    .split(/\s+/u)
    .filter((word) => word !== "")

/** The least number of words to insert, delete or replace. */
export const wordErrors = (expected: ReadonlyArray<string>, actual: ReadonlyArray<string>): number => {
  let row = Array.from({ length: actual.length + 1 }, (_, index) => index)
  expected.forEach((word, index) => {
    const next = [index + 1]
    actual.forEach((heard, column) => {
      next.push(Math.min(next[column]! + 1, row[column + 1]! + 1, row[column]! + (word === heard ? 0 : 1)))
    })
    row = next
  })
  return row[actual.length]!
}
