import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { assert, describe, it } from "@effect/vitest"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Effect, FileSystem } from "effect"
import { preambleOf } from "../../src/format/TimelineFormat.ts"
import { frameHeaderBytes } from "../../src/format/TimelineFrame.ts"
import { read } from "../../src/format/TimelineReader.ts"
import { recording, usualSession } from "../recorder/support/Recording.ts"
import { fileOf, partsOf } from "./support/Frames.ts"

const inFile = <A, E>(bytes: Uint8Array, use: (path: string) => Effect.Effect<A, E, FileSystem.FileSystem>) =>
  Effect.scoped(Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const path = `${yield* fs.makeTempDirectoryScoped()}/call.timeline`
    yield* fs.writeFile(path, bytes)
    return yield* use(path)
  })).pipe(Effect.provide(NodeFileSystem.layer))

const bytesOf = fileOf

// Longer than one read from the disk.
const long = recording((script) => {
  for (let i = 0; i < 20; i++) usualSession(script)
  script.frames(600)
}, { level: "L2" })

const failure = (bytes: Uint8Array) => inFile(bytes, (path) => Effect.flip(read(path)))

describe("reading a file", () => {
  it.effect.each([1, 2])(
    "of version %i gives its header and records, all valid",
    (version) =>
      inFile(fileOf(long.frames, version), (path) =>
        Effect.gen(function*() {
          const { header, records, tear } = yield* read(path, { validate: true })
          assert.isUndefined(tear)
          assert.deepStrictEqual(header, long.header)
          assert.deepStrictEqual(records, long.records)
          const { size } = yield* (yield* FileSystem.FileSystem).stat(path)
          assert.isAbove(Number(size), version === 1 ? 512 * 1024 : 1024)
        }))
  )

  it.effect("names the byte where a changed frame begins, and gives what comes before", () => {
    const bytes = bytesOf(long.frames)
    const before = partsOf(long.frames).slice(0, long.frames.length >> 1)
    // In the payload: in its length it would be garbage.
    const middle = before.reduce((sum, part) => sum + part.length, 0) + frameHeaderBytes
    bytes[middle] = (bytes[middle] ?? 0) ^ 0x10
    return inFile(bytes, (path) =>
      Effect.gen(function*() {
        const { records, tear } = yield* read(path)
        assert.strictEqual(tear?.reason, "checksum")
        assert.isAtMost(tear?.offset ?? Infinity, middle)
        assert.strictEqual(records.length + 1, tear?.recordsBefore)
        assert.deepStrictEqual(records, long.records.slice(0, records.length))
      }))
  })

  it.effect("of nothing says that it is empty", () =>
    Effect.map(failure(new Uint8Array(0)), ({ _tag, message }) => {
      assert.strictEqual(_tag, "TimelineEmpty")
      assert.match(message, /call\.timeline: the file is empty/u)
    }))

  it.effect("of something else says that it is no timeline", () =>
    Effect.map(failure(Buffer.from("RIFF\0\0\0\0WAVEfmt ")), ({ _tag }) => assert.strictEqual(_tag, "NotATimeline")))

  it.effect("of another version says which versions can be read", () =>
    Effect.map(failure(Buffer.from("rspp-timeline 12\nwhatever")), (error) => {
      assert.strictEqual(error._tag, "UnknownTimelineVersion")
      assert.match(error.message, /a timeline of version 12; this program reads version 1, 2$/u)
    }))

  it.effect("without a header says so, and where", () =>
    Effect.map(failure(new Uint8Array([...preambleOf(2), 1, 2, 3])), (error) => {
      assert.strictEqual(error._tag, "TimelineWithoutHeader")
      assert.match(error.message, /cut off in it \(at byte 16\)/u)
    }))

  it.effect("that is not there says so", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(read("/nowhere/call.timeline"))
      assert.strictEqual(error._tag, "TimelineMissing")
    }).pipe(Effect.provide(NodeFileSystem.layer)))

  it.effect("that is a directory says that it cannot be read", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(read("/"))
      assert.strictEqual(error._tag, "TimelineUnreadable")
    }).pipe(Effect.provide(NodeFileSystem.layer)))

  it.effect("with a record that breaks the contract fails only when asked to judge", () => {
    const broken = {
      record: "input",
      runtime_sequence: -1,
      runtime_timestamp_ms: 0,
      lane: "DataLane",
      input: { type: "x" }
    }
    const frames = [...long.frames.slice(0, 3), [broken as unknown as TimelineRecord]]
    return inFile(bytesOf(frames), (path) =>
      Effect.gen(function*() {
        assert.strictEqual((yield* read(path)).records.length, frames.flat().length - 1)
        const error = yield* Effect.flip(read(path, { validate: true }))
        assert(error._tag === "InvalidTimelineRecord")
        assert.strictEqual(error.ordinal, frames.flat().length - 1)
        assert.match(error.message, /record \d+ \(input, byte \d+\) breaks the contract: .*runtime_sequence/u)
      }))
  })
})
