import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { recording, rspp } from "./support/Program.ts"

// Each run is the real program in a process of its own, in a directory of its own files.
const cwd = mkdtempSync(join(tmpdir(), "rspp-cli-store-"))
const run = (...args: ReadonlyArray<string>) => rspp(args, { cwd })
const bytes = (name: string) => readFileSync(join(cwd, name))
const minute = 120_000
const nobody = "postgres://someone:sesame@127.0.0.1:9/calls"

afterAll(() => rmSync(cwd, { recursive: true, force: true }))

interface Line {
  readonly session_id: string
  readonly tenant_id: string
  readonly segments: number
  readonly bytes: number
  readonly closed: boolean
}

const stored = async (from: string): Promise<ReadonlyArray<Line>> => {
  const { code, stdout } = await run("timeline", "stored", "--from", from, "--json")
  expect(code).toBe(0)
  return stdout.trim().split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as Line)
}

describe("rspp run --store", () => {
  it("ships the call while it is recorded; fetch gives the same file, which verifies and replays", async () => {
    const call = ["run", "--speed", "max", "--input", recording("goforward"), "--timeline", "call.timeline"]
    const { code, stdout } = await run(...call, "--store", "dir:calls", "--json")
    expect(code).toBe(0)
    const summary = JSON.parse(stdout) as { readonly session_id: string; readonly stored: unknown }
    expect(summary.stored).toMatchObject({ complete: true, bytes: bytes("call.timeline").length })
    const [line, other] = await stored("dir:calls")
    expect(other).toBeUndefined()
    expect(line).toMatchObject({ session_id: summary.session_id, closed: true, bytes: bytes("call.timeline").length })
    const fetched = await run("timeline", "fetch", summary.session_id, "--from", "dir:calls", "--to", "back.timeline")
    expect(fetched.code).toBe(0)
    expect(bytes("back.timeline").equals(bytes("call.timeline"))).toBe(true)
    expect((await run("timeline", "verify", "back.timeline")).code).toBe(0)
    expect((await run("replay", "back.timeline")).code).toBe(0)
  }, minute)

  it("does not begin a call when the store cannot be used, and never shows a password", async () => {
    for (const store of [nobody, "dir:no/where", "sqlite:no/where.sqlite"]) {
      const ended = await run("run", "--speed", "max", "--input", recording("goforward"), "--store", store)
      expect(ended.code).toBe(69)
      expect(ended.stdout + ended.stderr).not.toContain("sesame")
      expect(ended.stderr).not.toContain("internal")
    }
    for (const store of ["calls", "ftp:calls", "dir:", "postgres:sesame"]) {
      const ended = await run("run", "--speed", "max", "--input", recording("goforward"), "--store", store)
      expect(ended.code).toBe(2)
      expect(ended.stdout + ended.stderr).not.toContain("sesame")
      expect(ended.stderr).toContain("A store is dir:PATH, sqlite:PATH, or postgres://")
    }
  }, minute)

  it("killed in the middle of a call leaves a store that ship completes, without sending anything twice", async () => {
    const args = ["run", "--speed", "real", "--input", recording("librivox-0870"), "--timeline", "killed.timeline"]
    const killed = await rspp([...args, "--store", "dir:killed"], {
      cwd,
      started: (child) => {
        const timer = setInterval(() => {
          const files = readdirSync(cwd, { recursive: true, encoding: "utf8" })
          if (!files.some((file) => file.startsWith("killed/") && file.endsWith("00000002.segment"))) return
          clearInterval(timer)
          child.kill("SIGKILL")
        }, 10)
        child.on("exit", () => clearInterval(timer))
      }
    })
    expect(killed.code).toBeNull()
    const [before] = await stored("dir:killed")
    expect(before).toMatchObject({ closed: false })
    const shipped = await run("timeline", "ship", "killed.timeline", "--to", "dir:killed")
    expect(shipped.code).toBe(0)
    const [after] = await stored("dir:killed")
    expect(after?.segments).toBeGreaterThanOrEqual(before?.segments ?? 0)
    const verdict = await run("timeline", "verify", "killed.timeline", "--json")
    const [, offset = ""] = /truncated at byte (\d+)/u.exec(verdict.stdout) ?? []
    const fetched = await run(
      "timeline",
      "fetch",
      after?.session_id ?? "",
      "--from",
      "dir:killed",
      "--to",
      "k.timeline"
    )
    expect(fetched.code).toBe(3)
    expect(bytes("k.timeline").equals(bytes("killed.timeline").subarray(0, Number(offset)))).toBe(true)
    expect((await run("replay", "k.timeline")).code).toBe((await run("replay", "killed.timeline")).code)
  }, minute)
})

describe("rspp timeline delete and sweep --store", () => {
  it("take what was said out of a store, and recordings that are past their time; the rest replays", async () => {
    const spec =
      "schema_version: v1.0\npipeline_id: assistant\npipeline_version: assistant/2\nrecording_policy: { recording_level: L2 }\n"
    writeFileSync(join(cwd, "L2.yaml"), spec)
    const call = ["run", "--speed", "max", "--input", recording("goforward"), "--pipeline", "L2.yaml", "--json"]
    for (const store of ["dir:said", "sqlite:said.sqlite"]) {
      const where = ["--store", store]
      const audit = ["--audit", `${store.slice(0, 3)}.jsonl`]
      expect((await run(...call, ...where, "--session", "said")).code).toBe(0)
      const unnamed = await run("timeline", "delete", "said", ...where, "--mode", "hard_delete")
      expect([unnamed.code, unnamed.stderr]).toEqual([2, expect.stringContaining("Add --audit LOG")])
      const nobody = await run("timeline", "delete", "other", ...where, ...audit, "--mode", "hard_delete")
      expect([nobody.code, nobody.stderr]).toEqual([
        3,
        expect.stringContaining("there is no recording of session other")
      ])
      const file = `${store.slice(0, 3)}.timeline`
      expect((await run("timeline", "fetch", "said", "--from", store, "--to", `before-${file}`)).code).toBe(0)
      expect((await run("timeline", "show", `before-${file}`)).stdout).toMatch(/Go forward/u)
      const deleted = await run("timeline", "delete", "said", ...where, ...audit, "--mode", "hard_delete")
      expect([deleted.code, deleted.stderr]).toEqual([0, ""])
      expect(deleted.stdout).toMatch(/^session said in (?:dir|sqlite):said\S*: .*text_raw.* removed/u)
      expect((await run("timeline", "fetch", "said", "--from", store, "--to", file)).code).toBe(0)
      expect((await run("timeline", "show", file)).stdout).not.toMatch(/Go forward/u)
      expect((await run("timeline", "verify", file)).code).toBe(0)
      expect((await run("replay", file)).code).toBe(0)
      const retention = { schema_version: "v1.0", retention: [{ tenant_id: "*", recording_days: 30 }] }
      writeFileSync(join(cwd, "retention.json"), JSON.stringify(retention))
      const sweep = ["timeline", "sweep", ...where, ...audit, "--policy", "retention.json", "--now", "2999-01-01"]
      const dry = await run(...sweep, "--dry-run")
      expect([dry.code, dry.stdout]).toEqual([0, expect.stringContaining("session said: would be removed as a whole")])
      const swept = await run(...sweep)
      expect([swept.code, swept.stdout]).toEqual([0, expect.stringContaining("1 recordings: 0 stripped, 1 removed")])
      expect(await stored(store)).toEqual([])
      const verdict = await run("timeline", "audit", "verify", audit[1] ?? "")
      expect([verdict.code, verdict.stdout]).toEqual([0, expect.stringMatching(/: ok, 4 entries/u)])
    }
    const both = await run("timeline", "sweep", "said", "--store", "dir:said", "--policy", "retention.json")
    const neither = await run("timeline", "sweep", "--policy", "retention.json")
    expect([both.code, neither.code]).toEqual([2, 2])
  }, 2 * minute)
})

describe("rspp timeline ship, stored, fetch", () => {
  beforeAll(async () => {
    for (const seed of [17, 18]) {
      const ended = await run("sim", "--seed", String(seed), "--out", `seed-${seed}.timeline`)
      expect(ended.code).toBe(0)
    }
  }, minute)

  it("put recordings into SQLite, list them and give them back", async () => {
    const first = await run("timeline", "ship", "seed-17.timeline", "seed-18.timeline", "--to", "sqlite:calls.sqlite")
    expect([first.code, first.stdout.match(/: stored, /gu)?.length]).toEqual([0, 2])
    const again = await run("timeline", "ship", "seed-17.timeline", "--to", "sqlite:calls.sqlite")
    expect(again.code).toBe(0)
    const lines = await stored("sqlite:calls.sqlite")
    expect(lines.length).toBe(2)
    for (const [i, { session_id }] of lines.entries()) {
      const fetched = await run("timeline", "fetch", session_id, "--from", "sqlite:calls.sqlite", "--to", `seed-${i}`)
      expect(fetched.code).toBe(0)
    }
    const back = [bytes("seed-0"), bytes("seed-1")]
    for (const seed of [17, 18]) expect(back.some((_) => _.equals(bytes(`seed-${seed}.timeline`)))).toBe(true)
  }, minute)

  it("say what is wrong, with an exit code", async () => {
    await run("timeline", "ship", "seed-17.timeline", "--to", "dir:errors")
    const [{ session_id } = { session_id: "" }] = await stored("dir:errors")
    const [segment = ""] = readdirSync(join(cwd, "errors"), { recursive: true, encoding: "utf8" }).filter((file) =>
      file.endsWith("00000000.segment")
    )
    const fetch = (session: string, from: string, to: string) =>
      run("timeline", "fetch", session, "--from", from, "--to", to)
    const missing = await fetch("nobody", "dir:errors", "e1")
    expect([missing.code, missing.stderr]).toEqual([
      3,
      expect.stringContaining("there is no recording of session nobody")
    ])
    const there = await fetch(session_id, "dir:errors", "seed-17.timeline")
    expect([there.code, there.stderr]).toEqual([3, expect.stringContaining("never overwritten")])
    const nowhere = await fetch(session_id, "dir:nothing", "e1")
    expect([nowhere.code, nowhere.stderr]).toEqual([3, expect.stringContaining("there is no store at nothing")])
    const away = await run("timeline", "stored", "--from", nobody)
    expect([away.code, away.stderr]).toEqual([69, expect.stringContaining("it cannot be reached")])
    expect(away.stderr).not.toContain("sesame")
    const noFile = await run("timeline", "ship", "nothing.timeline", "--to", "dir:errors")
    expect([noFile.code, noFile.stderr]).toEqual([3, expect.stringContaining("there is no such file")])
    // A byte changed behind the store's back, the last of the first segment.
    const path = join("errors", segment)
    const changed = bytes(path)
    changed[changed.length - 1] = 255 - (changed.at(-1) ?? 0)
    writeFileSync(join(cwd, path), changed)
    const damaged = await fetch(session_id, "dir:errors", "e2")
    expect([damaged.code, damaged.stderr]).toEqual([3, expect.stringContaining("was changed")])
    expect(readdirSync(cwd).filter((name) => name.startsWith("e2"))).toEqual([])
    // Its only segment is gone: the store has nothing of it any more.
    rmSync(join(cwd, path))
    const hole = await run("timeline", "stored", "--from", "dir:errors")
    expect([hole.code, hole.stdout]).toEqual([0, expect.not.stringContaining(session_id)])
  }, minute)
})
