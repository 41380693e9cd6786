// The runner of the gates: what it writes, what it says at the end, and what is left when it is interrupted.
import { verificationGates } from "@rspp/contracts/Verification"
import { spawn, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { gates, type VerifyOptions, verify } from "../../scripts/verify.ts"
import { overall, sha256Of } from "../../scripts/verify/Artifacts.ts"
import { type Gate, gateNames, judged } from "../../scripts/verify/Gate.ts"
import { temporary } from "./support/Directories.ts"
import { root } from "./support/RepositoryCopy.ts"

const commit = "0".repeat(40)

const gate = (name: Gate["name"], findings: ReadonlyArray<string> = [], missing: ReadonlyArray<string> = []): Gate => ({
  name,
  about: "for this test",
  run: async ({ directory }) => {
    writeFileSync(join(directory, "note.txt"), name)
    return judged({ command: "again", counts: { things: 2 }, failures: findings, missing })
  }
})

const ran = async (gates: ReadonlyArray<Gate>, options: Partial<VerifyOptions> = {}) => {
  const out = join(temporary(), "out")
  const lines: Array<string> = []
  const verification = await verify({
    root,
    mode: "quick",
    gates,
    whole: true,
    out,
    signal: new AbortController().signal,
    say: (line) => lines.push(line),
    source: () => ({ commit, dirty: false }),
    ...options
  })
  const json = (name: string) => JSON.parse(readFileSync(join(options.out ?? out, name), "utf8"))
  return { ...verification, out: options.out ?? out, lines, json }
}

describe("a verification", () => {
  it("has every gate that a release asks for, once", () => {
    expect(gates.map(({ name }) => name)).toEqual([...gateNames])
    expect([...gateNames].sort()).toEqual([...verificationGates].sort())
  })

  it("leaves an artifact for each gate, and a summary with the hash of every file", async () => {
    const { json, out, verdict } = await ran([gate("contracts"), gate("slo")])
    expect(verdict).toBe("pass")
    const about = { schema_version: "v1.0", mode: "quick", commit, dirty: false, verdict: "pass" }
    expect(json("slo.json")).toMatchObject({ ...about, gate: "slo", command: "again", detail: { things: 2 } })
    const summary = json("summary.json")
    expect(summary).toMatchObject({
      ...about,
      gates: [
        { gate: "contracts", verdict: "pass", file: "contracts.json" },
        { gate: "slo", verdict: "pass", file: "slo.json" }
      ]
    })
    const files = ["contracts.json", "contracts/note.txt", "slo.json", "slo/note.txt"]
    expect(summary.files.map(({ file, sha256 }: { file: string; sha256: string }) => [file, sha256])).toEqual(
      files.map((file) => [file, sha256Of(join(out, file))])
    )
  })

  it("fails when one gate does, and has not run when one has not; the gates behind it run all the same", async () => {
    const failing = await ran([
      gate("contracts", ["one thing is wrong"]),
      gate("walls", [], ["the check"]),
      gate("slo")
    ])
    expect(failing.verdict).toBe("fail")
    expect(failing.artifacts.map(({ verdict }) => verdict)).toEqual(["fail", "not_run", "pass"])
    expect(failing.lines.join("\n")).toContain("one thing is wrong")
    expect((await ran([gate("walls", [], ["the check"]), gate("slo")])).verdict).toBe("not_run")
    expect(overall([])).toBe("not_run")
  })

  it("takes a gate that throws for one that did not run", async () => {
    const broken: Gate = { name: "docs", about: "", run: () => Promise.reject(new Error("planted")) }
    const { json, verdict } = await ran([broken])
    expect(verdict).toBe("not_run")
    expect(json("docs.json").findings.join("\n")).toContain("planted")
  })

  it("has not run when the tree changed meanwhile", async () => {
    let asked = 0
    const source = () => ({ commit, dirty: asked++ > 0 })
    const { findings, json, verdict } = await ran([gate("docs")], { source })
    expect(verdict).toBe("not_run")
    expect(findings).toHaveLength(1)
    expect(json("summary.json")).toMatchObject({ verdict: "not_run", findings })
  })

  it("leaves nothing of an earlier run, and no summary of a part or of a run that was interrupted", async () => {
    const out = join(temporary(), "out")
    mkdirSync(out)
    writeFileSync(join(out, "replay.json"), "{}")
    await ran([gate("docs")], { out, whole: false })
    expect(readdirSync(out).sort()).toEqual(["docs", "docs.json"])
    const stop = new AbortController()
    const stopping: Gate = {
      name: "walls",
      about: "",
      run: async () => {
        stop.abort()
        return judged({ command: "", counts: {}, failures: [], missing: [] })
      }
    }
    const { verdict } = await ran([stopping, gate("docs")], { out, signal: stop.signal })
    expect(verdict).toBe("interrupted")
    expect(readdirSync(out)).toEqual([])
  })
})

describe("scripts/verify.ts", () => {
  const script = join(root, "scripts/verify.ts")
  const run = (...args: ReadonlyArray<string>) => spawnSync(process.execPath, [script, ...args], { encoding: "utf8" })

  it("says what there is, and what is wrong with its arguments", () => {
    const help = run("--help")
    expect(help.status).toBe(0)
    for (const name of gateNames) expect(help.stdout).toMatch(new RegExp(`^ {2}${name} `, "mu"))
    for (const args of [[], ["slow"], ["quick", "--only", "nothing"], ["quick", "--fast"]]) {
      const { status, stderr } = run(...args)
      expect({ args, status }).toEqual({ args, status: 2 })
      expect(stderr).toMatch(/^verify: /u)
    }
  }, 60_000)

  it("runs one gate, in this repository", () => {
    const out = join(temporary(), "out")
    const { status, stderr, stdout } = run("quick", "--only", "contracts", "--out", out, "--json")
    expect({ status, stderr }).toMatchObject({ status: 0 })
    expect(JSON.parse(stdout)).toMatchObject({ mode: "quick", verdict: "pass", gates: [{ gate: "contracts" }] })
    expect(readdirSync(out)).toEqual(["contracts.json"])
    expect(stderr.trimEnd().split("\n").at(-1)).toMatch(/^verify quick: pass, 1 of 1 gates pass, /u)
  }, 60_000)

  it("ends what it started when it is interrupted, with 130", async () => {
    const out = join(temporary(), "out")
    const child = spawn(process.execPath, [script, "quick", "--only", "simulation", "--out", out], {
      stdio: ["ignore", "pipe", "inherit"]
    })
    let text = ""
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve))
    await new Promise<void>((resolve) => {
      child.stdout.setEncoding("utf8").on("data", (more: string) => {
        text += more
        if (text.includes("npx rspp sim")) resolve()
      })
    })
    child.kill("SIGINT")
    expect(await ended).toBe(130)
    expect(text).toMatch(/verify quick: interrupted, /u)
    expect(existsSync(join(out, "summary.json"))).toBe(false)
  }, 60_000)
})
