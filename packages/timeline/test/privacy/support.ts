import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import type { RecordingLevel } from "@rspp/contracts/TurnPlan"
import { Recorder } from "@rspp/runtime/ports/Recorder"
import { Effect, FileSystem } from "effect"
import type { Scope } from "effect"
import { layer } from "../../src/recorder/FileRecorder.ts"
import { makeHeader } from "../recorder/support/Fixture.ts"
import { usualSession } from "../recorder/support/Recording.ts"
import { Script } from "../recorder/support/Script.ts"

export const inDirectory = <A, E>(
  use: (directory: string) => Effect.Effect<A, E, FileSystem.FileSystem | Scope.Scope>
) =>
  Effect.scoped(Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    return yield* use(yield* fs.makeTempDirectoryScoped({ prefix: "rspp-privacy-" }))
  })).pipe(Effect.provide(NodeFileSystem.layer))

export interface CallOptions {
  readonly level?: RecordingLevel
  readonly keys?: string
  readonly tenant?: string
  readonly play?: (script: Script) => void
}

/** Records a session of several turns in a file, with payloads at L2. */
export const recordCall = Effect.fnUntraced(function*(path: string, options: CallOptions = {}) {
  const header = { ...makeHeader(options.level ?? "L2"), behaviour_flags: [4], tenant_id: options.tenant ?? "acme" }
  const files = layer({ to: () => path, ...(options.keys === undefined ? {} : { keys: options.keys }) })
  yield* Effect.scoped(Effect.gen(function*() {
    const recorder = yield* (yield* Recorder).open({ header, onAppended: () => {} })
    const script = new Script(recorder, header)
    ;(options.play ?? usualSession)(script)
    recorder.closing("ended")
  })).pipe(Effect.provide(files))
})
