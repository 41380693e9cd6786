import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { plantedCopy } from "./support/Copy.ts"
import type { Ended } from "./support/Program.ts"
import { rspp, runAll } from "./support/Program.ts"

// Each run is the real program in a process of its own.
const cwd = mkdtempSync(join(tmpdir(), "rspp-sim-"))
const run = (...args: ReadonlyArray<string>) => () => rspp(["sim", ...args], { cwd })
const minutes = 240_000

afterAll(() => rmSync(cwd, { recursive: true, force: true }))

describe("rspp sim", () => {
  const runs = {
    many: run("--first", "5", "--seeds", "6", "--meta", "2"),
    json: run("--seeds", "4", "--meta", "0", "--jobs", "1", "--kinds", "media.*,provider.stall", "--json"),
    demanding: run("--seeds", "1", "--meta", "0", "--require-all"),
    timed: run("--seconds", "0.001", "--meta", "0", "--json"),
    one: run("--seed", "7", "--turns", "1", "--out", "one.timeline"),
    again: run("--seed", "7", "--turns", "1", "--out", "taken.timeline"),
    shrink: run("shrink", "--seed", "7"),
    meta: run("meta", "--seeds", "2", "--node", process.execPath),
    help: run("--help"),
    shrinkHelp: run("shrink", "--help"),
    metaHelp: run("meta", "--help")
  }
  let ended: Record<keyof typeof runs, Ended>
  beforeAll(async () => {
    writeFileSync(join(cwd, "taken.timeline"), "do not lose me")
    ended = await runAll(runs)
  }, minutes)

  it("runs many seeds, compares some of them first, and says what happened", () => {
    const { code, stdout } = ended.many
    expect(stdout).toMatch(/^6 seeds from 5 on: .* of calls in .*, \d+ × real time on \d+ process/mu)
    expect(stdout).toContain("same bytes twice in one process and in a second one: 2 of 2 seeds")
    expect(stdout).toMatch(/^faults that struck: \d+ kinds$/mu)
    expect(stdout).toMatch(/^sometimes list: \d+ of \d+ happened; the first seed of each$/mu)
    expect(stdout).toMatch(/ row\.T1 [5-9] /u)
    expect(stdout).toMatch(/^never happened: \d+; more seeds find more$/mu)
    expect(stdout).toContain("every rule held in every seed")
    expect(code).toBe(0)
  })

  it("says for machines what it says for people, and what was not run", () => {
    const summary = JSON.parse(ended.json.stdout) as {
      readonly seeds: number
      readonly compared: number
      readonly commit: string
      readonly simulated_ms: number
      readonly faults: Readonly<Record<string, number>>
      readonly failures: ReadonlyArray<unknown>
    }
    expect(summary).toMatchObject({ seeds: 4, compared: 0, interrupted: false, failures: [] })
    expect(summary.simulated_ms).toBeGreaterThan(0)
    expect(summary.commit).not.toBe("")
    for (const kind of Object.keys(summary.faults)) expect(kind).toMatch(/^media\.|^provider\.stall$/u)
  })

  it("exits 1 when all of the sometimes list is demanded and did not happen", () => {
    expect(ended.demanding.stdout).toContain("every rule held")
    expect(ended.demanding.stderr).toMatch(/--require-all: \d+ of the sometimes list never happened/u)
    expect(ended.demanding.code).toBe(1)
  })

  it("runs one seed at least, however little time there is", () => {
    expect((JSON.parse(ended.timed.stdout) as { readonly seeds: number }).seeds).toBeGreaterThanOrEqual(1)
  })

  it("shows one seed line by line, and writes a timeline that the other commands read", async () => {
    const { code, stdout } = ended.one
    expect(stdout).toMatch(/^00:00\.000 {2}→ session_started/u)
    expect(stdout).toMatch(/^seed 7: every rule held; [\d.]+ s of call in /mu)
    expect(stdout).not.toContain("\u0004")
    expect(code).toBe(0)
    const [verify, replay] = await Promise.all([
      rspp(["timeline", "verify", "one.timeline"], { cwd }),
      rspp(["replay", "one.timeline"], { cwd })
    ])
    expect(verify).toMatchObject({ code: 0, stderr: "" })
    expect(replay.stdout).toContain("identical")
  }, minutes)

  it("never writes over a file", () => {
    expect(ended.again.code).toBe(3)
    expect(ended.again.stderr).toContain("taken.timeline exists already")
  })

  it("has nothing to shrink where every rule holds", () => {
    expect(ended.shrink).toMatchObject({ code: 0, stdout: "seed 7 breaks no rule: there is nothing to shrink\n" })
  })

  it("compares with a second process on another Node", () => {
    const version = process.versions.node
    expect(ended.meta.stdout).toContain(
      `2 of 2 seeds from 1 on are the same, byte for byte: twice on Node ${version}, and in a second process on Node ${version}`
    )
    expect(ended.meta.stdout).toMatch(/sha256 of their bytes [0-9a-f]{64}/u)
    expect(ended.meta.code).toBe(0)
  })

  it("explains itself", () => {
    for (const flag of ["--seeds", "--seed ", "--seconds", "--jobs", "--kinds", "--require-all", "--json", "shrink"]) {
      expect(ended.help.stdout).toContain(flag)
    }
    expect(ended.shrinkHelp.stdout).toContain("--keep-episodes")
    expect(ended.metaHelp.stdout).toContain("--node")
  })
})

describe("rspp sim, asked for what it cannot do", () => {
  const runs = {
    count: run("--seeds", "0"),
    fraction: run("--seeds", "1.5"),
    negative: run("--seed", "-1"),
    tooLarge: run("--first", "4294967295", "--seeds", "2"),
    both: run("--seed", "3", "--seeds", "4"),
    kind: run("--kinds", "media.los"),
    places: run("--seed", "3", "--keep-actions", "first"),
    jobs: run("--jobs", "0"),
    seconds: run("--seconds", "0"),
    limit: run("--seed-limit", "-1"),
    out: run("--seeds", "2", "--out", "x.timeline"),
    require: run("--seed", "2", "--require-all"),
    noSeed: run("shrink"),
    noNode: run("meta", "--node", join(tmpdir(), "no-such-node")),
    noDirectory: run("--seed", "2", "--out", "nowhere/x.timeline")
  }
  let ended: Record<keyof typeof runs, Ended>
  beforeAll(async () => {
    ended = await runAll(runs)
  }, minutes)

  it.each(
    [
      ["count", 2, "--seeds must be a whole number from 1 to 4294967295, not 0"],
      ["fraction", 2, `"1.5"`],
      ["negative", 2, "--seed"],
      ["tooLarge", 2, "--seeds must be a whole number from 1 to 1, not 2"],
      ["both", 2, "--seed runs one seed: --seeds does not go with it"],
      ["kind", 2, `there is no kind of fault "media.los"`],
      ["places", 2, "--keep-actions takes places such as 0,3"],
      ["jobs", 2, "--jobs must be a whole number from 1 to 256, not 0"],
      ["seconds", 2, "--seconds must be a number of seconds above 0"],
      ["limit", 2, "--seed-limit must be a number of seconds above 0"],
      ["out", 2, "--out writes the timeline of one seed"],
      ["require", 2, "--require-all is about many seeds"],
      ["noSeed", 2, "--seed"],
      ["noNode", 69, "no-such-node cannot run seeds: "],
      ["noDirectory", 3, "there is no directory nowhere"]
    ] as const
  )("%s: exit %i, and says what is wrong", (name, code, message) => {
    expect(ended[name].stderr).toContain(message)
    expect(ended[name].stderr).not.toMatch(/\n\s+at .*\.ts:\d+/u)
    expect(ended[name].code).toBe(code)
    expect(ended[name].stdout).toBe("")
  })
})

describe("rspp sim on a kernel with a planted defect", () => {
  const lifecycle = "packages/runtime/src/turn/TurnLifecycle.ts"
  const asking = `    this.#parts.context.command({ type: "append_evidence", turn_id: turn.turnId })\n`
  const opening = `    this.#transition(turnId, "turn_open_proposed")\n`
  const planted = (name: string, find: string, put: string, file = lifecycle) => {
    const bin = plantedCopy(join(cwd, name), { file, find, put })
    return (...args: ReadonlyArray<string>) => rspp(["sim", ...args], { cwd, bin })
  }

  it("exits 1 with the rule, its place, and a command that repeats it; the shrunk one repeats it too", async () => {
    const sim = planted("hasty", asking, `${asking}    this.#terminal(turn, "commit")\n`)
    const many = await sim("--seeds", "3", "--meta", "0")
    expect(many.code).toBe(1)
    const rule = /^seed \d+ breaks (C\d+)/mu.exec(many.stdout)?.[1] ?? "none"
    expect(rule).not.toBe("none")
    expect(many.stdout).toMatch(new RegExp(`^  ${rule}  [A-Z].*\\.$`, "mu"))
    expect(many.stdout).toMatch(/^ +place +record \d+ of \d+, sequence \d+, turn_\d+, at \d\d:\d\d\.\d{3}$/mu)
    expect(many.stdout).toMatch(/^ +> \d\d:\d\d\.\d{3} +\d+ +\S+ +turn_\d+ +\S/mu)
    expect(many.stdout).toMatch(/^ +record +\{.*"record":"/mu)
    expect(many.stdout).toMatch(/^ +options +none: everything is drawn from the seed$/mu)
    expect(many.stdout).toMatch(/^ +commit +version \d/mu)
    const repeat = /^ +repeat +npx rspp sim (.*)$/mu.exec(many.stdout)?.[1]?.split(" ") ?? []
    expect(repeat[0]).toBe("--seed")
    const one = await sim(...repeat)
    expect(one.code).toBe(1)
    expect(one.stdout).toContain(`seed ${repeat[1]} breaks`)
    const shrunk = await sim("shrink", ...repeat)
    expect(shrunk.code).toBe(1)
    const small = /^ +repeat +npx rspp sim (.*)$/mu.exec(shrunk.stdout)?.[1]?.split(" ") ?? []
    expect(small.slice(0, 2)).toEqual(["--seed", repeat[1]])
    expect(small).toContain("--keep-actions")
    const again = await sim(...small, "--json")
    expect(again.code).toBe(1)
    const { repeat: said, violations } = JSON.parse(again.stdout) as {
      readonly repeat: string
      readonly violations: ReadonlyArray<{ readonly rule: string; readonly record?: number; readonly shown?: string }>
    }
    expect(said).toBe(`npx rspp sim ${small.join(" ")}`)
    expect(violations.map((violation) => violation.rule)).toContain(rule)
    expect(violations.find((violation) => violation.rule === rule)).toMatchObject({ record: expect.any(Number) })
  }, minutes)

  it("does not hang on a seed that never ends: it is reported as a failure, and the others go on", async () => {
    const sim = planted("hangs", opening, `    if (turnId === "turn_2") for (;;) {}\n${opening}`)
    const { code, stdout } = await sim("--seeds", "3", "--meta", "0", "--seed-limit", "5", "--turns", "2", "--json")
    expect(code).toBe(1)
    const { failures, seeds } = JSON.parse(stdout) as {
      readonly seeds: number
      readonly failures: ReadonlyArray<{ readonly violations: ReadonlyArray<{ readonly message: string }> }>
    }
    expect(seeds).toBe(3)
    expect(failures.length).toBeGreaterThan(0)
    for (const { violations } of failures) {
      expect(violations).toMatchObject([{ rule: "W02", message: "did not end within 5 s" }])
    }
  }, minutes)

  it("checks nothing else when the same seed is not the same run", async () => {
    const sim = planted(
      "differs",
      "  const streams = new RandomStreams(seed)\n",
      "  const streams = new RandomStreams(seed + process.pid)\n",
      "packages/simulation/src/Run.ts"
    )
    const [meta, many] = await Promise.all([sim("meta", "--seeds", "2"), sim("--seeds", "5", "--meta", "1")])
    expect(meta.code).toBe(1)
    expect(meta.stdout).toContain("seed 1 does not give the same bytes in a second process")
    expect(meta.stdout).toMatch(/^ +repeat +npx rspp sim meta --first 1 --seeds 1$/mu)
    expect(meta.stdout).toContain("0 of 2 seeds from 1 on are the same")
    expect(many.code).toBe(1)
    expect(many.stdout).toContain("Nothing else was checked")
    expect(many.stdout).not.toContain("every rule held")
  }, minutes)

  it("ends its processes when it is stopped, and shows what was done so far", async () => {
    const bin = plantedCopy(join(cwd, "stopped"), { file: lifecycle, find: opening, put: opening })
    let timer: NodeJS.Timeout | undefined
    const stopped = rspp(["sim", "--seeds", "1000000", "--meta", "0"], {
      cwd,
      bin,
      started: (child) => {
        timer = setInterval(() => {
          if (workersOf(cwd).length === 0) return
          clearInterval(timer)
          setTimeout(() => child.kill("SIGINT"), 3000)
        }, 200)
      }
    })
    const { code, stdout } = await stopped
    expect(code).toBe(130)
    expect(stdout).toMatch(/^interrupted, so far \d+ seeds from 1 on/mu)
    expect(workersOf(cwd)).toEqual([])
  }, minutes)
})

/** Processes that run seeds of the copies in a directory. */
const workersOf = (directory: string): ReadonlyArray<string> =>
  spawnSync("ps", ["-A", "-o", "args="], { encoding: "utf8" }).stdout.split("\n").filter((line) =>
    line.includes(directory) && line.includes("seed.worker.ts")
  )
