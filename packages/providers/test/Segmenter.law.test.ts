import { assert, describe, it } from "@effect/vitest"
import { maxSegmentChars, Segmenter } from "@rspp/providers/Segmenter"

// A small seeded generator: texts of the parts that matter, cut at random places.
const random = (seed: number) => () => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
  return seed / 2 ** 32
}

const parts = [
  "Mr.",
  "10:30",
  "3.5",
  "a.m.",
  "Yes",
  "no.",
  "really?!",
  "\"Oh.\"",
  "word,",
  "A.",
  "e.g.",
  "…",
  "\n",
  "  ",
  "x".repeat(90)
]

describe("Segmenter laws", () => {
  it("gives the same segments however the text is cut into deltas, within bounds and with nothing lost", () => {
    for (let seed = 1; seed <= 400; seed++) {
      const next = random(seed)
      const text = Array.from({ length: 1 + next() * 30 }, () => parts[Math.floor(next() * parts.length)]).join(" ")
      const run = (deltas: ReadonlyArray<string>): Array<string> => {
        const segmenter = new Segmenter()
        const segments = deltas.flatMap((delta) => segmenter.push(delta))
        const last = segmenter.flush()
        return last === undefined ? segments : [...segments, last]
      }
      const deltas: Array<string> = []
      for (let at = 0; at < text.length;) {
        const length = 1 + Math.floor(next() * 12)
        deltas.push(text.slice(at, at + length))
        at += length
      }
      const whole = run([text])
      assert.deepStrictEqual(run(deltas), whole, `seed ${seed}`)
      assert.deepStrictEqual(run([...text]), whole, `seed ${seed}`)
      assert.isTrue(whole.every((segment) => segment !== "" && segment.length <= maxSegmentChars), `seed ${seed}`)
      assert.strictEqual(whole.join("").replace(/\s/gu, ""), text.replace(/\s/gu, ""), `seed ${seed}`)
    }
  })
})
