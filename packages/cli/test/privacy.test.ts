// Runs docs/privacy.md: its files, then its commands, in order, each to the exit code that it says (0 where it says none).
import { plainText } from "@rspp/timeline/test/format/support/PlainText"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type { Ended } from "./support/Program.ts"
import { recording, rspp } from "./support/Program.ts"

const page = readFileSync(fileURLToPath(new URL("../../../docs/privacy.md", import.meta.url)), "utf8")
const cwd = mkdtempSync(join(tmpdir(), "rspp-privacy-page-"))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))
const minute = 120_000

const files = [...page.matchAll(/`([\w-]+\.(?:json|yaml))`:\n\n```(?:json|yaml)\n([\s\S]*?)```/gu)]
const commands = [...page.matchAll(/```sh\n([\s\S]*?)```/gu)].flatMap(([, block = ""]) => block.trim().split("\n"))

describe("docs/privacy.md", () => {
  const ended: Array<{ readonly command: string; readonly wanted: number; readonly ended: Ended }> = []
  const outputOf = (part: string) =>
    ended.filter(({ command }) => command.includes(part)).map(({ ended }) => ended.stdout)

  beforeAll(async () => {
    copyFileSync(recording("goforward"), join(cwd, "question.wav"))
    for (const [, name = "", content = ""] of files) writeFileSync(join(cwd, name), content)
    for (const line of commands) {
      const [command = "", exit] = line.split(" # exit ")
      const [program, ...args] = command.split(" ")
      if (program === "mkdir") {
        for (const directory of args.slice(2)) mkdirSync(join(cwd, directory), { mode: 0o700 })
        continue
      }
      if (program !== "rspp") throw new Error(`no command of rspp: ${line}`)
      ended.push({ command, wanted: Number(exit ?? 0), ended: await rspp(args, { cwd }) })
      if (command.includes("crypto_inaccessible")) {
        // Before the sweep takes them.
        for (const name of ["plain", "sealed"]) {
          copyFileSync(join(cwd, `calls/${name}.timeline`), join(cwd, `${name}.copy`))
        }
      }
    }
  }, 2 * minute)

  it("has commands that end as it says", () => {
    expect(files.map(([, name]) => name)).toEqual(["l2.yaml", "policy.json", "retention.json"])
    expect(ended.length).toBeGreaterThan(15)
    expect(ended.map(({ command, ended }) => `${ended.code} ${command}`))
      .toEqual(ended.map(({ command, wanted }) => `${wanted} ${command}`))
  })

  it("shows words to who has the key, asterisks by policy, and nothing else", () => {
    const [bare = "", keyed = ""] = outputOf("timeline show calls/sealed.timeline")
    expect(bare).not.toMatch(/Go forward/u)
    expect(keyed).toMatch(/"Go forward/u)
    const [masked = "", missing = "", tenant = ""] = outputOf("--access policy.json --as tenant_id").filter(
      (_, i) => i !== 1
    )
    expect(masked).toMatch(/mask "\*\* \*{7}/u)
    expect(masked).not.toMatch(/forward/u)
    expect([missing, tenant]).toEqual(["", ""])
    const exported = readFileSync(join(cwd, "out.jsonl"), "utf8")
    expect(exported).toMatch(/"record":"evidence"/u)
    expect(exported).not.toMatch(/"record":"(?:payload|caller_audio)"|"hash":"[0-9a-f]{64}","id":"h_/u)
  })

  it("deletes what it says, in files that stay whole", () => {
    expect(outputOf("rspp replay")[0]?.match(/: identical,/gu)?.length).toBe(2)
    expect(plainText(readFileSync(join(cwd, "plain.copy")))).not.toMatch(/Go forward/u)
    expect(plainText(readFileSync(join(cwd, "sealed.copy")))).not.toMatch(/Go forward/u)
  })

  it("sweeps once, and writes it down", () => {
    const sweeps = outputOf("timeline sweep").filter((text) => !text.startsWith("{"))
    expect(sweeps.map((text) => text.trim().split("\n").at(-1))).toEqual([
      "2 recordings: 0 stripped, 0 removed, 0 skipped (dry run: nothing was changed)",
      "2 recordings: 0 stripped, 2 removed, 0 skipped",
      "0 recordings: 0 stripped, 0 removed, 0 skipped"
    ])
    expect(existsSync(join(cwd, "calls/plain.timeline"))).toBe(false)
    expect(outputOf("audit verify calls")[0]).toMatch(/: ok, 8 entries/u)
    expect(statSync(join(cwd, "audit.jsonl")).mode & 0o777).toBe(0o600)
  })

  it("shows nothing when the access cannot be written down", async () => {
    writeFileSync(
      join(cwd, "full.json"),
      JSON.stringify({ ...JSON.parse(files[1]?.[2] ?? ""), audit_log: "none/a.jsonl" })
    )
    const as =
      "tenant_id=local,principal_id=ann,role=qa,purpose=debugging,requested_scope=session,requested_fidelity=masked"
    const { code, stderr, stdout } = await rspp(
      ["timeline", "show", "plain.copy", "--access", "full.json", "--as", as],
      {
        cwd
      }
    )
    expect([code, stdout]).toEqual([69, ""])
    expect(stderr).toContain("cannot be written")
  }, minute)
})
