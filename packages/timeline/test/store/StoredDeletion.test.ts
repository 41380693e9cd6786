// Holds I-REPLACE. Deletion and retention in each kind of store: what was said is gone from it, the rest verifies and replays.
import { Cause, Effect, Exit, FileSystem, Layer, Option, Redacted } from "effect"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { afterAll, assert, describe, it } from "@effect/vitest"
import type { RetentionPolicy } from "@rspp/contracts/Privacy"
import { spawnSync } from "node:child_process"
import { TimelineDecoder } from "../../src/format/TimelineDecoder.ts"
import { AuditLog, verifyAuditLog } from "../../src/privacy/AuditLog.ts"
import { withoutPayloads } from "../../src/privacy/Removal.ts"
import * as DirectoryObjects from "../../src/store/DirectoryObjects.ts"
import * as MemoryObjects from "../../src/store/MemoryObjects.ts"
import { ObjectStore } from "../../src/store/ObjectStore.ts"
import * as ObjectTimelineStore from "../../src/store/ObjectTimelineStore.ts"
import * as PostgresStore from "../../src/store/PostgresStore.ts"
import * as SqliteStore from "../../src/store/SqliteStore.ts"
import { deleteStored, sweepStored } from "../../src/store/StoredDeletion.ts"
import { makeSegment } from "../../src/store/TimelineSegment.ts"
import type { StoreError } from "../../src/store/TimelineStore.ts"
import { StoreUnavailable, TimelineStore } from "../../src/store/TimelineStore.ts"
import { cutSegment } from "../../src/store/SegmentCutter.ts"
import { recordCall } from "../privacy/support.ts"
import { makeHeader } from "../recorder/support/Fixture.ts"
import { postgresServer } from "@rspp/sql/test/support/PostgresServer"

const day = 24 * 60 * 60 * 1000
const header = makeHeader("L2")
const key = { tenant_id: "acme", session_id: header.session_id }
/** What the caller says in each turn of the usual session. */
const words = "hello there"
const now = header.wall_clock_start_ms + 8 * day

/** Puts a file into the store as the shipper does, a segment for each frame. */
const shipped = Effect.fnUntraced(function*(path: string, of = key) {
  const fs = yield* FileSystem.FileSystem
  const store = yield* TimelineStore
  const bytes = yield* fs.readFile(path)
  for (let offset = 0, index = 0; offset < bytes.length; index++) {
    const rest = bytes.subarray(offset)
    const whole = cutSegment(rest, offset === 0, 1)
    const cut = whole.is === "short" ? cutSegment(rest, offset === 0, whole.bytes) : whole
    if (cut.is !== "cut") throw new Error(cut.is)
    const { is: _, length, ...about } = cut
    yield* store.put(makeSegment({ ...of, index, offset, ...about }, rest.subarray(0, length)))
    offset += length
  }
  return bytes
})

const storedBytes = Effect.gen(function*() {
  const store = yield* TimelineStore
  const infos = yield* store.list(key)
  return Buffer.concat((yield* Effect.forEach(infos, ({ index }) => store.get(key, index))).map(({ bytes }) => bytes))
})

const decoded = (bytes: Uint8Array) => {
  const decoder = new TimelineDecoder()
  decoder.push(bytes)
  const result = decoder.finish()
  return result.is === "timeline" ? result.timeline : assert.fail(result.is)
}

const said = (bytes: Uint8Array): boolean =>
  decoded(bytes).records.some((record) => record.record === "payload" && record.text === words)

interface Stored {
  readonly layer: Layer.Layer<TimelineStore, StoreError, FileSystem.FileSystem>
  /** Everything that lies in the place of the store, as it is on the disk; undefined where nobody can look. */
  readonly raw: (directory: string) => Buffer | undefined
}

const everything = (path: string): Buffer =>
  spawnSync("sh", ["-c", `find ${path} -type f -exec cat {} +`], { maxBuffer: 1 << 28 }).stdout

/** Pieces of a recording, each long enough to be found nowhere else. */
const pieces = (bytes: Uint8Array): ReadonlyArray<Buffer> =>
  Array.from({ length: Math.floor(bytes.length / 48) }, (_, at) => Buffer.from(bytes.subarray(at * 48, at * 48 + 48)))
    // Room that a page of a database fills with zeros is everybody's.
    .filter((piece) => new Set(piece).size > 8)

const kinds: Array<readonly [name: string, open: (directory: string) => Stored]> = [
  ["directory", (directory) => ({
    layer: ObjectTimelineStore.layer.pipe(
      Layer.provide(DirectoryObjects.layer(`${directory}/store`)),
      Layer.provide(NodeServices.layer)
    ),
    raw: () => everything(`${directory}/store`)
  })],
  ["SQLite", (directory) => ({
    layer: SqliteStore.layer(`${directory}/store.sqlite`),
    raw: () => everything(`${directory}/store.sqlite*`)
  })],
  ["object store", () => ({
    layer: ObjectTimelineStore.layer.pipe(Layer.provide(MemoryObjects.layer)),
    raw: () => undefined
  })]
]

const server = postgresServer()

const notRun = (missing: string) =>
  describe("PostgreSQL", () => {
    it(`was not run: ${missing}`, (context) => context.skip(missing))
  })

const held = (url: string, stop: () => void) => {
  afterAll(stop)
  kinds.push(["PostgreSQL", () => ({ layer: PostgresStore.layer(Redacted.make(new URL(url))), raw: () => undefined })])
}

"missing" in server ? notRun(server.missing) : held(server.url, server.stop)

const using = <A, E>(
  open: (directory: string) => Stored,
  use: (directory: string, stored: Stored) => Effect.Effect<A, E, FileSystem.FileSystem | TimelineStore | AuditLog>
) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const directory = yield* fs.makeTempDirectoryScoped({ prefix: "rspp-stored-" })
    const stored = open(directory)
    return yield* Effect.gen(function*() {
      const store = yield* TimelineStore
      // The server is shared.
      yield* store.replace(key, yield* store.list(key), [])
      return yield* use(directory, stored)
    }).pipe(Effect.provide(Layer.merge(stored.layer, AuditLog.layer(`${directory}/audit.jsonl`))))
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

describe.each(kinds)("a recording in a store: %s", (_, open) => {
  it.live(
    "loses what was said in a turn, then everything, and stays a whole recording",
    () =>
      using(open, (directory, { raw }) =>
        Effect.gen(function*() {
          yield* recordCall(`${directory}/a.timeline`)
          const before = yield* shipped(`${directory}/a.timeline`)
          const count = (bytes: Uint8Array) =>
            decoded(bytes).records.filter(({ record }) => record === "payload").length
          const one = yield* deleteStored(key, { mode: "hard_delete", turnId: "turn_1" })
          assert.isAbove(Object.keys(one.removed).length, 0)
          const after = yield* storedBytes
          assert.isBelow(count(after), count(before))
          assert.isAbove(count(after), 0)
          const all = yield* deleteStored(key, { mode: "hard_delete" })
          assert.isAbove(Object.keys(all.removed).length, 0)
          const last = yield* storedBytes
          const { records, tear } = decoded(last)
          assert.deepStrictEqual([count(last), tear, records.at(-1)?.record], [0, undefined, "end"])
          assert.lengthOf(records, decoded(before).records.length)
          assert.deepStrictEqual([said(before), said(last)], [true, false])
          const lying = raw(directory)
          if (lying !== undefined) {
            const gone = pieces(before).filter((piece) => !last.includes(piece))
            assert.isAbove(gone.length, 10)
            assert.deepStrictEqual(gone.filter((piece) => lying.includes(piece)), [])
            assert.isTrue(lying.includes(last.subarray(0, 100)))
          }
          // As a deletion from the file itself would have it.
          assert.isTrue(last.equals(Buffer.concat([...withoutPayloads(before, () => true, "hard_delete")])))
          assert.deepStrictEqual((yield* deleteStored(key, { mode: "hard_delete" })).removed, {})
          const { entries, problems } = yield* verifyAuditLog(`${directory}/audit.jsonl`)
          assert.deepStrictEqual([entries, problems], [6, []])
        })),
    60_000
  )

  it.live(
    "cannot be opened any more once its key is destroyed, and is as it was",
    () =>
      using(open, (directory) =>
        Effect.gen(function*() {
          const fs = yield* FileSystem.FileSystem
          yield* fs.makeDirectory(`${directory}/keys`)
          yield* recordCall(`${directory}/a.timeline`, { keys: `${directory}/keys` })
          const before = yield* shipped(`${directory}/a.timeline`)
          const refused = yield* Effect.flip(deleteStored(key, { mode: "crypto_inaccessible" }))
          assert.match(refused.message, /no key store is given/u)
          const report = yield* deleteStored(key, { mode: "crypto_inaccessible", keys: `${directory}/keys` })
          assert.isTrue(report.key_destroyed)
          assert.isTrue((yield* storedBytes).equals(before))
        })),
    60_000
  )

  it.live(
    "is swept by a retention policy: stripped, then removed, each once",
    () =>
      using(open, (directory, { raw }) =>
        Effect.gen(function*() {
          yield* recordCall(`${directory}/a.timeline`)
          const before = yield* shipped(`${directory}/a.timeline`)
          const policy: RetentionPolicy = {
            schema_version: "v1.0",
            retention: [{ tenant_id: "acme", payload_days: { text_raw: 7 }, recording_days: 30 }]
          }
          const swept = (nowMs: number, dryRun = false) =>
            Effect.map(
              sweepStored({ policy, nowMs, dryRun }),
              (files) => files.filter(({ session_id }) => session_id === key.session_id).map(({ action }) => action)
            )
          assert.deepStrictEqual(yield* swept(now, true), ["strip"])
          assert.isTrue(said(yield* storedBytes))
          assert.deepStrictEqual(yield* swept(now), ["strip"])
          assert.isFalse(said(yield* storedBytes))
          assert.deepStrictEqual(yield* swept(now), ["keep"])
          assert.deepStrictEqual(yield* swept(now + 30 * day), ["remove"])
          assert.deepStrictEqual(yield* (yield* TimelineStore).list(key), [])
          assert.deepStrictEqual(yield* swept(now + 30 * day), [])
          const lying = raw(directory)
          if (lying !== undefined) {
            assert.deepStrictEqual(
              pieces(before).filter((piece) => lying.includes(piece)),
              []
            )
          }
        })),
    60_000
  )

  it.live(
    "that is still being shipped, or has a hole, is refused and left as it is",
    () =>
      using(open, (directory) =>
        Effect.gen(function*() {
          yield* recordCall(`${directory}/a.timeline`)
          yield* shipped(`${directory}/a.timeline`)
          const store = yield* TimelineStore
          const infos = yield* store.list(key)
          const segments = yield* Effect.forEach(infos, ({ index }) => store.get(key, index))
          yield* store.replace(key, infos, segments.slice(0, -1))
          assert.match(
            (yield* Effect.flip(deleteStored(key, { mode: "hard_delete" }))).message,
            /is being recorded still/u
          )
          yield* store.replace(key, yield* store.list(key), segments.slice(1))
          assert.match(
            (yield* Effect.flip(deleteStored(key, { mode: "hard_delete" }))).message,
            /segment 0 is missing/u
          )
          assert.lengthOf(yield* store.list(key), infos.length - 1)
        })),
    60_000
  )

  it.live(
    "is not touched when the deletion cannot be written down",
    () =>
      using(open, (directory) =>
        Effect.gen(function*() {
          const fs = yield* FileSystem.FileSystem
          yield* recordCall(`${directory}/a.timeline`)
          const before = yield* shipped(`${directory}/a.timeline`)
          yield* fs.symlink("/dev/full", `${directory}/full.jsonl`)
          const failure = yield* Effect.flip(
            Effect.provide(deleteStored(key, { mode: "hard_delete" }), AuditLog.layer(`${directory}/full.jsonl`))
          )
          assert.strictEqual(failure._tag, "AuditUnavailable")
          assert.isTrue((yield* storedBytes).equals(before))
        })),
    60_000
  )
})

describe("a deletion from a store of objects that breaks off", () => {
  it.live("at any call to the store has not happened, or is finished by the next one", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped({ prefix: "rspp-stored-" })
      yield* recordCall(`${directory}/a.timeline`)
      let kept = 0
      let finished = 0
      for (let calls = 1; calls < 200; calls++) {
        let left = Number.POSITIVE_INFINITY
        const counted = <A, E>(call: Effect.Effect<A, E>) =>
          Effect.suspend((): Effect.Effect<A, E | StoreUnavailable> =>
            left-- > 0 ? call : Effect.fail(new StoreUnavailable({ store: "objects", message: "gone" }))
          )
        const failing = Layer.effect(
          ObjectStore,
          Effect.map(ObjectStore, (objects) =>
            ObjectStore.of({
              name: "objects",
              put: (name, bytes) => counted(objects.put(name, bytes)),
              get: (name, first) => counted(objects.get(name, first)),
              list: (prefix) => counted(objects.list(prefix)),
              remove: (name) => counted(objects.remove(name))
            }))
        ).pipe(Layer.provide(MemoryObjects.layer))
        const whole = yield* Effect.gen(function*() {
          const before = yield* shipped(`${directory}/a.timeline`)
          left = calls
          const exit = yield* Effect.exit(deleteStored(key, { mode: "hard_delete" }))
          left = Number.POSITIVE_INFINITY
          if (Exit.isSuccess(exit)) return true
          const error = Cause.findErrorOption(exit.cause)
          assert.strictEqual(Option.isSome(error) ? error.value._tag : "", "StoreUnavailable")
          const store = yield* TimelineStore
          yield* store.settle()
          const bytes = yield* storedBytes
          if (bytes.equals(before)) kept++
          else {
            finished++
            assert.isTrue(
              bytes.equals(Buffer.concat([...withoutPayloads(before, () => true, "hard_delete")])),
              `${calls}`
            )
          }
          return false
        }).pipe(Effect.provide(Layer.merge(
          ObjectTimelineStore.layer.pipe(Layer.provide(failing)),
          AuditLog.layer(`${directory}/audit.jsonl`)
        )))
        if (whole) break
      }
      assert.isAbove(kept, 3)
      assert.isAbove(finished, 3)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)), 60_000)
})
