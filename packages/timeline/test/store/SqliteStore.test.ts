// Holds I-PUT-ONCE, I-PUT-HASH, I-PUT-WHOLE.
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import * as NodeSqlite from "@rspp/sql/NodeSqlite"
import * as SqliteStore from "../../src/store/SqliteStore.ts"
import { TimelineStore } from "../../src/store/TimelineStore.ts"
import { storeConformance } from "./support/Conformance.ts"
import { segmentsOf } from "./support/Segments.ts"

const temporary = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped({ prefix: "rspp-store-" }))

storeConformance(
  "SQLite",
  Effect.gen(function*() {
    const file = `${yield* temporary}/store.sqlite`
    return {
      layer: SqliteStore.layer(file),
      damage: Effect.provide(
        Effect.flatMap(
          SqlClient,
          (sql) => sql`UPDATE rspp_timeline_segments SET bytes = zeroblob(byte_length) WHERE segment_index = 0`
        ),
        NodeSqlite.layer(file)
      ),
      unable: SqliteStore.layer(file, { maxPages: 8 })
    }
  })
)

describe("SQLite", () => {
  it.effect("is refused when the file is something else or its directory does not exist", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* temporary
      yield* fs.writeFileString(`${directory}/other`, "this is no database, it is a text of some length")
      const other = yield* Effect.flip(Effect.provide(TimelineStore, SqliteStore.layer(`${directory}/other`)))
      assert.strictEqual(other._tag, "StoreRefused")
      const missing = yield* Effect.flip(Effect.provide(TimelineStore, SqliteStore.layer(`${directory}/no/file`)))
      assert.strictEqual(missing._tag, "StoreUnavailable")
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))

  it.live(
    "that another process holds up does not hold up this thread, and answers in bounded time",
    () =>
      Effect.gen(function*() {
        const file = `${yield* temporary}/store.sqlite`
        const [segment] = segmentsOf(1)
        if (segment === undefined) return
        yield* Effect.gen(function*() {
          const store = yield* TimelineStore
          const holder = yield* SqlClient
          let longest = 0
          let last = performance.now()
          const beat = setInterval(() => {
            longest = Math.max(longest, performance.now() - last)
            last = performance.now()
          }, 5)
          const error = yield* holder.withTransaction(
            Effect.andThen(holder`CREATE TABLE held (x)`, Effect.flip(store.put(segment)))
          )
          clearInterval(beat)
          assert.strictEqual(error._tag, "StoreUnavailable")
          assert.isTrue(error.retryable)
          assert.isBelow(longest, NodeSqlite.busyTimeoutMs / 2)
          assert.strictEqual(yield* store.put(segment), "stored")
        }).pipe(Effect.provide([SqliteStore.layer(file), NodeSqlite.layer(file)], { local: true }))
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
    20_000
  )
})
