// Holds I-REWRITE: the process is killed for real, at moments from before the first byte to after the last.
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { usualSession } from "../recorder/support/Recording.ts"
import { inDirectory, recordCall } from "./support.ts"

const program = fileURLToPath(new URL("rewriter.ts", import.meta.url))

/** Runs the deletion; kills it so many ms after it began, if at all. True when it ended by itself. */
const deletion = (file: string, killAfterMs?: number): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const child = spawn(process.execPath, [program, file], { stdio: ["ignore", "pipe", "inherit"] })
    child.stdout.once("data", () => {
      if (killAfterMs !== undefined) setTimeout(() => child.kill("SIGKILL"), killAfterMs)
    })
    child.on("close", (code) => resume(Effect.succeed(code === 0)))
  })

describe("a deletion that is killed", () => {
  it.live("has happened or has not, and can be done again", () =>
    inDirectory((directory) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const file = `${directory}/a.timeline`
        yield* recordCall(file, {
          play: (script) => {
            for (let i = 0; i < 15; i++) usualSession(script)
          }
        })
        const before = Buffer.from(yield* fs.readFile(file))
        assert.isTrue(yield* deletion(file))
        const after = Buffer.from(yield* fs.readFile(file))
        assert.isFalse(after.equals(before))
        for (const ms of [0, 5, 10, 20, 40, 80]) {
          yield* fs.writeFile(file, before)
          const ended = yield* deletion(file, ms)
          const left = Buffer.from(yield* fs.readFile(file))
          assert.isTrue(left.equals(after) || (!ended && left.equals(before)), `killed after ${ms} ms`)
        }
        yield* deletion(file)
        assert.isTrue(Buffer.from(yield* fs.readFile(file)).equals(after))
        assert.deepStrictEqual(yield* fs.readDirectory(directory), ["a.timeline"])
      })
    ), 60_000)
})
