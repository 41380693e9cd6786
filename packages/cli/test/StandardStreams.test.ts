import { Writable } from "node:stream"
import { describe, expect, it } from "vitest"
import { standardStream } from "../src/StandardStreams.ts"

/** A stream that takes `lines` writes and fails from then on. */
const failing = (lines: number, code: string) => {
  const taken: Array<string> = []
  const stream = new Writable({
    autoDestroy: false,
    write: (chunk: Buffer, _, done) => {
      if (taken.length === lines) return done(Object.assign(new Error(`${code}: no more`), { code }))
      taken.push(chunk.toString())
      return done()
    }
  })
  return { stream: standardStream(stream), taken }
}

const loop = () => new Promise((resolve) => setImmediate(resolve))

describe("a standard stream", () => {
  it("says nothing to a reader who has gone, and calls that no failure", async () => {
    const { stream, taken } = failing(1, "EPIPE")
    for (const text of ["a", "b", "c"]) {
      stream.write(text)
      await loop()
    }
    expect(taken).toEqual(["a"])
    expect(stream.failure()).toBeUndefined()
  })

  it("throws nothing when the disk is full, and tells it at the end", async () => {
    const { stream, taken } = failing(2, "ENOSPC")
    for (const text of ["a", "b", "c", "d"]) {
      stream.write(text)
      await loop()
    }
    expect(taken).toEqual(["a", "b"])
    expect(stream.failure()).toBe("ENOSPC: no more")
  })
})
