import { read } from "@rspp/timeline/format/TimelineReader"
import { bytesOf } from "@rspp/timeline/store/StoredRecording"
import { TimelineStore } from "@rspp/timeline/store/TimelineStore"
import { Effect, FileSystem, Stream } from "effect"
import { notWritable, timelineFile } from "../OutputFiles.ts"
import { Screen } from "../Screen.ts"
import { mustExist, parseStore, storeLayer } from "../StoreAddress.ts"
import { recordingOfSession } from "../StoredSession.ts"
import { tellTear } from "../TimelineFile.ts"

export interface FetchFlags {
  readonly session: string
  readonly from: string
  readonly to: string
  readonly tenant: string | undefined
}

/** `rspp timeline fetch`: puts a stored recording together again; the file is there whole or not at all. */
export const fetchTimeline = Effect.fn("rspp.timeline.fetch")(function*({ from, session, tenant, to }: FetchFlags) {
  const screen = yield* Screen
  const fs = yield* FileSystem.FileSystem
  const address = yield* parseStore(from)
  yield* mustExist(address)
  const file = yield* timelineFile(to, encodeURIComponent(session))
  yield* Effect.gen(function*() {
    const store = yield* TimelineStore
    const recording = yield* recordingOfSession(session, tenant)
    // Of this process alone, so that two that fetch to one name do not write into one file.
    const part = `${file}.${process.pid}.part`
    yield* bytesOf(store, recording).pipe(
      Stream.run(fs.sink(part, { flag: "w", mode: 0o600 })),
      // Unlike a rename it never replaces a file that has come up meanwhile.
      Effect.andThen(fs.link(part, file)),
      Effect.ensuring(Effect.ignore(fs.remove(part, { force: true }))),
      Effect.catchTag("PlatformError", () => Effect.fail(notWritable(file)))
    )
    const { bytes, segments } = recording
    screen.line(`${file}: ${bytes} bytes of ${segments} segments`)
    return undefined
  }).pipe(Effect.provide(storeLayer(address)))
  return yield* tellTear(file, yield* read(file))
})
