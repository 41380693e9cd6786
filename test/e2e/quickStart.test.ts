// docs/quick-start.md: its commands run as they stand there, in one shell, and print what it says.
import { spawn } from "node:child_process"
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { delimiter, dirname, join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { pageOf, root } from "../repository/support/Page.ts"
import { program } from "../support/Program.ts"

const page = pageOf("quick-start.md")
const cwd = mkdtempSync(join(tmpdir(), "rspp-quick-start-"))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))

/** A port that nobody listens on. */
const freePort = () =>
  new Promise<number>((resolve, reject) => {
    const server = createServer().on("error", reject).listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => typeof address === "object" && address !== null ? resolve(address.port) : reject(address))
    })
  })

const inShell = (script: string): Promise<{ readonly output: string; readonly code: number | null }> =>
  new Promise((resolve, reject) => {
    const bin = join(cwd, ".bin")
    mkdirSync(bin)
    // `npx rspp` is the program of this repository.
    writeFileSync(join(bin, "npx"), `#!/bin/sh\nshift\nexec "${process.execPath}" "${program}" "$@"\n`)
    chmodSync(join(bin, "npx"), 0o755)
    const { HOME, PATH = "", TMPDIR } = process.env
    const env = { HOME, TMPDIR, PATH: [bin, dirname(process.execPath), PATH].join(delimiter) }
    const child = spawn("sh", ["-c", script], { cwd, env, stdio: ["ignore", "pipe", "pipe"] })
    let output = ""
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => void (output += text))
    }
    child.on("error", reject)
    child.on("close", (code) => resolve({ output, code }))
  })

/** Numbers and the space before them are those of the day. */
const shape = (line: string) => line.trim().replaceAll(/\s+/gu, " ").replaceAll(/\d+(?:[.,]\d+)*/gu, "#")

describe("docs/quick-start.md", () => {
  let ran = { output: "", code: null as number | null }

  beforeAll(async () => {
    symlinkSync(join(root, "test"), join(cwd, "test"))
    const port = String(await freePort())
    ran = await inShell(page.blocks("sh").join("\n").replaceAll("7911", port))
  }, 300_000)

  it("has commands that print what it says", () => {
    const printed = ran.output.split("\n").map(shape)
    const expected = page.blocks("text").flatMap((block) => block.split("\n")).filter((line) =>
      line.trim() !== "" && line.trim() !== "…"
    )
    expect(ran.code).toBe(0)
    expect(expected.length).toBeGreaterThan(12)
    for (const line of expected) expect(printed, `${line}\n\n${ran.output}`).toContain(shape(line))
  })

  it("ends with the replay test that passes, and one that does not", () => {
    expect(ran.output.match(/^exit code \d+$/gmu)).toEqual(["exit code 0", "exit code 1"])
  })
})
