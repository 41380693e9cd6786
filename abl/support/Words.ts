const numbers = "zero one two three four five six seven eight nine ten eleven twelve".split(" ")

/** Words as they are compared: lower case, no punctuation, numbers as words, one spelling. */
export const wordsOf = (text: string): ReadonlyArray<string> =>
  text.toLowerCase()
    .replace(/\u2019/gu, "'")
    .replace(/good-bye/gu, "goodbye")
    .replace(/-/gu, " ")
    .replace(/[^a-z0-9' ]+/gu, " ")
    .replace(/\b\d{1,2}\b/gu, (digits) => numbers[Number(digits)] ?? digits)
    .replace(/\bmetres\b/gu, "meters")
    .replace(/\bmr\b/gu, "mister")
    .replace(/\bokay\b/gu, "ok")
    .split(/\s+/u)
    .filter((word) => word !== "")

/** Word error rate: words to insert, delete or replace, per word that was said. */
export const wordErrorRate = (said: string, heard: string): number => {
  const expected = wordsOf(said)
  const actual = wordsOf(heard)
  let row = Array.from({ length: actual.length + 1 }, (_, i) => i)
  for (const [i, word] of expected.entries()) {
    const next = [i + 1]
    for (const [j, other] of actual.entries()) {
      next.push(Math.min((next[j] ?? 0) + 1, (row[j + 1] ?? 0) + 1, (row[j] ?? 0) + (word === other ? 0 : 1)))
    }
    row = next
  }
  return (row[actual.length] ?? 0) / expected.length
}
