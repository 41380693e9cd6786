import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as FileRecorder from "@rspp/timeline/recorder/FileRecorder"
import * as MemoryObjects from "@rspp/timeline/store/MemoryObjects"
import { ObjectStore } from "@rspp/timeline/store/ObjectStore"
import * as ObjectTimelineStore from "@rspp/timeline/store/ObjectTimelineStore"
import * as TimelineShipper from "@rspp/timeline/store/TimelineShipper"
import { TimelineStore } from "@rspp/timeline/store/TimelineStore"
import { makeCallScript } from "@rspp/transports/loopback/CallScript"
import * as VirtualTime from "@rspp/transports/loopback/VirtualTime"
import { Effect, FileSystem, Layer } from "effect"
import { playScriptedCall, scriptedSessionId, speech } from "../support/ScriptedCall.ts"

/** Any object store with a conditional write will do: four calls. This one counts what it is asked to keep. */
const counted = (counts: { puts: number }) =>
  Layer.effect(
    ObjectStore,
    Effect.map(ObjectStore, (objects) =>
      ObjectStore.of({
        ...objects,
        name: "counted objects",
        put: (key, bytes) =>
          Effect.suspend(() => {
            counts.puts++
            return objects.put(key, bytes)
          })
      }))
  ).pipe(Layer.provide(MemoryObjects.layer))

describe("Example: recordings in an object store", () => {
  it.live("a call is shipped while it is recorded, and is there when it has ended", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const file = `${yield* fs.makeTempDirectoryScoped()}/call.timeline`
      const counts = { puts: 0 }

      // The recorder on top of the shipper, on top of the store.
      const recorder = FileRecorder.layer({ to: () => file }).pipe(
        Layer.provideMerge(TimelineShipper.layer()),
        Layer.provideMerge(ObjectTimelineStore.layer),
        Layer.provide(counted(counts))
      )

      yield* Effect.gen(function*() {
        yield* VirtualTime.run(playScriptedCall({
          script: makeCallScript([{ say: speech(900) }]),
          heard: ["what is the time"],
          replies: ["It is noon."]
        }))
        const shipper = yield* TimelineShipper.TimelineShipper
        const [report] = yield* shipper.drain(5000)
        assert.strictEqual(report?.state, "stored")

        const store = yield* TimelineStore
        const key = { tenant_id: "tests", session_id: scriptedSessionId }
        const infos = yield* store.list(key)
        assert.strictEqual(infos.length, counts.puts)
        const segments = yield* Effect.forEach(infos, ({ index }) => store.get(key, index))
        const stored = Buffer.concat(segments.map(({ bytes }) => bytes))
        assert.isTrue(stored.equals(yield* fs.readFile(file)))
      }).pipe(Effect.provide(recorder))
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))
})
