import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { Ended } from "./support/Program.ts"
import { recording, rspp, runAll } from "./support/Program.ts"

const cwd = mkdtempSync(join(tmpdir(), "rspp-interrupt-"))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))

/** Calls that may fail to get to the agent's speech: at real time, on a machine that has no time for them. */
const attempts = 3

/** Runs the program and sends it a signal as soon as the agent is heard. */
const stopped = async (signal: NodeJS.Signals, args: ReadonlyArray<string>, timeline: string): Promise<Ended> => {
  for (let attempt = 1;; attempt++) {
    let sent = false
    const ended = await rspp(args, {
      cwd,
      watch: (stdout, child) => {
        if (sent || !/ agent {2}"/u.test(stdout)) return
        sent = true
        child.kill(signal)
      }
    })
    if (sent || attempt === attempts) return ended
    rmSync(join(cwd, timeline), { force: true })
  }
}

/** Seconds of audio that the header of a WAV promises; all of it must be there. */
const seconds = (name: string, channels: number): number => {
  const bytes = readFileSync(join(cwd, name))
  expect(bytes.readUInt32LE(40)).toBe(bytes.length - 44)
  expect(bytes.readUInt16LE(22)).toBe(channels)
  return (bytes.length - 44) / (32_000 * channels)
}

describe("a signal in the middle of the agent's speech", () => {
  const call = (name: string) => [
    "run",
    "--input",
    recording("goforward"),
    "--output",
    `${name}.wav`,
    "--stereo",
    `${name}-stereo.wav`,
    "--timeline",
    `${name}.timeline`
  ]
  const names = ["int", "term", "hup", "max"] as const
  let ended: Record<typeof names[number], Ended>
  let after: { readonly verify: Ended; readonly replay: Ended; readonly show: Ended }

  beforeAll(async () => {
    // One after the other: calls at real time need the machine to themselves.
    ended = {
      int: await stopped("SIGINT", call("int"), "int.timeline"),
      term: await stopped("SIGTERM", call("term"), "term.timeline"),
      hup: await stopped("SIGHUP", call("hup"), "hup.timeline"),
      max: await stopped("SIGINT", ["demo", "--speed", "max", "--out", "demo"], join("demo", "call.timeline"))
    }
    const timelines = ["int.timeline", "term.timeline", "hup.timeline", join("demo", "call.timeline")]
    after = await runAll({
      verify: () => rspp(["timeline", "verify", "--json", ...timelines], { cwd }),
      replay: () => rspp(["replay", "--json", ...timelines], { cwd }),
      show: () => rspp(["timeline", "show", "int.timeline"], { cwd })
    })
  }, 120_000)

  it.each(names)("%s: exits 130 and says so", (name) => {
    expect(ended[name].code).toBe(130)
    expect(ended[name].stderr).toContain("Interrupted")
    expect(ended[name].stderr).not.toContain("fault")
  })

  it("leaves WAV files that are valid and hold the call up to there", () => {
    for (const name of ["int", "term", "hup"]) {
      const both = seconds(`${name}-stereo.wav`, 2)
      expect(seconds(`${name}.wav`, 1)).toBe(both)
      expect(both).toBeGreaterThan(2)
    }
    expect(seconds(join("demo", "stereo.wav"), 2)).toBeGreaterThan(2)
  })

  it("leaves timelines that are whole, with complete evidence of the turn that was open", () => {
    expect(after.verify.code).toBe(0)
    for (const line of after.verify.stdout.trim().split("\n")) {
      expect(JSON.parse(line)).toMatchObject({ ok: true, turns: [{ complete: true }] })
    }
    expect(after.show.stdout).toMatch(/abort cancelled/u)
    expect(after.show.stdout).toMatch(/interrupted, \d+ records\n$/u)
  })

  it("leaves timelines that replay identically", () => {
    expect(after.replay.code).toBe(0)
    for (const line of after.replay.stdout.trim().split("\n")) {
      expect(JSON.parse(line)).toMatchObject({ identical: true, complete: true, turns: 1 })
    }
  })
})

describe("a timeline that is not whole", () => {
  const run = (...args: ReadonlyArray<string>) => () => rspp(args, { cwd })
  const runs = {
    missing: run("replay", "missing.timeline"),
    empty: run("replay", "empty.timeline"),
    other: run("timeline", "show", "other.timeline"),
    version: run("replay", "version.timeline"),
    cutShow: run("timeline", "show", "cut.timeline"),
    cutReplay: run("replay", "cut.timeline"),
    cutExport: run("timeline", "export", "cut.timeline", "--format", "jsonl"),
    changed: run("replay", "changed.timeline", "int.timeline"),
    what: run("replay", "int.timeline", "--set", "endpointing.min_ms=200"),
    wrong: run("replay", "int.timeline", "--set", "endpointing.min=200"),
    turn: run("timeline", "show", "int.timeline", "--turn", "7")
  }
  let ended: Record<keyof typeof runs, Ended>
  let lines: ReadonlyArray<string>

  beforeAll(async () => {
    const bytes = readFileSync(join(cwd, "int.timeline"))
    writeFileSync(join(cwd, "empty.timeline"), "")
    writeFileSync(join(cwd, "other.timeline"), "RIFF, or something else")
    writeFileSync(join(cwd, "version.timeline"), Buffer.concat([Buffer.from("rspp-timeline 3\n"), bytes.subarray(16)]))
    writeFileSync(join(cwd, "cut.timeline"), bytes.subarray(0, bytes.length >> 1))
    const changed = Buffer.from(bytes)
    const middle = bytes.length >> 1
    changed[middle] = (changed[middle] ?? 0) ^ 1
    writeFileSync(join(cwd, "changed.timeline"), changed)
    ended = await runAll(runs)
    const whole = await rspp(["timeline", "export", "int.timeline", "--format", "jsonl"], { cwd })
    lines = whole.stdout.trim().split("\n")
  }, 120_000)

  it.each(
    [
      ["missing", 3, "missing.timeline: there is no such file"],
      ["empty", 3, "empty.timeline: the file is empty"],
      ["other", 3, "other.timeline: not a timeline"],
      ["version", 3, "a timeline of version 3; this program reads version 1, 2"],
      ["wrong", 2, "there is no setting endpointing.min"],
      ["turn", 3, "has no turn turn_7"]
    ] as const
  )("%s: exit %i, and says what is wrong", (name, code, message) => {
    expect(ended[name].stderr).toContain(message)
    expect(ended[name].code).toBe(code)
  })

  it("reads everything before the tear, and says where it is", () => {
    expect(ended.cutShow.code).toBe(3)
    expect(ended.cutShow.stderr).toMatch(/cut\.timeline is cut off at byte \d+: the \d+ records before it were read/u)
    expect(ended.cutExport.code).toBe(3)
    const read = ended.cutExport.stdout.trim().split("\n")
    expect(read.length).toBeGreaterThan(10)
    expect(read).toEqual(lines.slice(0, read.length))
  })

  it("replays a cut timeline up to the cut", () => {
    expect(ended.cutReplay.code).toBe(3)
    expect(ended.cutReplay.stdout).toMatch(/identical, \d+ records, .*\n {2}it is cut off at byte \d+/u)
  })

  it("says that one byte was changed, and still replays the other file", () => {
    expect(ended.changed.code).toBe(3)
    expect(ended.changed.stdout).toMatch(/changed\.timeline: damaged .*\n.*\n {2}the file was changed at byte \d+/u)
    expect(ended.changed.stdout).toMatch(/int\.timeline: identical/u)
  })

  it("names the first divergence, its class and both sides under another endpointing setting", () => {
    expect(ended.what.code).toBe(1)
    expect(ended.what.stdout).toMatch(
      / {2}(?:TIMING|OUTCOME|ORDERING)_DIVERGENCE \(.*\) at \d+\.\d{3} s, record number \d+/u
    )
    expect(ended.what.stdout).toMatch(/\n {2}recorded {2}.*\n {2}replayed {2}/u)
  })
})
