// docs/timeline.md: every command on the page runs, and ends as the page says.
import { assert, describe, it } from "@effect/vitest"
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll } from "vitest"
import { rspp } from "../support/Program.ts"

const root = dirname(dirname(import.meta.dirname))
const page = readFileSync(join(root, "docs/timeline.md"), "utf8")
const blocks = (language: string) =>
  [...page.matchAll(new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``, "gu"))].map(([, code = ""]) => code)

const cwd = mkdtempSync(join(tmpdir(), "rspp-page-"))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))
symlinkSync(join(root, "test"), join(cwd, "test"))
writeFileSync(join(cwd, "prices.json"), blocks("json")[0] ?? "")

const commands = blocks("sh").flatMap((block) => block.trimEnd().split("\n"))

describe("docs/timeline.md", () => {
  it("shows each command of rspp timeline that it is about", () => {
    for (const name of ["show", "summary", "diff", "export", "promote"]) {
      assert.isTrue(commands.some((command) => command.startsWith(`npx rspp timeline ${name} `)), name)
    }
  })

  it("has commands that end as it says", async () => {
    for (const line of commands) {
      const [command = "", comment = ""] = line.split(" # ")
      const [npx, program, ...words] = command.split(" ")
      assert.deepStrictEqual([npx, program], ["npx", "rspp"])
      const args = words.flatMap((word) => word.includes("*") ? globSync(word, { cwd }).toSorted() : [word])
      const { code, stderr, stdout } = await rspp(cwd, ...args)
      assert.strictEqual(code, Number(/exit ([0-9]+)/u.exec(comment)?.[1] ?? 0), `${line}\n${stderr}`)
      if (!args.includes("--output")) assert.isNotEmpty(stdout, line)
    }
  }, 120_000)

  it("names only files that exist", () => {
    for (const [, path = ""] of page.matchAll(/\]\(([^)#:]+)\)/gu)) {
      assert.isTrue(existsSync(join(root, "docs", path)), `it names ${path}`)
    }
  })
})
