// docs/timeline.md: every command on the page runs, and ends as the page says.
import { assert, describe, it } from "@effect/vitest"
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { endsAsItSays, pageOf, root } from "./support/Page.ts"

const { blocks, commands, namesFiles } = pageOf("timeline.md")

const cwd = mkdtempSync(join(tmpdir(), "rspp-page-"))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))
symlinkSync(join(root, "test"), join(cwd, "test"))
writeFileSync(join(cwd, "prices.json"), blocks("json")[0] ?? "")

describe("docs/timeline.md", () => {
  it("shows each command of rspp timeline that it is about", () => {
    for (const name of ["show", "summary", "diff", "export", "promote"]) {
      assert.isTrue(commands.some((command) => command.startsWith(`npx rspp timeline ${name} `)), name)
    }
  })

  it("has commands that end as it says", async () => {
    for (const line of commands) {
      const { args, stdout } = await endsAsItSays(cwd, line)
      if (!args.includes("--output")) assert.isNotEmpty(stdout, line)
    }
  }, 120_000)

  it("names only files that exist", namesFiles)
})
