// Holds I-SHIP-ALL, I-SHIP-APART, I-SHIP-BOUNDED.
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { read } from "@rspp/timeline/format/TimelineReader"
import { evidenceCompleteness } from "@rspp/timeline/recorder/EvidenceCompleteness"
import * as FileRecorder from "@rspp/timeline/recorder/FileRecorder"
import { Replayer } from "@rspp/timeline/replay/Replayer"
import * as DirectoryStore from "@rspp/timeline/store/DirectoryStore"
import { ExportLag } from "@rspp/timeline/store/ExportLag"
import * as MemoryObjects from "@rspp/timeline/store/MemoryObjects"
import * as ObjectTimelineStore from "@rspp/timeline/store/ObjectTimelineStore"
import { shipperLimits } from "@rspp/timeline/store/ShipperLimits"
import * as SqliteStore from "@rspp/timeline/store/SqliteStore"
import { bytesOf, recordingsOf } from "@rspp/timeline/store/StoredRecording"
import * as Shipper from "@rspp/timeline/store/TimelineShipper"
import { StoreUnavailable, TimelineStore } from "@rspp/timeline/store/TimelineStore"
import { makeCallScript } from "@rspp/transports/loopback/CallScript"
import * as VirtualTime from "@rspp/transports/loopback/VirtualTime"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { Effect, FileSystem, Layer, Logger, Stream } from "effect"
import type { Path } from "effect"
import { playScriptedCall, scriptedSessionId, speech } from "../support/ScriptedCall.ts"

/** Three turns; the second is cut off by the third. */
const call = {
  script: makeCallScript([
    { say: speech(900) },
    { say: speech(700) },
    { say: speech(1100), at: { after: "agent_started" as const, delay_ms: 700 } }
  ]),
  heard: ["what is the time", "tell me a long story", "stop that please"],
  replies: [
    "It is noon. The sun is high.",
    "There was a man who walked a very long way. He never came home again. Nobody knows why he did that.",
    "I have stopped."
  ]
}

/** Small segments, and no patience: what happens in minutes with the real ones happens here within a test. */
const limits = {
  ...shipperLimits,
  segmentBytes: 1024,
  holdMs: 20,
  firstPauseMs: 5,
  answerMs: 300,
  restMs: 50,
  drainMs: 0
}

type StoreLayer = Layer.Layer<TimelineStore, unknown, FileSystem.FileSystem | Path.Path>

const inDirectory = <A, E, R>(test: (directory: string) => Effect.Effect<A, E, R>) =>
  Effect.flatMap(
    FileSystem.FileSystem,
    (fs) => Effect.flatMap(fs.makeTempDirectoryScoped({ prefix: "rspp-stored-" }), test)
  ).pipe(
    Effect.scoped,
    Effect.provide([NodeServices.layer, Logger.layer([])])
  )

/** The recorder of the call, on top of a shipper to the store. */
const recorderTo = (file: string, store: StoreLayer) =>
  FileRecorder.layer({ to: () => file }).pipe(
    Layer.provideMerge(Shipper.layer(limits)),
    Layer.provideMerge(store)
  )

/** What the call leaves on disk when nothing is shipped. */
const alone = (directory: string) =>
  Effect.gen(function*() {
    const file = `${directory}/alone.timeline`
    yield* Effect.provide(VirtualTime.run(playScriptedCall(call)), FileRecorder.layer({ to: () => file }), {
      local: true
    })
    return file
  })

/** The header and every record: which of them share a block depends on when the writer came round. */
const recordsIn = (file: string) =>
  Effect.map(read(file, { validate: true }), ({ header, records }) => [header, ...records])

const stored = Effect.gen(function*() {
  const store = yield* TimelineStore
  const [recording] = recordingsOf(yield* store.list())
  if (recording === undefined) return Buffer.alloc(0)
  return Buffer.concat(yield* Stream.runCollect(bytesOf(store, recording)))
})

describe("a call that is shipped while it is recorded", () => {
  const stores: Readonly<Record<string, (directory: string) => StoreLayer>> = {
    "a directory": (directory) => DirectoryStore.layer(`${directory}/store`),
    SQLite: (directory) => SqliteStore.layer(`${directory}/store.sqlite`)
  }
  for (const [name, open] of Object.entries(stores)) {
    it.live(
      `to ${name} comes back byte for byte, complete, and replays identical`,
      () =>
        inDirectory((directory) =>
          Effect.gen(function*() {
            const fs = yield* FileSystem.FileSystem
            const file = `${directory}/call.timeline`
            const back = `${directory}/back.timeline`
            yield* Effect.gen(function*() {
              yield* VirtualTime.run(playScriptedCall(call))
              const [report] = yield* (yield* Shipper.TimelineShipper).drain(10_000)
              assert.strictEqual(report?.state, "stored")
              assert.isAbove(report?.segments ?? 0, 5)
              assert.strictEqual((yield* ExportLag).lagMs(scriptedSessionId), 0)
            }).pipe(Effect.provide(recorderTo(file, open(directory)), { local: true }))
            // Opened again, as another process would.
            yield* fs.writeFile(back, yield* Effect.provide(stored, open(directory), { local: true }))
            const local = Buffer.from(yield* fs.readFile(file))
            assert.isTrue(local.equals(yield* fs.readFile(back)))
            assert.deepStrictEqual(yield* recordsIn(file), yield* recordsIn(yield* alone(directory)))
            const timeline = yield* read(back, { validate: true })
            assert.isUndefined(timeline.tear)
            const turns = evidenceCompleteness(timeline.records)
            assert.deepStrictEqual(turns.map(({ complete }) => complete), [true, true, true])
            const result = yield* Effect.flatMap(Replayer, (replayer) => replayer.replay(timeline)).pipe(
              Effect.provide(Replayer.layerNoDeps.pipe(Layer.provide(SessionKernel.layer)))
            )
            assert.isTrue(result.identical && result.complete)
          })
        ),
      30_000
    )
  }
})

describe("a store that fails while a call goes on", () => {
  const unavailable = new StoreUnavailable({ store: "memory", message: "memory: not there" })
  const failing: Readonly<Record<string, (up: () => boolean) => Effect.Effect<void, StoreUnavailable>>> = {
    "is unreachable": (up) => Effect.suspend(() => up() ? Effect.void : Effect.fail(unavailable)),
    "never answers": (up) => Effect.suspend(() => up() ? Effect.void : Effect.never),
    "answers slowly": (up) => Effect.suspend(() => up() ? Effect.void : Effect.sleep(250))
  }
  for (const [name, fault] of Object.entries(failing)) {
    it.live(
      `and ${name} changes nothing for the call; then it gets everything, and the lag falls`,
      () =>
        inDirectory((directory) =>
          Effect.gen(function*() {
            const fs = yield* FileSystem.FileSystem
            const file = `${directory}/call.timeline`
            const quiet = yield* alone(directory)
            let up = false
            let under = 0
            let most = 0
            const memory = yield* Effect.provide(
              TimelineStore,
              ObjectTimelineStore.layer.pipe(Layer.provide(MemoryObjects.layer))
            )
            const store = Layer.succeed(TimelineStore, {
              ...memory,
              put: (segment) =>
                Effect.suspend(() => {
                  most = Math.max(most, ++under)
                  return Effect.andThen(fault(() => up), memory.put(segment))
                }).pipe(Effect.ensuring(Effect.sync(() => under--)))
            })
            yield* Effect.gen(function*() {
              const shipper = yield* Shipper.TimelineShipper
              const lag = yield* ExportLag
              yield* VirtualTime.run(playScriptedCall(call))
              // The call has ended, its file is whole, and not a moment was waited for the store.
              assert.deepStrictEqual(yield* recordsIn(file), yield* recordsIn(quiet))
              const [waiting] = yield* shipper.reports
              assert.strictEqual(waiting?.state, "shipping")
              assert.isBelow(waiting?.stored_bytes ?? 0, waiting?.recorded_bytes ?? 0)
              yield* Effect.sleep(30)
              const before = lag.lagMs(scriptedSessionId)
              yield* Effect.sleep(100)
              // A slow store takes something meanwhile, and what is then the oldest is younger.
              assert.isAtLeast(lag.lagMs(scriptedSessionId), waiting?.stored_bytes === 0 ? before + 50 : 1)
              up = true
              const [report] = yield* shipper.drain(10_000)
              assert.strictEqual(report?.state, "stored")
              assert.strictEqual(lag.lagMs(scriptedSessionId), 0)
              assert.isAbove(report?.longest_lag_ms ?? 0, 50)
              assert.isTrue((yield* stored).equals(Buffer.from(yield* fs.readFile(file))))
              assert.isAtMost(most, limits.concurrentPuts)
            }).pipe(Effect.provide(recorderTo(file, store), { local: true }))
          })
        ),
      30_000
    )
  }
})
