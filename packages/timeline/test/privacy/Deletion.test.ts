// Holds I-REWRITE.
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { systemError } from "effect/PlatformError"
import { read } from "../../src/format/TimelineReader.ts"
import { AuditLog, verifyAuditLog } from "../../src/privacy/AuditLog.ts"
import { deletePayloads } from "../../src/privacy/Deletion.ts"
import type { DeletionOptions } from "../../src/privacy/Deletion.ts"
import { evidenceCompleteness } from "../../src/recorder/EvidenceCompleteness.ts"
import { noSpace, withFiles } from "../recorder/support/Disk.ts"
import { plainText } from "../format/support/PlainText.ts"
import { inDirectory, recordCall } from "./support.ts"

const remove = (file: string, options: DeletionOptions, log = `${file}.audit`) =>
  deletePayloads(file, options).pipe(Effect.provide(AuditLog.layer(log)))
const hard = { mode: "hard_delete" } as const
const payloads = (records: ReadonlyArray<TimelineRecord>) =>
  records.flatMap((record) => record.record === "payload" ? [record.handle_id] : [])
const others = (records: ReadonlyArray<TimelineRecord>) =>
  records.filter(({ record }) => !["payload", "caller_audio", "sealed", "removed"].includes(record))

describe("a hard deletion", () => {
  it.live("of a turn removes what was said in it, and nothing else", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const file = `${directory}/a.timeline`
        yield* recordCall(file)
        const before = yield* read(file)
        assert.deepStrictEqual(payloads(before.records), [
          ...["t_turn_1", "v_turn_1", "t_turn_2", "v_turn_2", "t_turn_3", "v_turn_3"]
        ])
        const report = yield* remove(file, { ...hard, turnId: "turn_2" })
        assert.strictEqual(report.removed.text_raw, 1)
        const after = yield* read(file, { validate: true })
        assert.deepStrictEqual(payloads(after.records), ["t_turn_1", "v_turn_1", "t_turn_3", "v_turn_3"])
        assert.deepStrictEqual([after.header, others(after.records)], [before.header, others(before.records)])
        assert.strictEqual(after.records.length, before.records.length)
        assert.isUndefined(after.tear)
        assert.deepStrictEqual(evidenceCompleteness(after.records), evidenceCompleteness(before.records))
      })
    ))

  it.live("of a session leaves no word and no sound in the file, sealed or not, and destroys the key", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        for (const keys of [undefined, directory]) {
          const file = `${directory}/${keys === undefined ? "plain" : "sealed"}.timeline`
          yield* recordCall(file, keys === undefined ? {} : { keys })
          const report = yield* remove(file, { ...hard, ...(keys === undefined ? {} : { keys }) })
          assert.strictEqual(report.key_destroyed, keys !== undefined)
          const bytes = plainText(yield* fs.readFile(file))
          for (const word of ["hello", "pcm_base64", "data_base64"]) assert.notInclude(bytes, word)
        }
      })
    ))

  it.live("done again changes no byte, and is written down again", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const file = `${directory}/a.timeline`
        yield* recordCall(file)
        yield* remove(file, hard)
        const once = yield* fs.readFile(file)
        assert.deepStrictEqual((yield* remove(file, hard)).removed, {})
        assert.deepStrictEqual(yield* fs.readFile(file), once)
        assert.strictEqual((yield* verifyAuditLog(`${file}.audit`)).entries, 4)
      })
    ))

  it.live("does not happen when it cannot be written down, or the disk is full, or the new file cannot take its place", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const file = `${directory}/a.timeline`
        yield* recordCall(file)
        const before = yield* fs.readFile(file)
        yield* fs.symlink("/dev/full", `${directory}/full`)
        assert.strictEqual((yield* Effect.flip(remove(file, hard, `${directory}/full`)))._tag, "AuditUnavailable")
        const isNew = (path: string) => path.endsWith(".timeline.next")
        const full = withFiles(fs, () => ({ writeAll: () => Effect.fail(noSpace) }))
        const disks: ReadonlyArray<FileSystem.FileSystem> = [
          { ...fs, open: (path, options) => isNew(path) ? full.open(path, options) : fs.open(path, options) },
          {
            ...fs,
            rename: (from, to) =>
              isNew(from)
                ? Effect.fail(systemError({ _tag: "Unknown", module: "FileSystem", method: "rename" }))
                : fs.rename(from, to)
          }
        ]
        for (const disk of disks) {
          const deletion = deletePayloads(file, hard).pipe(
            Effect.provideService(FileSystem.FileSystem, disk),
            Effect.provide(AuditLog.layer(`${file}.audit`))
          )
          assert.strictEqual((yield* Effect.flip(deletion))._tag, "PlatformError")
          assert.deepStrictEqual(yield* fs.readFile(file), before)
          assert.isFalse(yield* fs.exists(`${file}.next`))
        }
      })
    ))

  it.live("goes over what a process that died left beside the file", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const file = `${directory}/a.timeline`
        yield* recordCall(file)
        yield* fs.writeFileString(`${file}.next`, "half of a file")
        yield* remove(file, hard)
        assert.isFalse(yield* fs.exists(`${file}.next`))
        assert.isUndefined((yield* read(file, { validate: true })).tear)
      })
    ))

  it.live("is refused for a file that is not closed, and for a turn that is not there", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const file = `${directory}/a.timeline`
        yield* recordCall(file)
        assert.match(
          (yield* Effect.flip(remove(file, { ...hard, turnId: "turn_9" }))).message,
          /it has no turn turn_9/u
        )
        const bytes = yield* fs.readFile(file)
        yield* fs.writeFile(file, bytes.subarray(0, bytes.length - 5))
        assert.match((yield* Effect.flip(remove(file, hard))).message, /was never closed/u)
      })
    ))
})

describe("a deletion by key", () => {
  it.live("changes no byte of the file, and is refused where it would delete nothing", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const file = `${directory}/a.timeline`
        yield* recordCall(file, { keys: directory })
        const before = yield* fs.readFile(file)
        const crypto = { mode: "crypto_inaccessible" } as const
        const why = (options: DeletionOptions) =>
          Effect.map(Effect.flip(remove(file, options)), ({ message }) => message)
        assert.match(yield* why({ ...crypto, keys: directory, turnId: "turn_1" }), /sealed under one key/u)
        assert.match(yield* why(crypto), /no key store is given/u)
        const report = yield* remove(file, { ...crypto, keys: directory })
        assert.strictEqual(report.removed.text_raw, 3)
        assert.isTrue(report.key_destroyed)
        assert.deepStrictEqual(yield* fs.readFile(file), before)
        assert.match(yield* why({ ...crypto, keys: directory }), /its key \S+ is not in the key store/u)
        assert.match(yield* why({ ...crypto, keys: `${directory}/nope` }), /its key \S+ is not in the key store/u)
        assert.match(yield* why({ mode: "hard_delete", keys: `${directory}/nope` }), /is not in the key store/u)
        yield* recordCall(`${directory}/b.timeline`)
        const plain = remove(`${directory}/b.timeline`, { ...crypto, keys: directory })
        assert.match((yield* Effect.flip(plain)).message, /are not sealed/u)
      })
    ))
})
