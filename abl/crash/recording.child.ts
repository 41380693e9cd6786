// Records a live call, by the real clock, until it is killed. `node recording.child.ts FILE`
//
// It says on its standard output what is safe: `synced <bytes> <evidence>` whenever the disk has taken the file up to
// that byte, with so many evidence records in it. It is told by the disk itself, at the lowest port, so that neither the
// recorder nor its file can claim more than was written.
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { TimelineDecoder } from "@rspp/timeline/format/TimelineDecoder"
import * as FileRecorder from "@rspp/timeline/recorder/FileRecorder"
import { makeCallScript } from "@rspp/transports/loopback/CallScript"
import * as MemoryTransport from "@rspp/transports/loopback/MemoryTransport"
import { Effect, FileSystem, Layer } from "effect"
import { writeSync } from "node:fs"
import { layerOf, scriptedSpec, speech } from "../support/ScriptedCall.ts"
import { Session } from "@rspp/runtime/session/Session"

/** The file, and on standard output what of it is safe. Room that is taken in advance is written as zeros, and no news. */
const toldOf = (file: FileSystem.File): FileSystem.File => {
  let position = 0
  let written = 0
  let known = 0
  // Of what the disk has taken, record by record: in the bytes themselves nothing can be counted.
  const decoder = new TimelineDecoder((record) => {
    if ((record as TimelineRecord).record === "evidence") known++
    return undefined
  })
  return Object.create(file, {
    seek: {
      value: (offset: bigint, from: FileSystem.SeekMode) => {
        position = Number(offset)
        return file.seek(offset, from)
      }
    },
    writeAll: {
      value: (bytes: Uint8Array) =>
        Effect.tap(file.writeAll(bytes), () =>
          Effect.sync(() => {
            const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
            position += data.length
            if (data.every((byte) => byte === 0)) return
            written = Math.max(written, position)
            decoder.push(data)
          }))
    },
    sync: {
      value: Effect.suspend(() => {
        const safe = `synced ${written} ${known}\n`
        return Effect.tap(file.sync, () => Effect.sync(() => writeSync(1, safe)))
      })
    }
  }) as FileSystem.File
}

const disk = Layer.effect(
  FileSystem.FileSystem,
  Effect.map(FileSystem.FileSystem, (fs) =>
    FileSystem.FileSystem.of({
      ...fs,
      open: (path, options) => Effect.map(fs.open(path, options), toldOf)
    }))
).pipe(Layer.provide(NodeFileSystem.layer))

const turns = 200
const script = makeCallScript(
  Array.from(
    { length: turns },
    (_, turn) => turn % 3 === 2 ? { say: speech(200) } : { text: `message number ${turn}` }
  ),
  { agent_quiet_ms: 100 }
)

const [, , path = ""] = process.argv
const program = Effect.gen(function*() {
  const spec = yield* scriptedSpec({ session_config: { endpointing: { min_ms: 200 } } })
  const recorder = FileRecorder.layer({ to: () => path }).pipe(Layer.provide(disk))
  const runtime = layerOf(spec, {
    heard: Array.from({ length: turns }, () => "and so on"),
    replies: Array.from({ length: turns }, () => "Fine.")
  }).pipe(
    Layer.provide([MemoryTransport.layer({ script }), recorder])
  )
  writeSync(1, "starts\n")
  yield* Effect.provide(
    Effect.flatMap(Session, (session) =>
      session.run({
        session_id: "ses_crash",
        tenant_id: "tests",
        pipeline: spec.pipeline,
        seed: 7,
        payloadKey: "a key for tests",
        clock: "realtime"
      })),
    runtime
  )
})
await Effect.runPromise(program)
