import { assert, describe, it } from "@effect/vitest"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Effect, FileSystem, Layer } from "effect"
import { TestClock } from "effect/testing"
import { read } from "../../src/format/TimelineReader.ts"
import type { Durability } from "../../src/recorder/Durability.ts"
import type { Emission } from "../../src/recorder/RecordAssembler.ts"
import { create } from "../../src/recorder/TimelineFile.ts"
import { makeHeader } from "./support/Fixture.ts"

/** The real disk, and how often it was asked to make sure. */
const counted = (syncs: { count: number }) =>
  Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (fs) =>
      FileSystem.FileSystem.of({
        ...fs,
        open: (path, options) =>
          Effect.map(fs.open(path, options), (file) =>
            Object.create(file, {
              sync: { value: Effect.andThen(Effect.sync(() => void syncs.count++), file.sync) }
            }) as FileSystem.File)
      }))
  ).pipe(Layer.provide(NodeFileSystem.layer))

const audio = (first_sequence: number): Emission["records"] => [{
  record: "audio",
  first_sequence,
  count: 1,
  first_sample_index: first_sequence * 320,
  first_timestamp_ms: first_sequence * 20
}]

/** Syncs after each of three batches, the second of which ends a turn, and after the close; 400 ms between two batches. */
const syncsOf = (durability: Durability | undefined) =>
  Effect.gen(function*() {
    const syncs = { count: 0 }
    const after: Array<number> = []
    yield* Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped()
      const path = `${directory}/call.timeline`
      yield* Effect.scoped(Effect.gen(function*() {
        const file = yield* create(path, makeHeader(), durability)
        for (const [index, tier] of (["record", "baseline", "record"] as const).entries()) {
          yield* TestClock.adjust(400)
          yield* file.append([{ tier, records: audio(index) }])
          after.push(syncs.count)
        }
        yield* file.close((records) => ({
          record: "end",
          last_sequence: 2,
          runtime_timestamp_ms: 40,
          reason: "ended",
          records
        }))
      }))
      after.push(syncs.count)
      const { records, tear } = yield* read(path, { validate: true })
      assert.isUndefined(tear)
      assert.lengthOf(records, 4, "whatever is synced, all of it is written")
    }).pipe(Effect.provide(counted(syncs)))
    return after
  })

describe("the durability of a recording", () => {
  it.effect("is, by default, to be synced with each turn that ends, and when it is closed", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* syncsOf(undefined), [0, 1, 1, 2])
    }))

  it.effect("may be an interval, from the first batch on: synced with the first batch after it", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* syncsOf({ intervalMs: 800 }), [0, 0, 1, 2])
      assert.deepStrictEqual(yield* syncsOf({ intervalMs: 1000 }), [0, 0, 0, 1])
      assert.deepStrictEqual(yield* syncsOf({ intervalMs: 100 }), [0, 1, 2, 3])
    }))

  it.effect("may be left to the operating system: synced when it is closed", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* syncsOf("none"), [0, 0, 0, 1])
    }))
})
