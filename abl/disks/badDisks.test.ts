// A disk that is full, read-only or slow under a whole session: each ends in the contract's outcome, and a cut stays a cut.
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import type { RecordingLevel } from "@rspp/contracts/TurnPlan"
import { read } from "@rspp/timeline/format/TimelineReader"
import * as FileRecorder from "@rspp/timeline/recorder/FileRecorder"
import type { AppendLimits } from "@rspp/timeline/recorder/AppendBuffer"
import { withFiles, withSpace } from "@rspp/timeline/test/recorder/support/Disk"
import { makeCallScript } from "@rspp/transports/loopback/CallScript"
import * as VirtualTime from "@rspp/transports/loopback/VirtualTime"
import { SessionObservers } from "@rspp/runtime/session/SessionObserver"
import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"
import { Effect, Exit, FileSystem, Layer, Logger } from "effect"
import { systemError } from "effect/PlatformError"
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { playScriptedCall, scriptedSessionId, speech } from "../support/ScriptedCall.ts"

/** Three turns; the second is cut by the third while it speaks. */
const call = (recording_level: RecordingLevel) => ({
  script: makeCallScript([
    { say: speech(900) },
    { say: speech(700) },
    { say: speech(1100), at: { after: "agent_started" as const, delay_ms: 700 } }
  ]),
  heard: ["what is the time", "tell me a long story", "stop that please"],
  replies: [
    "It is noon.",
    "There was a man who walked a very long way. He never came home again. Nobody knows why he did that.",
    "Stopped."
  ],
  spec: { recording_policy: { recording_level } }
})

interface Options {
  readonly directory: string
  readonly level?: RecordingLevel
  readonly limits?: AppendLimits
  readonly files?: (real: FileSystem.FileSystem) => FileSystem.FileSystem
  /** By the machine's clock; by virtual time otherwise. */
  readonly live?: boolean
  /** Told when the session is over, before its recording is closed. */
  readonly over?: () => void
}

/** Plays the call with its recorder on that disk: how it ended, and what the session itself told, whatever was recorded. */
const play = ({ directory, files, level = "L0", limits, live, over }: Options) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const told: Array<TimelineRecord> = []
    const observer: SessionObserver = {
      input: (record) => void told.push(record),
      outputs: (outputs) => void told.push(...outputs),
      closed: () => over?.()
    }
    const recorder = FileRecorder.layer({ to: { directory }, ...(limits === undefined ? {} : { limits }) }).pipe(
      Layer.provide(Layer.succeed(FileSystem.FileSystem, files?.(fs) ?? fs))
    )
    const session = playScriptedCall(call(level)).pipe(
      Effect.provideService(SessionObservers, [observer]),
      Effect.provide(recorder, { local: true })
    )
    const exit = yield* Effect.exit(live === true ? session : VirtualTime.run(session))
    return { exit, told }
  })

const signals = (records: ReadonlyArray<TimelineRecord>, ...names: ReadonlyArray<string>) =>
  records.flatMap((record) =>
    record.record === "signal" && names.includes(record.signal.signal)
      ? [record.signal.reason === undefined ? record.signal.signal : `${record.signal.signal}(${record.signal.reason})`]
      : []
  )
const terminals = (records: ReadonlyArray<TimelineRecord>) => signals(records, "commit", "abort")
const unavailable = "abort(recording_evidence_unavailable)"

/**
 * The fence is up in the step of the cancel, before anything is recorded of it, and egress reports it before the session
 * takes in anything that came later: no answer of a disk is waited for. (How long that takes is measured in test/bench.)
 */
const cutsAtOnce = (told: ReadonlyArray<TimelineRecord>): void => {
  const cancel = told.findIndex((record) => record.record === "signal" && record.signal.signal === "cancel")
  assert.isAtLeast(cancel, 0)
  const next = told.findIndex((record, at) => at > cancel && record.record === "input")
  const step = told.slice(cancel, next)
  assert.isTrue(step.some((record) => record.record === "command" && record.command.type === "fence_output"))
  const inputs = told.slice(next).flatMap((record) => record.record === "input" ? [record.input.type] : [])
  // What had come in before the cancel may come first: a frame's edge, a timer.
  assert.include(inputs.slice(0, 4), "egress_fenced")
}

const inDirectory = <A, E>(test: (directory: string) => Effect.Effect<A, E, FileSystem.FileSystem>) =>
  Effect.flatMap(
    FileSystem.FileSystem,
    (fs) => Effect.flatMap(fs.makeTempDirectoryScoped({ prefix: "rspp-bad-disk-" }), test)
  ).pipe(Effect.scoped, Effect.provide([NodeServices.layer, Logger.layer([])]))

/** A tmpfs, where this process may mount one. */
const mount = (size: string, options = "") => {
  const directory = mkdtempSync(`${tmpdir()}/rspp-bad-disk-`)
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}${options}`, "tmpfs", directory], { stdio: "ignore" })
  } catch {
    rmSync(directory, { recursive: true })
    return undefined
  }
  return {
    directory,
    unmount: () => {
      execFileSync("umount", [directory], { stdio: "ignore" })
      rmSync(directory, { recursive: true })
    }
  }
}
type Mounted = NonNullable<ReturnType<typeof mount>>
const mayMount = (() => {
  const tried = mount("64k")
  tried?.unmount()
  return tried !== undefined
})()
const onMount = <A, E>(
  size: string,
  options: string,
  test: (directory: string) => Effect.Effect<A, E, FileSystem.FileSystem>
) =>
  Effect.acquireUseRelease(
    Effect.sync(() => mount(size, options) as Mounted),
    ({ directory }) => test(directory),
    ({ unmount }) => Effect.sync(unmount)
  ).pipe(Effect.provide([NodeServices.layer, Logger.layer([])]))

/** The file is whole as far as it goes; with an end record where the disk still took one. */
const readable = (directory: string) => read(`${directory}/${scriptedSessionId}.timeline`, { validate: true })

/** Full from before the first turn was recorded: T9 for what would commit, T7 for what was cut, in the file too. */
const fullDisk = (directory: string, files?: Options["files"]) =>
  Effect.gen(function*() {
    const { exit, told } = yield* play({ directory, ...(files === undefined ? {} : { files }) })
    assert.isTrue(Exit.isSuccess(exit), "the call goes on to its end")
    assert.deepStrictEqual(terminals(told), [unavailable, "abort(cancelled)", unavailable])
    cutsAtOnce(told)
    const { records, tear } = yield* readable(directory)
    assert.isUndefined(tear)
    assert.deepStrictEqual(terminals(records), terminals(told))
    assert.lengthOf(signals(records, "close"), 3)
    assert.strictEqual(records.at(-1)?.record, "end")
  })

describe("a full disk", () => {
  it.live("ends turns with T9 and closes them on record", () =>
    inDirectory((directory) => fullDisk(directory, (fs) => withSpace(fs, { bytes: 40_000 }))))

  it.live.skipIf(!mayMount)("the same on a real file system that is full", () =>
    onMount("192k", "", (directory) => {
      writeFileSync(`${directory}/others`, new Uint8Array(152 * 1024))
      return fullDisk(directory)
    }))
})

describe("a read-only disk", () => {
  it.live.skipIf(!mayMount)(
    "lets no session start, and says why (a real mount)",
    () =>
      onMount("192k", ",ro", (directory) =>
        Effect.gen(function*() {
          const { exit, told } = yield* play({ directory })
          assert(Exit.isFailure(exit))
          assert.match(JSON.stringify(exit.cause), /RecorderFailure.*the file system is read-only/u)
          assert.deepStrictEqual(told, [], "nothing was taken in")
        }))
  )

  it.live("that becomes so in mid-call ends turns with T9, and what was written can be read", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        // The header, and the first turn with what came before it: its terminal is what the first sync is for.
        let readOnlyNow = false
        const readOnly = systemError({
          _tag: "Unknown",
          module: "FileSystem",
          method: "writeAll",
          cause: Object.assign(new Error("read-only file system"), { code: "EROFS" })
        })
        const files = (fs: FileSystem.FileSystem) =>
          withFiles(fs, (file) => ({
            writeAll: (buffer) => {
              const isFrame = buffer.some((byte) => byte !== 0)
              return isFrame && readOnlyNow ? Effect.fail(readOnly) : file.writeAll(buffer)
            },
            sync: Effect.suspend(() => {
              readOnlyNow = true
              return file.sync
            }),
            truncate: () => Effect.fail(readOnly)
          }))
        const { exit, told } = yield* play({ directory, files, live: true })
        assert.isTrue(Exit.isSuccess(exit), "the call goes on to its end")
        const ends = terminals(told)
        assert.deepStrictEqual(ends, ["commit", "abort(cancelled)", unavailable])
        cutsAtOnce(told)
        const { records } = yield* readable(directory)
        assert.deepStrictEqual(terminals(records), ["commit"])
      })
    ))
})

describe("a slow disk", () => {
  it.live(
    "lowers the recording level, loses no record, and delays no cut",
    () =>
      inDirectory((directory) =>
        Effect.gen(function*() {
          // The call is over before the disk has caught up: from then on it is quick, and the test does not wait for it.
          let talking = true
          const lag = (ms: number) => Effect.suspend(() => Effect.sleep(talking ? ms : 0))
          const slow = (fs: FileSystem.FileSystem) =>
            withFiles(fs, (file) => ({
              writeAll: (buffer) => Effect.andThen(lag(2500), file.writeAll(buffer)),
              sync: Effect.andThen(lag(500), Effect.suspend(() => file.sync))
            }))
          const limits = { items: 4096, bytes: 448 * 1024 }
          const { exit, told } = yield* play({
            directory,
            files: slow,
            level: "L2",
            limits,
            live: true,
            over: () => void (talking = false)
          })
          assert.isTrue(Exit.isSuccess(exit))
          const [first] = signals(told, "recording_level_downgraded")
          assert.strictEqual(first, "recording_level_downgraded(append_queue_fill:L2_to_L1)")
          for (const end of terminals(told)) assert.include(["commit", "abort(cancelled)", unavailable], end)
          cutsAtOnce(told)
          const { records, tear } = yield* readable(directory)
          assert.isUndefined(tear)
          const end = records.at(-1)
          assert(end?.record === "end")
          assert.notStrictEqual(end.not_captured?.level, "L2")
          assert.strictEqual(end.not_captured?.records_lost, 0)
          assert.deepStrictEqual(terminals(records), terminals(told))
        })
      ),
    60_000
  )
})
