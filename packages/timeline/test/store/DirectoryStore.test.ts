// Holds I-PUT-ONCE, I-PUT-HASH, I-PUT-WHOLE.
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer } from "effect"
import { systemError } from "effect/PlatformError"
import * as DirectoryStore from "../../src/store/DirectoryStore.ts"
import { infoOf } from "../../src/store/TimelineSegment.ts"
import { TimelineStore } from "../../src/store/TimelineStore.ts"
import { withSpace } from "../recorder/support/Disk.ts"
import { storeConformance } from "./support/Conformance.ts"
import { key, segmentsOf } from "./support/Segments.ts"

storeConformance(
  "a directory",
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const directory = `${yield* fs.makeTempDirectoryScoped({ prefix: "rspp-store-" })}/store`
    const segment = `${directory}/acme/ses_1/00000000.segment`
    return {
      layer: DirectoryStore.layer(directory),
      damage: Effect.gen(function*() {
        const bytes = yield* fs.readFile(segment)
        bytes[bytes.length - 1] = 255 - (bytes.at(-1) ?? 0)
        yield* fs.writeFile(segment, bytes)
      }),
      unable: DirectoryStore.layer(directory).pipe(
        Layer.provide(Layer.succeed(FileSystem.FileSystem, withSpace(fs, { bytes: 4096 })))
      )
    }
  })
)

const temporary = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped({ prefix: "rspp-store-" }))

describe("a directory", () => {
  it.effect("holds nothing that is not whole when a write breaks off, and clears it away", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* temporary
      const layer = DirectoryStore.layer(directory)
      const [segment] = segmentsOf(1)
      if (segment === undefined) return
      yield* Effect.ignore(Effect.provide(
        TimelineStore.use((store) => store.put(segment)),
        layer.pipe(Layer.provide(Layer.succeed(FileSystem.FileSystem, withSpace(fs, { bytes: 100 }))))
      ))
      assert.deepStrictEqual(yield* fs.readDirectory(`${directory}/.incoming`), [])
      const infos = yield* Effect.provide(TimelineStore.use((store) => store.list()), layer)
      assert.deepStrictEqual(infos, [])
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))

  it.effect("without hard links renames instead", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const cause = Object.assign(new Error("not permitted"), { code: "EPERM" })
      const link = () =>
        Effect.fail(systemError({ _tag: "PermissionDenied", module: "FileSystem", method: "link", cause }))
      const layer = DirectoryStore.layer(yield* temporary).pipe(
        Layer.provide(Layer.succeed(FileSystem.FileSystem, { ...fs, link }))
      )
      const segments = segmentsOf(2)
      yield* Effect.gen(function*() {
        const store = yield* TimelineStore
        for (const segment of segments) assert.strictEqual(yield* store.put(segment), "stored")
        for (const segment of segments) assert.strictEqual(yield* store.put(segment), "present")
        assert.deepStrictEqual(yield* store.list(key), segments.map(infoOf))
      }).pipe(Effect.provide(layer))
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))

  it.effect("is refused when it cannot be made or is a file", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* temporary
      yield* fs.writeFileString(`${directory}/file`, "")
      for (const path of [`${directory}/no/store`, `${directory}/file`]) {
        const error = yield* Effect.flip(Effect.provide(TimelineStore, DirectoryStore.layer(path)))
        assert.strictEqual(error._tag, "StoreRefused")
        assert.isFalse(error.retryable)
      }
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))
})
