// A disk that takes a call and never answers: what it has is given up, and whoever closes the recording goes on.
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import { Recorder } from "@rspp/runtime/ports/Recorder"
import { Effect, Exit, FileSystem, Logger, Scope } from "effect"
import { read } from "../../src/format/TimelineReader.ts"
import { layer, timelinePath } from "../../src/recorder/FileRecorder.ts"
import { withFiles } from "./support/Disk.ts"
import { makeHeader } from "./support/Fixture.ts"
import { usualSession } from "./support/Recording.ts"
import { Script } from "./support/Script.ts"
import { until } from "./support/Until.ts"

/** As the system does it: nothing gets it back. */
const hangs = Effect.uninterruptible(Effect.never)

type Operation = "writeAll" | "sync" | "truncate"

/** Records a session on a disk that hangs, from when the session is over or at once; what was logged, and the file. */
const recorded = (operation: Operation | undefined, when: "closing" | "writing") =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const directory = yield* fs.makeTempDirectoryScoped({ prefix: "rspp-hung-" })
    let hung = false
    let asked = 0
    const during = <A, E>(own: Operation, real: Effect.Effect<A, E>) =>
      Effect.suspend(() => {
        if (!hung || operation !== own) return real
        asked++
        return hangs
      })
    const disk = withFiles(fs, (file) => ({
      writeAll: (buffer) => during("writeAll", file.writeAll(buffer)),
      sync: during("sync", Effect.suspend(() => file.sync)),
      truncate: (length) => during("truncate", file.truncate(length))
    }))
    const logged: Array<string> = []
    const logger = Logger.make(({ message }) => void logged.push(String(message)))
    const scope = yield* Scope.make()
    const header = makeHeader()
    yield* Effect.gen(function*() {
      const { open } = yield* Recorder
      const recorder = yield* Scope.provide(open({ header, onAppended: () => undefined }), scope)
      if (when === "writing") hung = true
      usualSession(new Script(recorder, header))
      if (when === "writing") yield* until(() => asked > 0)
      hung = true
      yield* Scope.close(scope, Exit.void)
    }).pipe(
      Effect.provide(layer({ to: { directory }, ...(operation === undefined ? {} : { hungAfterMs: 200 }) }), {
        local: true
      }),
      Effect.provideService(FileSystem.FileSystem, disk),
      Effect.provide(Logger.layer([logger]))
    )
    return { logged, timeline: yield* read(timelinePath(directory, header.session_id)) }
  }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))

describe("a disk that hangs", () => {
  for (const when of ["closing", "writing"] as const) {
    for (const operation of ["writeAll", "sync", ...(when === "closing" ? ["truncate" as const] : [])] as const) {
      it.live(`in ${operation} while ${when} keeps no close waiting, and that is logged`, () =>
        Effect.gen(function*() {
          const { logged } = yield* recorded(operation, when)
          assert.lengthOf(logged, 1)
          assert.match(logged[0] ?? "", /ses_1\.timeline: the disk has taken nothing for 200 ms; .* without its end/u)
        }))
    }
  }

  it.live("is no other one: the end is written, and nothing logged", () =>
    Effect.gen(function*() {
      const { logged, timeline } = yield* recorded(undefined, "closing")
      assert.deepStrictEqual(logged, [])
      assert.isUndefined(timeline.tear)
      assert.strictEqual(timeline.records.at(-1)?.record, "end")
    }))
})
