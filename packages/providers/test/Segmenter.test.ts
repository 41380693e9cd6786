import { assert, describe, it } from "@effect/vitest"
import { maxSegmentChars, Segmenter } from "@rspp/providers/Segmenter"

const segments = (...deltas: ReadonlyArray<string>): Array<string> => {
  const segmenter = new Segmenter()
  const complete = deltas.flatMap((delta) => segmenter.push(delta))
  const last = segmenter.flush()
  return last === undefined ? complete : [...complete, last]
}

describe("Segmenter", () => {
  it("gives a sentence out as soon as the next word begins", () => {
    const segmenter = new Segmenter()
    assert.deepStrictEqual(segmenter.push("Hello there."), [])
    assert.deepStrictEqual(segmenter.push(" How"), ["Hello there."])
    assert.deepStrictEqual(segmenter.push(" are you? I am"), ["How are you?"])
    assert.strictEqual(segmenter.flush(), "I am")
    assert.strictEqual(segmenter.flush(), undefined)
  })

  it("does not cut at times, decimals, abbreviations, initials and dots in words", () => {
    for (
      const whole of [
        "Meet me at 10:30 today.",
        "It costs 3.5 dollars.",
        "Ask Mr. Smith.",
        "Ask Dr. J. Smith at St. Mary.",
        "Fruit, e.g. an apple.",
        "See example.com for it.",
        "Come at 9 a.m. or later."
      ]
    ) assert.deepStrictEqual(segments(whole), [whole])
  })

  it("cuts after an abbreviation that a capital follows, and after the pronoun I", () => {
    assert.deepStrictEqual(segments("Come at 9 a.m. Bring it."), ["Come at 9 a.m.", "Bring it."])
    assert.deepStrictEqual(segments("So do I. You too."), ["So do I.", "You too."])
  })

  it("keeps closing quotes and repeated signs with their sentence", () => {
    assert.deepStrictEqual(segments("\"Really?!\" he said. (Yes.) Well... no."), [
      "\"Really?!\"",
      "he said.",
      "(Yes.)",
      "Well...",
      "no."
    ])
  })

  it("cuts at line breaks and drops empty lines", () => {
    assert.deepStrictEqual(segments("One\n\n two\nthree"), ["One", "two", "three"])
  })

  it("lets only the first segment end at a clause", () => {
    assert.deepStrictEqual(segments("Well, as far as I can see today, it is fine, and it will be fine, I think."), [
      "Well, as far as I can see today,",
      "it is fine, and it will be fine, I think."
    ])
  })

  it("bounds a segment without an end, between words where it can", () => {
    const long = segments(`Yes. ${"word ".repeat(200)}`)
    assert.isTrue(long.every((segment) => segment.length <= maxSegmentChars))
    assert.isTrue(long.slice(1).every((segment) => /^(word ?)+$/u.test(segment)))
    assert.strictEqual(segments("x".repeat(1_000)).join("").length, 1_000)
  })
})
