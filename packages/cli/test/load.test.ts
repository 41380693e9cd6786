import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { Ended } from "./support/Program.ts"
import { rspp, runAll } from "./support/Program.ts"

// Each run is the real program, holding sessions for a few seconds of real time. What a loaded machine makes of latencies is
// not what is tested: gates about them may pass or fail, and the exit code says which.
const cwd = mkdtempSync(join(tmpdir(), "rspp-load-"))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))

interface Gate {
  readonly gate: string
  readonly verdict: string
  readonly samples: number
}

interface Report {
  readonly verdict: string
  readonly faults: ReadonlyArray<string>
  readonly interrupted: boolean
  readonly sessions: Readonly<Record<string, number>>
  readonly turns: { readonly opened: number; readonly committed: number }
  readonly process: {
    readonly loop_delay_ms: { readonly p50: number; readonly p99: number }
    readonly cpu_cores: number
  }
  readonly slo: { readonly gates: ReadonlyArray<Gate>; readonly timelines: number }
}

const reportOf = ({ stdout }: Ended): Report => JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Report

/** A load that would take minutes, stopped as soon as its sessions are recorded. */
const interrupted = () =>
  rspp(["load", "--sessions", "2", "--minutes", "5", "--ramp-ms", "0", "--timelines", "stopped", "--json"], {
    cwd,
    started: (child) => {
      const look = setInterval(() => {
        const directory = join(cwd, "stopped")
        if (!existsSync(directory) || readdirSync(directory).filter((name) => name.endsWith(".timeline")).length < 2) {
          return
        }
        clearInterval(look)
        child.kill("SIGINT")
      }, 50)
      child.once("exit", () => clearInterval(look))
    }
  })

/** A load that is asked for its metrics while it runs. */
const watched = async () => {
  let metrics: Promise<string> | undefined
  const ended = await rspp(
    ["load", "--sessions", "3", "--minutes", "0.05", "--timelines", "kept/calls", "--metrics", "127.0.0.1:0", "--json"],
    {
      cwd,
      started: (child) => {
        child.stderr?.on("data", (text: string) => {
          const url = /metrics at (\S+)/u.exec(text)?.[1]
          if (url !== undefined) metrics ??= fetch(url).then((answer) => answer.text())
        })
      }
    }
  )
  return { ...ended, stderr: `${ended.stderr}${await metrics}` }
}

const run = (...args: ReadonlyArray<string>) => () => rspp(["load", ...args], { cwd })

describe("rspp load", () => {
  const runs = {
    held: watched,
    slow: run("--sessions", "2", "--minutes", "0.01", "--model-ms", "1800"),
    interrupted,
    none: run("--sessions", "0"),
    ramp: run("--minutes", "0.1", "--ramp-ms", "7000"),
    both: run("--pipeline", "a.yaml", "--model-ms", "5")
  }
  let ended: Record<keyof typeof runs, Ended>
  let judged: Ended
  beforeAll(async () => {
    ended = await runAll(runs)
    judged = await rspp(["slo", "report", "kept/calls", "--json"], { cwd })
  }, 240_000)

  it("holds sessions at one time, and says what they came to", () => {
    const { process, sessions, turns, ...report } = reportOf(ended.held)
    expect(sessions).toEqual({ wanted: 3, held: 3, started: 3, ended: 3, failed: 0 })
    expect(turns.committed).toBeGreaterThanOrEqual(3)
    expect(process.loop_delay_ms.p99).toBeGreaterThanOrEqual(process.loop_delay_ms.p50)
    expect(process.cpu_cores).toBeGreaterThan(0)
    expect(report.interrupted).toBe(false)
    expect(ended.held.code).toBe(report.verdict === "pass" ? 0 : 1)
  })

  it("computes the gates from the recordings, as rspp slo report does", () => {
    const { slo } = reportOf(ended.held)
    expect(slo.timelines).toBe(3)
    const again = JSON.parse(judged.stdout) as Report["slo"]
    expect(slo.gates.map(({ gate, samples, verdict }) => [gate, samples, verdict])).toEqual(
      again.gates.map(({ gate, samples, verdict }) => [gate, samples, verdict])
    )
    const verdicts = Object.fromEntries(slo.gates.map(({ gate, verdict }) => [gate, verdict]))
    expect(verdicts).toMatchObject({
      stale_epoch_outputs_accepted: "pass",
      evidence_complete: "pass",
      exactly_one_terminal: "pass"
    })
    expect(readdirSync(join(cwd, "kept/calls"))).toHaveLength(3)
  })

  it("shows its metrics while it runs", () => {
    expect(ended.held.stderr).toMatch(/^# TYPE rspp_sessions_open gauge$/mu)
  })

  it("is red when a provider is too slow for a gate", () => {
    expect(ended.slow.stdout).toMatch(/^first_output_ms +FAIL /mu)
    expect(ended.slow.stdout).toContain("the gate first_output_ms fails")
    expect(ended.slow.code).toBe(1)
  })

  it("ends cleanly when it is interrupted, with a report of what ran", () => {
    const { interrupted: was, sessions, slo } = reportOf(ended.interrupted)
    expect([was, sessions["started"], sessions["ended"], slo.timelines]).toEqual([true, 2, 2, 2])
    expect(ended.interrupted.code).toBe(130)
    expect(ended.interrupted.stderr).not.toContain("fault")
  })

  it.each<[keyof typeof runs, string]>([
    ["none", "--sessions 0 is no load"],
    ["ramp", "--ramp-ms 7000 does not fit"],
    ["both", "--model-ms is of the scripted providers"]
  ])("refuses what makes no sense (%s)", (name, told) => {
    expect(ended[name].stderr).toContain(told)
    expect(ended[name].code).toBe(2)
  })
})
