// docs/leases.md: every command on the page runs, and ends as the page says.
import { assert, describe, it } from "@effect/vitest"
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll } from "vitest"
import { rspp } from "../support/Program.ts"

const root = dirname(dirname(import.meta.dirname))
const page = readFileSync(join(root, "docs/leases.md"), "utf8")
const commands = [...page.matchAll(/```sh\n([^]*?)```/gu)].flatMap(([, block = ""]) => block.trimEnd().split("\n"))

const cwd = mkdtempSync(join(tmpdir(), "rspp-page-"))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))
symlinkSync(join(root, "test"), join(cwd, "test"))

describe("docs/leases.md", () => {
  it("has commands that end as it says", async () => {
    assert.isAbove(commands.length, 3)
    for (const line of commands) {
      const [command = "", comment = ""] = line.split(" # ")
      const [npx, program, ...args] = command.split(" ")
      assert.deepStrictEqual([npx, program], ["npx", "rspp"])
      const { code, stderr } = await rspp(cwd, ...args)
      assert.strictEqual(code, Number(/exit ([0-9]+)/u.exec(comment)?.[1] ?? 0), `${line}\n${stderr}`)
    }
  }, 300_000)

  it("names only files that exist, and every rule of the hammer's checker", () => {
    for (const [, path = ""] of page.matchAll(/\]\(([^)#:]+)\)/gu)) {
      assert.isTrue(existsSync(join(root, "docs", path)), `it names ${path}`)
    }
    const checker = readFileSync(join(root, "test/lease/Checker.ts"), "utf8")
    const rules = /export type Rule = (.*)/u.exec(checker)?.[1]?.match(/\w+/gu) ?? []
    assert.isAbove(rules.length, 3)
    for (const rule of rules) assert.include(page, `\`${rule}\``)
  })
})
