import { describe, expect, it } from "@effect/vitest"
import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import { differencesOf, sameJson } from "../../src/replay/JsonDifference.ts"
import { SeededStream } from "../support/SeededStream.ts"

const pairs = 20_000

/** A small random JSON value with few distinct leaves, so that equal values are frequent. */
const draw = (stream: SeededStream, depth: number): unknown => {
  const kind = stream.between(0, depth > 2 ? 4 : 6)
  if (kind === 0) return null
  if (kind === 1) return stream.between(0, 1) === 1
  if (kind === 2) return stream.between(0, 2)
  if (kind === 3) return ["", "a", "b"][stream.between(0, 2)]
  if (kind === 4) return -0
  const size = stream.between(0, 2)
  if (kind === 5) return Array.from({ length: size }, () => draw(stream, depth + 1))
  const keys = ["x", "y", "z"]
  const at = stream.between(0, 2)
  return Object.fromEntries(
    Array.from({ length: size }, (_, key) => [
      keys[(at + key) % 3],
      stream.between(0, 5) === 0 ? undefined : draw(stream, depth + 1)
    ])
  )
}

describe("the comparison of records", () => {
  it(`says same exactly when the canonical texts are the same (${pairs} pairs)`, () => {
    const stream = new SeededStream(7, "pairs")
    let same = 0
    for (let pair = 0; pair < pairs; pair++) {
      const [a, b] = [draw(stream, 0), draw(stream, 0)]
      const expected = canonicalJson(a) === canonicalJson(b)
      if (expected) same++
      expect([pair, sameJson(a, b)]).toEqual([pair, expected])
      expect(sameJson(b, a)).toBe(expected)
      expect(differencesOf(a, b).length === 0).toBe(expected)
    }
    expect(same).toBeGreaterThan(1000)
    expect(same).toBeLessThan(pairs - 1000)
  })

  it("names the leaves that differ, with both sides", () => {
    const recorded = { a: 1, b: { c: [1, 2], d: "x" } }
    const replayed = { a: 1, b: { c: [1, 3, 4] } }
    expect(differencesOf(recorded, replayed)).toEqual([
      { path: "b.c.1", recorded: 2, replayed: 3 },
      { path: "b.c.2", recorded: undefined, replayed: 4 },
      { path: "b.d", recorded: "x", replayed: undefined }
    ])
  })
})
