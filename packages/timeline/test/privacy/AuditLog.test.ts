// Holds I-AUDIT-FIRST, I-CHAIN. The faults are those of the file system.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, FileSystem } from "effect"
import { AuditLog, verifyAuditLog } from "../../src/privacy/AuditLog.ts"
import { inDirectory } from "./support.ts"

const access = (file: string) => ({ action: "show", outcome: "granted", subject: { file } }) as const
const append = (log: string, file = "a") =>
  AuditLog.use((audit) => audit.append(access(file))).pipe(Effect.provide(AuditLog.layer(log)))
const why = (log: string) => Effect.map(Effect.flip(append(log)), ({ message }) => message)

describe("an audit log", () => {
  it.live("takes entries of many writers at once, one after the other", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const log = `${directory}/audit.jsonl`
        yield* Effect.forEach(Array.from({ length: 12 }, (_, i) => `${i}`), (file) => append(log, file), {
          concurrency: "unbounded",
          discard: true
        })
        const { entries, problems } = yield* verifyAuditLog(log)
        assert.deepStrictEqual([entries, problems], [12, []])
        const fs = yield* FileSystem.FileSystem
        assert.deepStrictEqual((yield* fs.readDirectory(directory)).sort(), ["audit.jsonl", "audit.jsonl.head"])
      })
    ))

  it.live("fails when it cannot be written: full disk, no directory, a directory in its place", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        // The kernel's own full device: every write of it ends with ENOSPC.
        yield* fs.symlink("/dev/full", `${directory}/full.jsonl`)
        assert.match(yield* why(`${directory}/full.jsonl`), /cannot be written: .*(ENOSPC|write)/iu)
        assert.match(yield* why(`${directory}/nowhere/audit.jsonl`), /cannot be written/u)
        yield* fs.writeFileString(`${directory}/file`, "")
        assert.match(yield* why(`${directory}/file/audit.jsonl`), /cannot be written/u)
        yield* fs.makeDirectory(`${directory}/taken`)
        assert.match(yield* why(`${directory}/taken`), /cannot be written/u)
      })
    ))

  it.live("goes on behind a half-written line, and stays whole", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const log = `${directory}/audit.jsonl`
        yield* append(log)
        yield* fs.writeFileString(log, `{"action":"show","audit_seq`, { flag: "a" })
        assert.deepStrictEqual((yield* verifyAuditLog(log)).problems, [{ line: 2, message: "is cut off" }])
        yield* append(log)
        assert.deepStrictEqual((yield* verifyAuditLog(log)).problems, [])
      })
    ))

  it.live("takes nothing more once entries were cut off or its last one was changed", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const log = `${directory}/audit.jsonl`
        for (const file of ["a", "b", "c"]) yield* append(log, file)
        const lines = (yield* fs.readFileString(log)).split("\n")
        yield* fs.writeFileString(log, `${lines.slice(0, 2).join("\n")}\n`)
        assert.match(yield* why(log), /ends before the last entry/u)
        yield* fs.writeFileString(log, lines.join("\n").replace(`"file":"c"`, `"file":"x"`))
        assert.match(yield* why(log), /has a last line that was changed/u)
      })
    ))

  it.live("that has lost its head file is found, from the first entry on, and takes nothing more", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const log = `${directory}/audit.jsonl`
        for (const file of ["a", "b"]) {
          yield* append(log, file)
          const [head, content] = [yield* fs.readFile(`${log}.head`), yield* fs.readFile(log)]
          yield* fs.remove(`${log}.head`)
          const [problem] = (yield* verifyAuditLog(log)).problems
          assert.match(problem?.message ?? "", /its head file is missing/u)
          assert.match(yield* why(log), /has lost its head file/u)
          assert.isFalse(yield* fs.exists(`${log}.head`), "and it does not come back by itself")
          assert.deepStrictEqual(yield* fs.readFile(log), content)
          yield* fs.writeFile(`${log}.head`, head)
        }
        yield* append(log, "c")
        assert.deepStrictEqual((yield* verifyAuditLog(log)).problems, [])
      })
    ))

  it.live("whose first writer died before its first line begins anew", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const log = `${directory}/audit.jsonl`
        yield* fs.writeFileString(`${log}.head`, `{"audit_sequence":0,"hash":"${"0".repeat(64)}"}\n`)
        yield* append(log)
        assert.deepStrictEqual((yield* verifyAuditLog(log)).problems, [])
      })
    ))

  it.live("takes over the lock of a process that is gone, and waits for one that is not", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const log = `${directory}/audit.jsonl`
        // No process has the highest number that Linux gives out plus one.
        yield* fs.writeFileString(`${log}.lock`, "4194305\n")
        yield* append(log)
        yield* fs.writeFileString(`${log}.lock`, `${process.pid}\n`)
        const ended = yield* Effect.exit(append(log))
        assert.isTrue(Exit.isFailure(ended))
        assert.match(String(Exit.isFailure(ended) ? ended.cause : ""), /in use by another process/u)
      })
    ))
})
