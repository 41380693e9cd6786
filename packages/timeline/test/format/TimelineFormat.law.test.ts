// Holds I-FRAME-WHOLE, I-FRAME-SAME.
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { TimelineDecoder } from "../../src/format/TimelineDecoder.ts"
import type { Group } from "../../src/format/TimelineEncoder.ts"
import { TimelineEncoder } from "../../src/format/TimelineEncoder.ts"
import { preambleOf } from "../../src/format/TimelineFormat.ts"
import { frameHeaderBytes, maxFrameBytes } from "../../src/format/TimelineFrame.ts"
import { recording, usualSession } from "../recorder/support/Recording.ts"
import { fileOf, partsOf } from "./support/Frames.ts"

const decode = (bytes: Uint8Array, chunk = bytes.length) => {
  const decoder = new TimelineDecoder()
  for (let at = 0; at < bytes.length; at += chunk) decoder.push(bytes.subarray(at, at + chunk))
  return decoder.finish()
}

const preamble = preambleOf(2)

/** A small timeline: short enough that each of its bytes can be tried. */
const small = recording((script) => {
  script.input({ type: "session_started" }, "ControlLane").frames(3)
  const { turn } = script.open()
  script.end(turn, "abort", "provider_failure")
})
const fileWith = (version: number) => {
  const parts = partsOf(small.frames, version)
  const boundaries: Array<number> = []
  for (const part of parts) boundaries.push((boundaries.at(-1) ?? 0) + part.length)
  return { boundaries, bytes: fileOf(small.frames, version) }
}
const files = [fileWith(1), fileWith(2)] as const
/** Records in the frames that end at or before `offset`. */
const recordsIn = (boundaries: ReadonlyArray<number>, offset: number): number =>
  small.frames.filter((_, i) => (boundaries[i + 1] ?? Infinity) <= offset).flat().length

describe.each([1, 2])("a timeline of version %i", (version) => {
  const { boundaries, bytes } = files[version - 1] ?? files[0]
  const encode = (frames: ReadonlyArray<Group>) => fileOf(frames, version)

  it("reads back as it was written", () => {
    const { frames, header, records } = recording(usualSession, { level: "L2" })
    assert.deepStrictEqual(decode(encode(frames)), { is: "timeline", timeline: { header, records } })
  })

  it("has the same bytes when it is written again from what was read", () => {
    const read = decode(bytes)
    assert(read.is === "timeline")
    assert.deepStrictEqual(encode(small.frames), bytes)
    const flat = [read.timeline.header, ...read.timeline.records]
    assert.deepStrictEqual(
      encode(flat.map((record) => [record])),
      encode(small.frames.flat().map((record) => [record]))
    )
  })

  it.prop("reads the same however its bytes are cut into chunks", {
    size: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 3000 }))
  }, ({ size }) => {
    assert.deepStrictEqual(decode(bytes, size), decode(bytes))
  })

  it("cut off at any byte gives everything before the cut, and names it", () => {
    for (let length = 0; length < bytes.length; length++) {
      const read = decode(bytes.subarray(0, length), 4096)
      if (length === 0) assert.deepStrictEqual(read, { is: "rejected", rejection: { is: "empty" } })
      else if (length < preamble.length) assert.deepStrictEqual(read, { is: "rejected", rejection: { is: "other" } })
      else {
        const offset = boundaries.findLast((end) => end <= length) ?? 0
        const tear = { offset, reason: "truncated" as const, recordsBefore: recordsIn(boundaries, length) }
        if (tear.recordsBefore === 0) {
          assert.deepStrictEqual(read, { is: "rejected", rejection: { is: "no_header", tear } })
        } else {
          assert(read.is === "timeline")
          assert.deepStrictEqual(read.timeline.tear, tear)
          assert.deepStrictEqual(read.timeline.records, small.records.slice(0, tear.recordsBefore - 1))
        }
      }
    }
  })

  it("with any one byte changed is torn at the frame of that byte, or refused", () => {
    for (let at = 0; at < bytes.length; at++) {
      for (const mask of [0x01, 0x80, 0xff]) {
        const changed = Uint8Array.from(bytes)
        changed[at] = (changed[at] ?? 0) ^ mask
        const read = decode(changed)
        const offset = boundaries.findLast((end) => end <= at) ?? 0
        if (at < preamble.length) {
          assert(read.is === "rejected" && (read.rejection.is === "other" || read.rejection.is === "version"))
          continue
        }
        const tear = read.is === "timeline" ?
          read.timeline.tear :
          read.is === "rejected" && read.rejection.is === "no_header"
          ? read.rejection.tear
          : undefined
        assert.strictEqual(tear?.offset, offset, `byte ${at} ^ ${mask}`)
        assert.strictEqual(tear?.recordsBefore, recordsIn(boundaries, at))
        const inPayload = at >= offset + frameHeaderBytes
        if (inPayload) assert.strictEqual(tear?.reason, "checksum")
        // A length that points past the end is damage, not a cut, as long as a frame follows.
        else if (offset !== boundaries.at(-2)) assert.notStrictEqual(tear?.reason, "truncated", `byte ${at} ^ ${mask}`)
      }
    }
  }, 60_000)

  it("followed by the zeros that a writer keeps ahead is cut off there", () => {
    const open = Buffer.concat([bytes.subarray(0, boundaries.at(-2)), new Uint8Array(1000)])
    const read = decode(new Uint8Array(open))
    assert(read.is === "timeline")
    assert.deepStrictEqual(read.timeline.tear, {
      offset: boundaries.at(-2) ?? 0,
      reason: "truncated",
      recordsBefore: small.frames.flat().length - 1
    })
  })

  it("with something behind its end is torn there", () => {
    for (
      const more of [
        new Uint8Array([1]),
        new TimelineEncoder(version).encode([small.frames[1] ?? []]),
        new Uint8Array(100).fill(1, 99)
      ]
    ) {
      const read = decode(new Uint8Array(Buffer.concat([bytes, more])))
      assert(read.is === "timeline")
      assert.deepStrictEqual(read.timeline.tear?.offset, bytes.length)
    }
  })

  it("that ended is whole, even when its writer could not give back the room behind it", () => {
    for (const chunk of [7, 4096]) {
      const read = decode(new Uint8Array(Buffer.concat([bytes, new Uint8Array(100)])), chunk)
      assert(read.is === "timeline")
      assert.isUndefined(read.timeline.tear)
    }
  })

  it("whose end counts other records than there are is torn there", () => {
    const frames = small.frames.filter((_, i) => i !== 2)
    const read = decode(encode(frames))
    assert(read.is === "timeline")
    assert.deepStrictEqual(read.timeline.tear?.reason, "garbage")
    assert.strictEqual(read.timeline.tear?.recordsBefore, frames.flat().length - 1)
  })

  it("of another version is refused with that version", () => {
    const other = Uint8Array.from(bytes)
    other[preamble.length - 2] = "3".charCodeAt(0)
    assert.deepStrictEqual(decode(other), { is: "rejected", rejection: { is: "version", version: "3" } })
  })

  it("is not any other file", () => {
    for (const text of ["RIFF....WAVE", "{}", "rspp", "rspp-timeline one\n", "rspp-timeline 2"]) {
      assert.deepStrictEqual(decode(Buffer.from(text)), { is: "rejected", rejection: { is: "other" } }, text)
    }
  })

  it("does not begin without its header", () => {
    const read = decode(encode(small.frames.slice(1)))
    assert(read.is === "rejected" && read.rejection.is === "no_header")
    assert.strictEqual(read.rejection.tear.offset, preamble.length)
  })
})

describe("a frame", () => {
  const handle = { id: "h", payload_class: "audio_raw" as const, action: "allow" as const }
  const sized = (length: number): TimelineRecord => ({
    record: "payload",
    handle_id: handle.id,
    payload_class: handle.payload_class,
    action: handle.action,
    pcm_base64: "A".repeat(length)
  })

  it("holds at most 16 MB", () => {
    for (const version of [1, 2]) {
      const encoder = new TimelineEncoder(version)
      assert.throws(() => encoder.encode([[sized(maxFrameBytes)]]), RangeError)
      assert.isAbove(encoder.encode([[sized(maxFrameBytes - 200)]]).length, 1000)
    }
  })

  it("that claims more is not waited for", () => {
    const claim = new Uint8Array(8)
    new DataView(claim.buffer).setUint32(0, maxFrameBytes + 1)
    const decoder = new TimelineDecoder()
    decoder.push(files[1].bytes.subarray(0, files[1].boundaries.at(-2)))
    assert.isFalse(decoder.push(claim))
    const read = decoder.finish()
    assert(read.is === "timeline")
    assert.strictEqual(read.timeline.tear?.reason, "garbage")
  })
})
