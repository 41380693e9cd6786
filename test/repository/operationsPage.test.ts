// docs/operations.md: every command on the page runs, and ends as the page says.
import { afterAll, assert, describe, it } from "@effect/vitest"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { rspp } from "../support/Program.ts"
import { endsAsItSays, pageOf } from "./support/Page.ts"

const { commands, namesFiles, text } = pageOf("operations.md")

const cwd = mkdtempSync(join(tmpdir(), "rspp-page-"))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))

describe("docs/operations.md", () => {
  it("has commands that end as it says", async () => {
    assert.strictEqual((await rspp(cwd, "snapshots", "publish", "--to", "sqlite:control.sqlite", "--once")).code, 0)
    assert.isAbove(commands.length, 4)
    for (const line of commands) await endsAsItSays(cwd, line)
  }, 180_000)

  it("names only files that exist, and flags of the control plane that there are", async () => {
    namesFiles()
    const { stdout } = await rspp(cwd, "control-plane", "--help")
    for (const [, flag = ""] of text.matchAll(/`(--(?:drain|rate|runtime-rate|burst|listen|snapshot)[a-z-]*)/gu)) {
      assert.include(stdout, `${flag} `, flag)
    }
  }, 60_000)
})
