// What a recording says of what it does not have, at each level and under loss.
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import type { RecordingManifest, TimelineRecord } from "@rspp/contracts/Timeline"
import { Recorder } from "@rspp/runtime/ports/Recorder"
import { Effect, FileSystem, Logger } from "effect"
import { read } from "../../src/format/TimelineReader.ts"
import { layer, timelinePath } from "../../src/recorder/FileRecorder.ts"
import { makeHeader } from "./support/Fixture.ts"
import { recording, usualSession } from "./support/Recording.ts"
import { Script } from "./support/Script.ts"

const manifestOf = (records: ReadonlyArray<TimelineRecord>): RecordingManifest | undefined => {
  const end = records.at(-1)
  return end?.record === "end" ? end.not_captured : undefined
}

describe("the manifest of a recording", () => {
  it("names at L0 every class of payload that was hashed or dropped, and that no caller audio was kept", () => {
    const { records } = recording(usualSession, { level: "L0" })
    const manifest = manifestOf(records)
    assert.deepInclude(manifest, { level: "L0", caller_audio: "none", detail_dropped: 0, records_lost: 0 })
    assert.sameMembers(
      (manifest?.payloads ?? []).map(({ action, payload_class }) => `${payload_class} ${action}`),
      ["text_raw hash", "audio_raw drop"]
    )
    assert.isFalse(records.some(({ record }) => record === "payload" || record === "caller_audio"))
  })

  it("counts at L1 the texts that were masked", () => {
    const { records } = recording(usualSession, { level: "L1" })
    const masked = new Set(records.flatMap((record) => record.record === "payload" ? [record.handle_id] : []))
    assert.deepInclude(manifestOf(records), { level: "L1", caller_audio: "none" })
    const texts = manifestOf(records)?.payloads.find(({ payload_class }) => payload_class === "text_raw")
    assert.deepStrictEqual(texts, { payload_class: "text_raw", action: "mask", count: masked.size })
  })

  it("has nothing to say at L2 of a call that was kept whole", () => {
    assert.deepStrictEqual(manifestOf(recording(usualSession, { level: "L2" }).records), {
      level: "L2",
      caller_audio: "whole",
      payloads: [],
      detail_dropped: 0,
      records_lost: 0
    })
  })

  it("counts what was lost to a buffer that is full", () =>
    Effect.runPromise(
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const directory = yield* fs.makeTempDirectoryScoped({ prefix: "rspp-manifest-" })
        const header = makeHeader("L2")
        let asked = 0
        yield* Effect.scoped(Effect.gen(function*() {
          const recorder = yield* Recorder.pipe(
            Effect.flatMap((service) => service.open({ header, onAppended: () => {} })),
            Effect.provide(layer({ to: { directory }, limits: { items: 1000, bytes: 64 * 1024 } }), { local: true })
          )
          const script = new Script(recorder, header)
          // A second of sound is 43 kB: all of it before the writer has had a chance.
          script.frames(200)
          for (; asked < 500; asked++) script.input({ type: "audio_ended" })
        }))
        const { records } = yield* read(timelinePath(directory, header.session_id), { validate: true })
        const inputs = records.filter(({ record }) => record === "input").length
        const manifest = manifestOf(records)
        assert.strictEqual(manifest?.records_lost, asked - inputs)
        assert.isAtLeast(manifest?.detail_dropped ?? 0, 1)
        assert.strictEqual(manifest?.caller_audio, "part")
      }).pipe(Effect.scoped, Effect.provide([NodeFileSystem.layer, Logger.layer([])]))
    ))
})
