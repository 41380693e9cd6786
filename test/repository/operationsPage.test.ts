// docs/operations.md: every command on the page runs, and ends as the page says.
import { afterAll, assert, describe, it } from "@effect/vitest"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { rspp } from "../support/Program.ts"

const root = dirname(dirname(import.meta.dirname))
const page = readFileSync(join(root, "docs/operations.md"), "utf8")
const commands = [...page.matchAll(/```sh\n([^]*?)```/gu)].flatMap(([, block = ""]) => block.trimEnd().split("\n"))

const cwd = mkdtempSync(join(tmpdir(), "rspp-page-"))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))

describe("docs/operations.md", () => {
  it("has commands that end as it says", async () => {
    assert.strictEqual((await rspp(cwd, "snapshots", "publish", "--to", "sqlite:control.sqlite", "--once")).code, 0)
    assert.isAbove(commands.length, 4)
    for (const line of commands) {
      const [command = "", comment = ""] = line.split(" # ")
      const [npx, program, ...args] = command.split(" ")
      assert.deepStrictEqual([npx, program], ["npx", "rspp"])
      const { code, stderr } = await rspp(cwd, ...args)
      assert.strictEqual(code, Number(/exit ([0-9]+)/u.exec(comment)?.[1] ?? 0), `${line}\n${stderr}`)
    }
  }, 180_000)

  it("names only files that exist, and flags of the control plane that there are", async () => {
    for (const [, path = ""] of page.matchAll(/\]\(([^)#:]+)\)/gu)) {
      assert.isTrue(existsSync(join(root, "docs", path)), `it names ${path}`)
    }
    const { stdout } = await rspp(cwd, "control-plane", "--help")
    for (const [, flag = ""] of page.matchAll(/`(--(?:drain|rate|burst|listen)[a-z-]*)/gu)) {
      assert.include(stdout, `${flag} `, flag)
    }
  }, 60_000)
})
