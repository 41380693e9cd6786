// What rspp control-plane backup says where a file cannot be given its name.
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as NodeSqlite from "@rspp/sql/NodeSqlite"
import { migrateControl } from "@rspp/control/sql/Migrations"
import { Effect, FileSystem, Layer, PlatformError } from "effect"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, expect, it } from "vitest"
import { backUp } from "../src/command/ControlPlaneBackup.ts"
import { Screen } from "../src/Screen.ts"

const cwd = mkdtempSync(join(tmpdir(), "rspp-cli-naming-"))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))

const screen = Screen.layerOf({ out: () => {}, error: () => {}, columns: () => undefined, environment: {} })

/** A disk on which `link` ends with this. */
const linkEndsWith = (tag: "AlreadyExists" | "Unknown") =>
  Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (fs) => ({
      ...fs,
      link: () => Effect.fail(PlatformError.systemError({ _tag: tag, module: "FileSystem", method: "link" }))
    }))
  )

it("says that it is there only when it is, and leaves nothing half-named", async () => {
  const database = join(cwd, "control.sqlite")
  await Effect.runPromise(migrateControl.pipe(Effect.provide(NodeSqlite.layer(database))))
  const to = join(cwd, "backup")
  const failing = (tag: "AlreadyExists" | "Unknown") =>
    Effect.runPromise(
      Effect.flip(backUp({ database: `sqlite:${database}`, to, json: false })).pipe(
        Effect.provide(linkEndsWith(tag).pipe(Layer.provideMerge(Layer.merge(NodeServices.layer, screen))))
      )
    )
  expect(await failing("AlreadyExists")).toMatchObject({ exit: "bad_input", message: `${to} is there already` })
  expect(await failing("Unknown")).toMatchObject({ exit: "unavailable" })
  expect([existsSync(to), existsSync(`${to}.partial`)]).toEqual([false, false])
})

it("leaves a backup alone that another is writing, and says that it is there", async () => {
  const database = join(cwd, "control.sqlite")
  await Effect.runPromise(migrateControl.pipe(Effect.provide(NodeSqlite.layer(database))))
  const to = join(cwd, "twice")
  writeFileSync(`${to}.partial`, "half")
  const failure = await Effect.runPromise(
    Effect.flip(backUp({ database: `sqlite:${database}`, to, json: false })).pipe(
      Effect.provide(Layer.merge(NodeServices.layer, screen))
    )
  )
  expect(failure).toMatchObject({ exit: "bad_input", message: expect.stringContaining("twice.partial is there") })
  expect([existsSync(to), readFileSync(`${to}.partial`, "utf8")]).toEqual([false, "half"])
})
