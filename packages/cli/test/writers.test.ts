// Two programs at one file: the second is refused with a sentence, and the first loses nothing.
import { afterAll, describe, expect, it } from "vitest"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { ChildProcess } from "node:child_process"
import type { Ended } from "./support/Program.ts"
import { recording, rspp } from "./support/Program.ts"

const cwd = mkdtempSync(join(tmpdir(), "rspp-cli-writers-"))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))
const minute = 120_000
const run = (...args: ReadonlyArray<string>) => rspp(args, { cwd })
const call = (timeline: string, speed: "real" | "max", started?: (child: ChildProcess) => void): Promise<Ended> =>
  rspp(["run", "--speed", speed, "--input", recording("librivox-0870"), "--timeline", timeline], {
    cwd,
    ...(started === undefined ? {} : { started })
  })

const until = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 20))
}

/** A call that goes on; `end` ends it with this signal. */
const live = async (timeline: string) => {
  let process: ChildProcess | undefined
  const ended = call(timeline, "real", (child) => {
    process = child
  })
  await until(() => existsSync(join(cwd, timeline)) && readFileSync(join(cwd, timeline)).length > 4096)
  return {
    pid: process?.pid,
    end: (signal: "SIGINT" | "SIGKILL") => {
      process?.kill(signal)
      return ended
    }
  }
}

describe("one file and two programs", () => {
  const twin = () => run("run", "--speed", "max", "--input", recording("goforward"), "--timeline", "same.timeline")

  it("rspp run and rspp run: one call is recorded, whole, and the other is not begun", async () => {
    const both = await Promise.all([twin(), twin()])
    expect(both.filter(({ code }) => code === 0)).toHaveLength(1)
    const refused = both.find(({ code }) => code !== 0)
    expect([3, 69]).toContain(refused?.code)
    expect(refused?.stderr).toMatch(
      /same\.timeline(?: is being written by process \d+|: a recording of this name exists already| exists already)/u
    )
    expect((await run("timeline", "verify", "same.timeline")).code).toBe(0)
    expect((await run("replay", "same.timeline")).code).toBe(0)
    expect(existsSync(join(cwd, "same.timeline.lock"))).toBe(false)
  }, minute)

  it("rspp run and repair, delete, sweep or another run: refused while the call goes on", async () => {
    mkdirSync(join(cwd, "calls"))
    const retention = { schema_version: "v1.0", retention: [{ tenant_id: "*", recording_days: 0 }] }
    writeFileSync(join(cwd, "retention.json"), JSON.stringify(retention))
    const going = await live("calls/live.timeline")
    const file = "calls/live.timeline"
    const commands = [
      ["timeline", "repair", file],
      ["timeline", "delete", file, "--mode", "hard_delete"],
      ["timeline", "sweep", "calls", "--policy", "retention.json", "--now", "2999-01-01"],
      ["run", "--speed", "max", "--input", recording("goforward"), "--timeline", file]
    ]
    const refused = await Promise.all(commands.map((args) => run(...args)))
    const { code } = await going.end("SIGINT")
    for (const { code, stderr, stdout } of refused) {
      expect(stdout + stderr).toContain(`${file} is being written by process ${going.pid}`)
      expect(code).toBe(3)
    }
    expect(code).toBe(130)
    expect(existsSync(join(cwd, "calls/live.repaired.timeline"))).toBe(false)
    expect((await run("timeline", "verify", file)).code).toBe(0)
    expect((await run("replay", file)).code).toBe(0)
    expect((await run("timeline", "delete", file, "--mode", "hard_delete")).code).toBe(0)
  }, minute)

  it("a call that was killed with -9 holds nobody up", async () => {
    const going = await live("killed.timeline")
    expect((await going.end("SIGKILL")).code).toBeNull()
    expect(existsSync(join(cwd, "killed.timeline.lock"))).toBe(true)
    const repaired = await run("timeline", "repair", "killed.timeline")
    expect([repaired.code, repaired.stderr]).toEqual([0, ""])
    expect((await run("replay", "killed.repaired.timeline")).code).toBe(0)
    const again = await run("timeline", "repair", "killed.timeline", "--to", "again.timeline")
    expect(again.code).toBe(0)
    const other = await call("killed.timeline", "max")
    expect(other.code).toBe(3)
    expect(other.stderr).toContain("exists already, and a timeline is never overwritten")
  }, minute)
})
