import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { assert, describe, it } from "@effect/vitest"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Recorder } from "@rspp/runtime/ports/Recorder"
import { Effect, FileSystem, Layer, Logger } from "effect"
import type { Scope } from "effect"
import { writeFileSync } from "node:fs"
import { read } from "../../src/format/TimelineReader.ts"
import { layer, timelinePath } from "../../src/recorder/FileRecorder.ts"
import { withSpace } from "./support/Disk.ts"
import { makeHeader } from "./support/Fixture.ts"
import { mayMount, mountDisk } from "./support/MountedDisk.ts"
import { Script } from "./support/Script.ts"

/** What became of each turn, as the session was told. */
type Answers = Map<string, "appended" | "refused">

const pause = (ms: number): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const timer = setTimeout(() => resume(Effect.void), ms)
    return Effect.sync(() => clearTimeout(timer))
  })

/** A session that records turns until `done`, ending each as it is told to. */
const talk = Effect.fnUntraced(function*(_directory: string, done: (answers: Answers) => boolean) {
  const header = makeHeader()
  const answers: Answers = new Map()
  yield* Effect.scoped(Effect.gen(function*() {
    const recorder = yield* (yield* Recorder).open({
      header,
      onAppended: (turn, result) => void answers.set(turn, result)
    })
    const script = new Script(recorder, header)
    while (!done(answers)) {
      const { turn, llm } = script.open()
      const tts = script.speak(turn, llm)
      for (let i = 0; i < 20; i++) script.input({ type: "audio_ended" })
      script.ended(tts, "tts", { turn_id: turn })
      script.outputs(script.command({ type: "append_evidence", turn_id: turn }))
      while (!answers.has(turn)) yield* Effect.yieldNow
      const result = answers.get(turn) ?? "refused"
      script.input({ type: "evidence_appended", turn_id: turn, result })
      if (result === "appended") script.end(turn, "commit")
      else script.end(turn, "abort", "recording_evidence_unavailable")
      yield* pause(5)
    }
  }))
  return answers
}, (effect, directory) => Effect.provide(effect, layer({ to: { directory } }), { local: true }))

const endings = (records: ReadonlyArray<TimelineRecord>) => {
  const turns = new Map<string, Array<string>>()
  for (const record of records) {
    const [turn, what] = record.record === "evidence"
      ? [record.evidence.turn_id, "evidence"]
      : record.record === "signal"
      ? [record.signal.turn_id, record.signal.signal]
      : []
    if (turn !== undefined && what !== undefined) turns.set(turn, [...turns.get(turn) ?? [], what])
  }
  return turns
}

/** T9: what was promised is there, what was refused has its terminal and close. */
const check = (answers: Answers, records: ReadonlyArray<TimelineRecord>) => {
  const turns = endings(records)
  for (const [turn, answer] of answers) {
    const expected = answer === "appended" ? ["evidence", "commit", "close"] : ["abort", "close"]
    assert.includeMembers([...turns.get(turn) ?? []], expected, `${turn} ${answer}`)
  }
  const [end] = records.slice(-1)
  assert.strictEqual(end?.record, "end")
}

const refusals = (answers: Answers) => [...answers.values()].filter((answer) => answer === "refused").length

const onDisk = <A, E>(use: Effect.Effect<A, E, FileSystem.FileSystem | Scope.Scope>) =>
  Effect.scoped(use).pipe(Effect.provide([NodeFileSystem.layer, Logger.layer([])]))

describe("when the disk is full", { timeout: 120_000 }, () => {
  it.effect("evidence is refused, and every turn still has its terminal and close (a file that may not grow)", () =>
    onDisk(Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped()
      const disk = Layer.succeed(FileSystem.FileSystem, withSpace(fs, { bytes: 140_000 }))
      const answers = yield* talk(directory, (answers) => refusals(answers) >= 8).pipe(Effect.provide(disk))
      const { records, tear } = yield* read(timelinePath(directory, "ses_1"), { validate: true })
      assert.isUndefined(tear)
      assert.isAbove(answers.size - refusals(answers), 5)
      check(answers, records)
    })))

  it.effect("and has room again, turns are recorded again", () =>
    onDisk(Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped()
      const size = { bytes: 140_000 }
      const disk = Layer.succeed(FileSystem.FileSystem, withSpace(fs, size))
      const answers = yield* talk(directory, (answers) => {
        if (refusals(answers) >= 3) size.bytes = 10_000_000
        return [...answers.values()].slice(-3).every((answer) => answer === "appended") && refusals(answers) >= 3
      }).pipe(Effect.provide(disk))
      const { records, tear } = yield* read(timelinePath(directory, "ses_1"), { validate: true })
      assert.isUndefined(tear)
      check(answers, records)
    })))

  it.effect("for so long that the room that was kept is used up, the timeline is still closed by its end record", () =>
    onDisk(Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped()
      const disk = Layer.succeed(FileSystem.FileSystem, withSpace(fs, { bytes: 140_000 }))
      const answers = yield* talk(directory, (answers) => refusals(answers) >= 240).pipe(Effect.provide(disk))
      const { records, tear } = yield* read(timelinePath(directory, "ses_1"), { validate: true })
      assert.isUndefined(tear)
      const turns = endings(records)
      const closed = [...answers.keys()].filter((turn) => turns.get(turn)?.includes("close")).length
      assert.isBelow(closed, answers.size)
      assert.isAtLeast(closed - (answers.size - refusals(answers)), 10)
      assert.strictEqual(records.at(-1)?.record, "end")
    })))

  it.effect("cuts leave evidence as long as they leave room for the terminals of others", () =>
    onDisk(Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped()
      const disk = Layer.succeed(FileSystem.FileSystem, withSpace(fs, { bytes: 72_000 }))
      const header = makeHeader()
      yield* Effect.scoped(Effect.gen(function*() {
        const recorder = yield* (yield* Recorder).open({ header, onAppended: () => {} })
        const script = new Script(recorder, header)
        for (let i = 0; i < 160; i++) {
          script.settled(script.cut())
          yield* pause(3)
        }
      })).pipe(Effect.provide(layer({ to: { directory } }), { local: true }), Effect.provide(disk))
      const { records } = yield* read(timelinePath(directory, "ses_1"), { validate: true })
      const turns = [...endings(records).values()]
      const withEvidence = turns.findIndex((what) => !what.includes("evidence"))
      assert.isAbove(withEvidence, 5)
      const markersOnly = turns.slice(withEvidence).filter((what) => what.includes("abort") && what.includes("close"))
      assert.isAtLeast(markersOnly.length, 8)
    })))

  it.effect("from the first frame on, the session still starts, and every turn is refused", () =>
    onDisk(Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped()
      const disk = Layer.succeed(FileSystem.FileSystem, withSpace(fs, { bytes: 20_000 }))
      const answers = yield* talk(directory, (answers) => answers.size >= 2).pipe(Effect.provide(disk))
      assert.deepStrictEqual([...answers.values()], ["refused", "refused"])
      const { records } = yield* read(timelinePath(directory, "ses_1"), { validate: true })
      check(answers, records)
    })))

  it.effect.skipIf(!mayMount())(
    "the same on a real file system of 512 KB",
    () =>
      onDisk(Effect.gen(function*() {
        const { directory } = yield* Effect.acquireDisposable(Effect.sync(() => mountDisk("512k")))
        writeFileSync(`${directory}/others`, new Uint8Array(416 * 1024))
        const answers = yield* talk(directory, (answers) => refusals(answers) >= 8)
        const { records, tear } = yield* read(timelinePath(directory, "ses_1"), { validate: true })
        assert.isUndefined(tear)
        assert.isAbove(answers.size - refusals(answers), 5)
        check(answers, records)
      }))
  )
})
