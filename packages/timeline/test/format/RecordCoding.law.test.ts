// Holds I-FRAME-SAME for whatever records may hold, and that a block that is none is refused.
import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { deflateRawSync } from "node:zlib"
import { decodeBlock, encodeBlock } from "../../src/format/RecordBlock.ts"
import { RecordDecoder } from "../../src/format/RecordDecoder.ts"
import { maxTexts } from "../../src/format/RecordModel.ts"
import { TimelineDecoder } from "../../src/format/TimelineDecoder.ts"
import { TimelineEncoder } from "../../src/format/TimelineEncoder.ts"
import { preambleOf } from "../../src/format/TimelineFormat.ts"
import { frameHeaderBytes, frameOf } from "../../src/format/TimelineFrame.ts"
import { makeHeader } from "../recorder/support/Fixture.ts"
import { recording, usualSession } from "../recorder/support/Recording.ts"

const header: TimelineHeader = makeHeader()

/** A record that holds any JSON: the coder does not ask what the contract says. */
const holding = (value: unknown, more: object = {}): TimelineRecord =>
  ({ record: "input", lane: "DataLane", input: { value }, ...more }) as unknown as TimelineRecord

const decode = (parts: ReadonlyArray<Uint8Array>) => {
  const decoder = new TimelineDecoder()
  decoder.push(Buffer.concat([preambleOf(2), ...parts]))
  const read = decoder.finish()
  assert(read.is === "timeline")
  return read.timeline
}

/** Each value in a record of its own, in a block of its own. */
const there = (values: ReadonlyArray<unknown>): ReadonlyArray<unknown> => {
  const encoder = new TimelineEncoder(2)
  const parts = [encoder.encode([[header]]), ...values.map((value) => encoder.encode([[holding(value)]]))]
  return decode(parts).records
}

const same = (values: ReadonlyArray<unknown>) =>
  assert.deepStrictEqual(there(values).map(canonicalJson), values.map((value) => canonicalJson(holding(value))))

describe("records in blocks", () => {
  it("come back whatever they hold", () => {
    const hash = "0123456789abcdef".repeat(4)
    same([
      null,
      true,
      false,
      -0,
      0.1,
      1e300,
      -1.5,
      2 ** 47 - 1,
      2 ** 47,
      -(2 ** 47),
      Number.MAX_SAFE_INTEGER,
      "",
      "007",
      "a-0-00-1",
      "12345678901234",
      "123456789012345",
      "1 ".repeat(60),
      "1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18.19.20.21.22.23.24.25.26.27.28",
      "\u0000",
      "1\u00002",
      "\ud800",
      `${"x".repeat(200)}\udfff`,
      "ü 😀 1",
      hash,
      hash,
      hash.toUpperCase(),
      `sha256:${hash}#turn_1`,
      "x".repeat(100_000),
      [],
      {},
      [[]],
      [1, -1, 0, 16_777_215],
      [16_777_216],
      [1, 2.5],
      [{ a: 1 }, { a: 2 }, { a: 3 }],
      [{ a: 2 }, { a: 3 }, { a: 4 }],
      [{ a: 3 }],
      [],
      { a: undefined, b: [{ c: undefined }] },
      { "2": 1, "10": 2, a: 3 },
      JSON.parse(`{"__proto__":{"x":1}}`),
      { "\ud800": 1 },
      { ["k".repeat(100)]: 1 },
      Object.fromEntries(Array.from({ length: 400 }, (_, i) => [`k${i}`, i])),
      Array.from({ length: 100 }).reduce<unknown>((inner) => ({ inner }), 1),
      Array.from({ length: 100 }).reduce<unknown>((inner) => [inner], 1)
    ])
  })

  it("take hashes of long ago anew", () => {
    const hashes = Array.from({ length: 600 }, (_, i) => i.toString(16).padStart(64, "0"))
    same([...hashes, ...hashes.slice(0, 300), ...hashes])
  })

  it.prop("come back in any order, whatever came before", {
    values: Schema.Array(Schema.Union([
      Schema.Int,
      Schema.Finite,
      Schema.String,
      Schema.Array(Schema.Int),
      Schema.Record(Schema.String, Schema.NullOr(Schema.Union([Schema.Boolean, Schema.String, Schema.Int])))
    ]))
  }, ({ values }) => same([...values, ...values, ...values.toReversed()]))

  it("do not change when the writer begins afresh, and build on nothing before it", () => {
    const { frames, records } = recording(usualSession)
    const encoder = new TimelineEncoder(2)
    const parts = frames.map((frame, i) => {
      if (i === 7) encoder.startAfresh()
      return encoder.encode([frame])
    })
    assert.deepStrictEqual(decode(parts).records, records)
    // Without the first ones there is no header; with it alone before them, they are read.
    const { records: later } = decode([new TimelineEncoder(2).encode([frames[0] ?? []]), ...parts.slice(7)])
    // The end counts more records than these.
    assert.deepStrictEqual(later, frames.slice(7).flat().slice(0, -1))
  })

  it("begin afresh when they have told more texts than are remembered", () => {
    same(Array.from({ length: 2 * maxTexts + 10 }, (_, i) => `text ${String.fromCodePoint(0x4e00 + i)}`))
  })

  it("are written after one that cannot be", () => {
    const encoder = new TimelineEncoder(2)
    const first = encoder.encode([[header]])
    assert.throws(() => encoder.encode([[holding(1)], [holding(() => 1)]]), TypeError)
    assert.deepStrictEqual(decode([first, encoder.encode([[holding(2)]])]).records, [holding(2)])
  })

  it("are the same when their objects are other ones, or the same ones", () => {
    const { frames } = recording(usualSession)
    const copies = frames.map((frame) => JSON.parse(JSON.stringify(frame)) as typeof frame)
    const bytes = (groups: typeof frames) =>
      Buffer.concat(groups.map((group) => new TimelineEncoder(2).encode([group])))
    assert.isTrue(bytes(frames).equals(bytes(copies)))
    const one = new TimelineEncoder(2)
    const other = new TimelineEncoder(2)
    for (const [i, frame] of frames.entries()) {
      assert.deepStrictEqual(one.encode([frame]), other.encode([copies[i] ?? []]))
    }
  })
})

describe("a block under a right checksum that no writer has written", () => {
  const blocks = (() => {
    const encoder = new TimelineEncoder(2)
    return recording(usualSession).frames.map((frame) => encoder.encode([frame]).subarray(frameHeaderBytes))
  })()

  it("is garbage, or records, and never anything worse", () => {
    let garbage = 0
    const step = (seed: number) => (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    let seed = 7
    for (let round = 0; round < 600; round++) {
      const which = (seed = step(seed)) % blocks.length
      const changed = Uint8Array.from(blocks[which] ?? [])
      seed = step(seed)
      const at = seed % changed.length
      changed[at] = (seed >>> 8) & 0xff
      const decoder = new TimelineDecoder()
      decoder.push(Buffer.concat([preambleOf(2), ...blocks.map((block, i) => frameOf(i === which ? changed : block))]))
      const read = decoder.finish()
      if (read.is === "timeline" ? read.timeline.tear?.reason === "garbage" : read.is === "rejected") garbage++
    }
    assert.isAbove(garbage, 200)
  })

  it("cannot make a reader build without end", () => {
    const { body, head } = decodeBlock(blocks[0] ?? new Uint8Array())
    const decoder = new RecordDecoder()
    decoder.decode(head.records, body.control, body.data)
    // As many decisions as there can be are as expected.
    assert.throws(() =>
      decoder.decode(2 ** 50, Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x07), new Uint8Array())
    )
    const huge = deflateRawSync(new Uint8Array(64 * 1024 * 1024))
    const payload = Buffer.concat([Uint8Array.of(3, 1, 0), huge])
    assert.throws(() => decodeBlock(payload))
    assert.throws(() =>
      encodeBlock({ afresh: true, ends: false, records: 1 }, {
        control: new Uint8Array(),
        data: new Uint8Array(17 * 1024 * 1024)
      }, 0), RangeError)
  })
})
