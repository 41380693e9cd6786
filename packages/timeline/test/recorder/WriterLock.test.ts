// Who writes a file holds it, whatever becomes of them: with processes of their own that are killed with -9.
import { afterAll, assert, describe, layer } from "@effect/vitest"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { hold, lockPath, mustBeFree } from "@rspp/timeline/recorder/WriterLock"
import { Effect, FileSystem } from "effect"
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { hostname, tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const directory = mkdtempSync(join(tmpdir(), "rspp-lock-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const holder = fileURLToPath(new URL("./support/holder.ts", import.meta.url))

/** A process that holds the file once it has said so, or says that it was refused. */
const holding = async (path: string): Promise<{ readonly child: ChildProcess; readonly said: string }> => {
  const child = spawn(process.execPath, [holder, path], { stdio: ["pipe", "pipe", "inherit"] })
  const [said] = await once(child.stdout.setEncoding("utf8"), "data") as [string]
  return { child, said: said.trim() }
}

const killed = async (child: ChildProcess) => {
  child.kill("SIGKILL")
  await once(child, "exit")
}

describe("a file that is written", () => {
  layer(NodeFileSystem.layer)((it) => {
    it.effect("is held by one process, and by the next once that was killed with -9", () =>
      Effect.gen(function*() {
        const path = join(directory, "killed.timeline")
        const { child, said } = yield* Effect.promise(() => holding(path))
        assert.strictEqual(said, "held")
        for (const attempt of [mustBeFree(path), Effect.scoped(hold(path))]) {
          const failure = yield* Effect.flip(attempt)
          if (failure._tag !== "FileInUse") return assert.fail(failure.message)
          assert.strictEqual(failure.message, `${path} is being written by process ${child.pid}`)
        }
        yield* Effect.promise(() => killed(child))
        assert.isTrue(existsSync(lockPath(path)), "nobody has tidied up")
        yield* mustBeFree(path)
        yield* Effect.scoped(Effect.gen(function*() {
          yield* hold(path)
          assert.match(readFileSync(lockPath(path), "utf8"), new RegExp(`"pid":${process.pid},`, "u"))
          assert.strictEqual((yield* Effect.flip(Effect.scoped(hold(path))))._tag, "FileInUse", "this process included")
        }))
        assert.deepStrictEqual(readdirSync(directory), [])
        return undefined
      }), 30_000)

    it.effect(
      "goes to one of several that want it at once, also where a dead one had it",
      () =>
        Effect.gen(function*() {
          const path = join(directory, "many.timeline")
          const dead = yield* Effect.promise(() => holding(path))
          yield* Effect.promise(() => killed(dead.child))
          const all = yield* Effect.promise(() => Promise.all(Array.from({ length: 5 }, () => holding(path))))
          const said = all.map(({ said }) => said.replace(/[0-9]+$/u, "N")).toSorted()
          yield* Effect.forEach(all, ({ child }) => Effect.promise(() => killed(child)))
          assert.deepStrictEqual(said, [
            ...Array.from({ length: 4 }, () => `${path} is being written by process N`),
            "held"
          ])
        }),
      30_000
    )

    it.effect("is not held by a process that has the number of the one that held it", () =>
      Effect.gen(function*() {
        const path = join(directory, "reused.timeline")
        const lock = { pid: process.pid, started: "1", host: hostname(), lock_id: "a" }
        writeFileSync(lockPath(path), JSON.stringify(lock))
        if (existsSync(`/proc/${process.pid}/stat`)) yield* mustBeFree(path)
        // Without the time at which it began nobody can tell.
        writeFileSync(lockPath(path), JSON.stringify({ ...lock, started: "" }))
        assert.strictEqual((yield* Effect.flip(mustBeFree(path)))._tag, "FileInUse")
      }))

    it.effect("of another machine, or with a lock that cannot be read, is left alone and says what to remove", () =>
      Effect.gen(function*() {
        const path = join(directory, "far.timeline")
        const fs = yield* FileSystem.FileSystem
        for (const text of [JSON.stringify({ pid: 1, started: "", host: "elsewhere", lock_id: "a" }), "nonsense"]) {
          yield* fs.writeFileString(lockPath(path), text)
          const failure = yield* Effect.flip(Effect.scoped(hold(path)))
          if (failure._tag !== "FileInUse") return assert.fail(failure.message)
          assert.include(failure.hint, lockPath(path))
          assert.strictEqual(readFileSync(lockPath(path), "utf8"), text)
        }
        return undefined
      }))
  })
})
