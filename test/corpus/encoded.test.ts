// Holds the writer to what it has always written: each block of the corpus, made again from the records in it, has the same
// head and body. (What deflate makes of a body is the machine's; the bodies are ours.)
import { assert, describe, it } from "@effect/vitest"
import { decodeBlock } from "@rspp/timeline/format/RecordBlock"
import { RecordDecoder } from "@rspp/timeline/format/RecordDecoder"
import type { Group } from "@rspp/timeline/format/TimelineEncoder"
import { TimelineEncoder } from "@rspp/timeline/format/TimelineEncoder"
import { preambleOf } from "@rspp/timeline/format/TimelineFormat"
import { frameHeaderBytes, readFrame } from "@rspp/timeline/format/TimelineFrame"
import { corpus } from "./Corpus.ts"

const preamble = preambleOf(2)

const hex = ({ control, data }: { readonly control: Uint8Array; readonly data: Uint8Array }): string =>
  `${Buffer.from(control).toString("hex")} ${Buffer.from(data).toString("hex")}`

/** The blocks of a file, each as it is there and as it is written again. */
const blocks = (bytes: Uint8Array): ReadonlyArray<readonly [there: unknown, again: unknown]> => {
  const encoder = new TimelineEncoder(2)
  let decoder = new RecordDecoder()
  const found: Array<readonly [unknown, unknown]> = []
  for (let at = preamble.length;;) {
    const frame = readFrame(bytes, at)
    if (frame.is !== "frame") return found
    const { body, head } = decodeBlock(frame.payload)
    if (head.afresh) {
      decoder = new RecordDecoder()
      encoder.startAfresh()
    }
    const there = { ...head, deflated: false, body: hex(body) }
    const records = decoder.decode(head.records, body.control, body.data) as Group
    const again = decodeBlock(encoder.encode([records]).subarray(frameHeaderBytes))
    found.push([there, { ...again.head, deflated: false, body: hex(again.body) }])
    at = frame.next
  }
}

describe("a block of the corpus", () => {
  it("is written again as it is", () => {
    let count = 0
    for (const { bytes, name } of corpus()) {
      if (!Buffer.from(preamble).equals(bytes.subarray(0, preamble.length))) continue
      for (const [there, again] of blocks(bytes)) {
        assert.deepStrictEqual(again, there, name)
        count++
      }
    }
    assert.isAtLeast(count, 100)
  })
})
