import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { assert, describe, it } from "@effect/vitest"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Recorder } from "@rspp/runtime/ports/Recorder"
import type { SessionRecorder } from "@rspp/runtime/ports/Recorder"
import { Clock, Effect, Exit, Fiber, FileSystem, Latch, Layer, Logger, Scope } from "effect"
import type { PlatformError } from "effect/PlatformError"
import { systemError } from "effect/PlatformError"
import { read } from "../../src/format/TimelineReader.ts"
import { layer, timelinePath } from "../../src/recorder/FileRecorder.ts"
import type { FileRecorderOptions } from "../../src/recorder/FileRecorder.ts"
import { ballastBytes } from "../../src/recorder/TimelineFile.ts"
import { makeHeader } from "./support/Fixture.ts"
import { recording, usualSession } from "./support/Recording.ts"
import { noSpace, withFiles } from "./support/Disk.ts"
import { Script } from "./support/Script.ts"
import { until } from "./support/Until.ts"

const quiet = Logger.layer([])

type Answer = readonly [turnId: string, result: "appended" | "refused"]

/** Opens a recorder in the scope at hand; what it answers is collected. */
const open = Effect.fnUntraced(function*(options: FileRecorderOptions, header = makeHeader()) {
  const answers: Array<Answer> = []
  const recorder = yield* Recorder.pipe(
    Effect.flatMap((service) => service.open({ header, onAppended: (...answer) => void answers.push(answer) })),
    Effect.provide(layer(options), { local: true })
  )
  return { recorder, answers, script: new Script(recorder, header) }
})

const inDirectory = <A, E>(
  use: (directory: string) => Effect.Effect<A, E, FileSystem.FileSystem | Scope.Scope>
): Effect.Effect<A, E | PlatformError> =>
  Effect.scoped(Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    return yield* use(yield* fs.makeTempDirectoryScoped({ prefix: "rspp-timeline-" }))
  })).pipe(Effect.provide([NodeFileSystem.layer, quiet]))

const signals = (records: ReadonlyArray<TimelineRecord>) =>
  records.flatMap((record) => record.record === "signal" ? [record.signal.signal] : [])
const count = (records: ReadonlyArray<TimelineRecord>, kind: TimelineRecord["record"]) =>
  records.filter((record) => record.record === kind).length

describe("a recording", () => {
  for (const level of ["L0", "L1", "L2"] as const) {
    it.effect(`at ${level} holds what came in, closed by its end record`, () =>
      inDirectory((directory) =>
        Effect.gen(function*() {
          const header = makeHeader(level)
          yield* Effect.scoped(Effect.gen(function*() {
            const { recorder, script } = yield* open({ to: { directory } }, header)
            usualSession(script)
            recorder.closing("ended")
          }))
          const timeline = yield* read(timelinePath(directory, "ses_1"), { validate: true })
          assert.isUndefined(timeline.tear)
          assert.deepStrictEqual(timeline.header, header)
          assert.deepStrictEqual(timeline.records, recording(usualSession, { level }).records)
        })
      ))
  }

  it.effect("of the same calls has the same records, whatever the disk's timing", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const recorded: Array<unknown> = []
        for (const pauses of [0, 1, 2]) {
          const path = `${directory}/${pauses}`
          yield* Effect.scoped(Effect.gen(function*() {
            const { script } = yield* open({ to: () => path })
            for (let turn = 0; turn < 5; turn++) {
              usualSession(script)
              if (pauses > 0) yield* until(() => Math.random() < 1 / (pauses * 20))
            }
          }))
          recorded.push(yield* read(path))
        }
        assert.deepStrictEqual(recorded[1], recorded[0])
        assert.deepStrictEqual(recorded[2], recorded[0])
      })
    ))

  it.effect("is on disk soon, without the session's clock moving", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const { script } = yield* open({ to: { directory } })
        const path = timelinePath(directory, "ses_1")
        script.input({ type: "session_started" }, "ControlLane")
        while ((yield* read(path)).records.length === 0) yield* until(() => true)
        script.committed()
        while (count((yield* read(path)).records, "evidence") === 0) yield* until(() => true)
        assert.deepStrictEqual(signals((yield* read(path)).records).slice(-2), ["commit", "close"])
        assert.strictEqual(yield* Clock.currentTimeMillis, 0)
      })
    ))

  it.effect("that is still being written reads as torn, up to the room kept ahead", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        yield* open({ to: { directory } })
        const path = timelinePath(directory, "ses_1")
        const { tear } = yield* read(path)
        assert.strictEqual(tear?.reason, "truncated")
        const { size } = yield* (yield* FileSystem.FileSystem).stat(path)
        assert.isAtLeast(Number(size), (tear?.offset ?? 0) + ballastBytes)
      })
    ))

  it.effect("is readable by its owner only", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        yield* open({ to: { directory } })
        const { mode } = yield* (yield* FileSystem.FileSystem).stat(timelinePath(directory, "ses_1"))
        assert.strictEqual(mode & 0o777, 0o600)
      })
    ))

  it.effect("cannot leave its directory by its name", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        yield* Effect.scoped(open({ to: { directory } }, makeHeader("L0", "../../etc/passwd")))
        const names = yield* (yield* FileSystem.FileSystem).readDirectory(directory)
        assert.deepStrictEqual([...names], ["..%2F..%2Fetc%2Fpasswd.timeline"])
      })
    ))
})

describe("the end of a recording", () => {
  const lastOf = (end: (session: SessionRecorder, script: Script) => Effect.Effect<unknown, string>) =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(
          Effect.scoped(Effect.gen(function*() {
            const { recorder, script } = yield* open({ to: { directory } })
            usualSession(script)
            yield* end(recorder, script)
          }))
        )
        yield* until(() => fiber.pollUnsafe() !== undefined || interruptible)
        yield* Fiber.interrupt(fiber)
        const timeline = yield* read(timelinePath(directory, "ses_1"), { validate: true })
        assert.isUndefined(timeline.tear)
        return timeline.records
      })
    )
  let interruptible = false

  it.effect("says ended when the scope closed and nothing else was said", () =>
    Effect.gen(function*() {
      const records = yield* lastOf(() => Effect.void)
      const [end] = records.slice(-1)
      assert(end?.record === "end")
      assert.strictEqual(end.reason, "ended")
    }))

  it.effect("says failed when the session failed", () =>
    Effect.gen(function*() {
      const [end] = (yield* lastOf(() => Effect.fail("broken"))).slice(-1)
      assert(end?.record === "end")
      assert.strictEqual(end.reason, "failed")
    }))

  it.effect("says what the session said last", () =>
    Effect.gen(function*() {
      const [end] = (yield* lastOf((recorder) => Effect.sync(() => recorder.closing("interrupted")))).slice(-1)
      assert(end?.record === "end")
      assert.strictEqual(end.reason, "interrupted")
    }))

  it.effect("is written, with the evidence of the turn that was open, when the session is interrupted", () =>
    Effect.gen(function*() {
      const records = yield* lastOf((_, script) => {
        const { turn, tts } = script.cut()
        script.wait(3).ended(tts, "tts", { turn_id: turn, outcome_class: "cancelled", cancel_ack_ms: script.now })
        interruptible = true
        return Effect.never
      })
      assert.deepStrictEqual(records.slice(-2).map((record) => record.record), ["supplement", "end"])
      const [end] = records.slice(-1)
      assert(end?.record === "end")
      assert.strictEqual(end.reason, "interrupted")
      assert.strictEqual(count(records, "evidence"), 4)
    }))

  it.effect("ends the calls: what comes later is not taken and does not fail", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const { script } = yield* open({ to: { directory } }).pipe(Scope.provide(scope))
        yield* Scope.close(scope, Exit.void)
        usualSession(script)
        const { records, tear } = yield* read(timelinePath(directory, "ses_1"))
        assert.isUndefined(tear)
        assert.deepStrictEqual(records.map((record) => record.record), ["end"])
      })
    ))
})

describe("the answer to append_evidence", () => {
  it.effect("comes after the call, from another fiber", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const { answers, script } = yield* open({ to: { directory } })
        for (let turn = 1; turn <= 20; turn++) {
          script.committed()
          assert.strictEqual(answers.length, turn - 1, "not during the call")
          while (answers.length < turn) yield* Effect.yieldNow
        }
        assert.deepStrictEqual(answers.at(-1), ["turn_20", "appended"])
      })
    ))

  it.effect("does not wait for the disk", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const gate = yield* Latch.make(true)
        const stuck = Layer.succeed(
          FileSystem.FileSystem,
          withFiles(fs, (file) => ({ writeAll: (bytes) => Effect.andThen(gate.await, file.writeAll(bytes)) }))
        )
        yield* Effect.scoped(Effect.gen(function*() {
          const { answers, script } = yield* open({ to: { directory } })
          yield* gate.close
          script.committed()
          yield* until(() => answers.length > 0)
          assert.deepStrictEqual(answers, [["turn_1", "appended"]])
          script.committed()
          yield* until(() => answers.length > 1)
          yield* gate.open
        })).pipe(Effect.provide(stuck))
        const { records } = yield* read(timelinePath(directory, "ses_1"))
        assert.strictEqual(count(records, "evidence"), 2)
      })
    ))

  it.effect("is refused when the evidence could not be made", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const { answers, recorder } = yield* open({ to: { directory } })
        new Script(recorder, makeHeader(), ["admit"]).committed()
        yield* until(() => answers.length > 0)
        assert.deepStrictEqual(answers, [["turn_1", "refused"]])
      })
    ))

  it.effect("is refused when the buffer is full, and terminal and close are kept all the same", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        yield* Effect.scoped(Effect.gen(function*() {
          const { answers, script } = yield* open({ to: { directory }, limits: { items: 1000, bytes: 64 * 1024 } })
          const { turn } = script.open()
          // All of it before the writer has had a chance.
          for (let i = 0; i < 500; i++) script.input({ type: "audio_ended" })
          script.outputs(script.command({ type: "append_evidence", turn_id: turn }))
          yield* until(() => answers.length > 0)
          assert.deepStrictEqual(answers, [["turn_1", "refused"]])
          for (let i = 0; i < 500; i++) script.input({ type: "audio_ended" })
          script.end(turn, "abort", "recording_evidence_unavailable")
          script.committed()
          yield* until(() => answers.length > 1)
          assert.deepStrictEqual(answers[1], ["turn_2", "refused"], "still full")
        }))
        const { records, tear } = yield* read(timelinePath(directory, "ses_1"), { validate: true })
        assert.isUndefined(tear)
        assert.deepStrictEqual(signals(records).slice(-4), ["abort", "close", "commit", "close"])
        assert.isBelow(count(records, "input"), 200)
      })
    ))
})

describe("a file that cannot be made is a typed failure:", () => {
  const failure = (options: FileRecorderOptions) =>
    Effect.scoped(open(options)).pipe(Effect.flip, Effect.catch(() => Effect.die("it was opened")))

  it.effect("it exists, and stays as it was", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const path = timelinePath(directory, "ses_1")
        yield* fs.writeFileString(path, "precious")
        const { _tag, message } = yield* failure({ to: { directory } })
        assert.strictEqual(_tag, "RecorderFailure")
        assert.match(message, /ses_1\.timeline: a recording of this name exists already/u)
        assert.strictEqual(yield* fs.readFileString(path), "precious")
      })
    ))

  it.effect("its directory is not there, or is none", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        assert.match((yield* failure({ to: { directory: `${directory}/none` } })).message, /directory does not exist/u)
        yield* fs.writeFileString(`${directory}/file`, "")
        assert.match((yield* failure({ to: { directory: `${directory}/file` } })).message, /directory does not exist/u)
      })
    ))

  for (const [code, words] of [["EACCES", "no permission"], ["EROFS", "read-only"]] as const) {
    it.effect(`${words} (${code} from a file system made for it)`, () =>
      Effect.gen(function*() {
        const cause = Object.assign(new Error(code), { code })
        const error = systemError({ _tag: "Unknown", module: "FileSystem", method: "open", cause })
        const { message } = yield* failure({ to: { directory: "/anywhere" } }).pipe(
          Effect.provide(FileSystem.layerNoop({ open: () => Effect.fail(error) }))
        )
        assert.include(message, words)
      }))
  }

  it.effect("the disk is full, and no file is left behind", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const full = Layer.succeed(
          FileSystem.FileSystem,
          withFiles(fs, () => ({ writeAll: () => Effect.fail(noSpace) }))
        )
        const { message } = yield* failure({ to: { directory } }).pipe(Effect.provide(full))
        assert.include(message, "the disk is full")
        assert.deepStrictEqual([...(yield* fs.readDirectory(directory))], [])
      })
    ))
})
