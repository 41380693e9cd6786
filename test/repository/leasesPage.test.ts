// docs/leases.md: every command on the page runs, and ends as the page says.
import { assert, describe, it } from "@effect/vitest"
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { endsAsItSays, pageOf, root } from "./support/Page.ts"

const { commands, namesFiles, text } = pageOf("leases.md")

const cwd = mkdtempSync(join(tmpdir(), "rspp-page-"))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))
symlinkSync(join(root, "test"), join(cwd, "test"))

describe("docs/leases.md", () => {
  it("has commands that end as it says", async () => {
    assert.isAbove(commands.length, 3)
    for (const line of commands) await endsAsItSays(cwd, line)
  }, 300_000)

  it("names only files that exist, and every rule of the hammer's checker", () => {
    namesFiles()
    const checker = readFileSync(join(root, "test/lease/Checker.ts"), "utf8")
    const rules = /export type Rule = (.*)/u.exec(checker)?.[1]?.match(/\w+/gu) ?? []
    assert.isAbove(rules.length, 3)
    for (const rule of rules) assert.include(text, `\`${rule}\``)
  })
})
