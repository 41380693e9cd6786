import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import { assert, describe, it } from "@effect/vitest"
import { validFixtures } from "./corpus.ts"

const reversed = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(reversed)
    : typeof value === "object" && value !== null
    ? Object.fromEntries(Object.entries(value).reverse().map(([key, inner]) => [key, reversed(inner)]))
    : value

describe("canonical JSON", () => {
  it("sorts keys at every depth and writes no white space", () => {
    assert.strictEqual(
      canonicalJson({ b: [{ d: 1, c: 2 }], a: { z: null, y: true } }),
      "{\"a\":{\"y\":true,\"z\":null},\"b\":[{\"c\":2,\"d\":1}]}"
    )
  })

  it("sorts by UTF-16 code units, digits first, as text", () => {
    assert.strictEqual(
      canonicalJson({ b: 0, "10": 0, "9": 0, B: 0, "é": 0, "": 0 }),
      "{\"\":0,\"10\":0,\"9\":0,\"B\":0,\"b\":0,\"é\":0}"
    )
  })

  it("keeps the order of lists", () => {
    assert.strictEqual(canonicalJson([3, 1, 2]), "[3,1,2]")
  })

  it("writes numbers and strings as JSON does, so 7.0 and 7 are one", () => {
    assert.strictEqual(
      canonicalJson([7.0, -0, 1e21, 0.1, "\"\n\u2028"]),
      JSON.stringify([7, 0, 1e21, 0.1, "\"\n\u2028"])
    )
  })

  it("leaves out keys whose value is undefined", () => {
    assert.strictEqual(canonicalJson({ a: undefined, b: 1 }), "{\"b\":1}")
  })

  it("refuses what JSON cannot hold", () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 1n, undefined, () => 1, Symbol("x"), [undefined]]) {
      assert.throws(() => canonicalJson(value), TypeError)
    }
  })

  it("does not depend on the order in which keys were written, and reads back as the same value", () => {
    for (const { artifact } of validFixtures) {
      const text = canonicalJson(artifact)
      assert.strictEqual(canonicalJson(reversed(artifact)), text)
      assert.deepStrictEqual(JSON.parse(text), artifact)
    }
  })
})
