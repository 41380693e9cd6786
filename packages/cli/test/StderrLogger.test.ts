import { describe, expect, it } from "vitest"
import { plain } from "@rspp/timeline/telemetry/LogWords"

describe("what is logged", () => {
  it("is an error's name and message, and nothing else that the error carries", () => {
    const error = Object.assign(new TypeError("no such row"), { detail: "Failing row contains (sk_secret)" })
    expect(plain(error)).toBe("TypeError: no such row")
  })

  it("never fails, whatever it is", () => {
    const cycle: { self?: unknown } = {}
    cycle.self = cycle
    for (const value of [cycle, { n: 1n }, undefined, null, Symbol("s"), () => 1, 1n]) {
      expect(plain(value)).toBeTypeOf("string")
    }
    expect(plain({ a: 1 })).toBe("{\"a\":1}")
  })
})
