// The simulation gate, with defects in a copy of the kernel: one that breaks a rule, and one that is not the same run twice.
import { afterAll, describe, expect, it } from "vitest"
import { checkSimulation, type SeedPlan } from "../../scripts/verify/SimulationGate.ts"
import { quiet, temporary } from "./support/Directories.ts"
import { RepositoryCopy, root } from "./support/RepositoryCopy.ts"

const copy = new RepositoryCopy()
afterAll(() => copy.remove())

const plan: SeedPlan = { seeds: 2, atLeast: 2, requireAll: false, compared: 1, limitMs: 100_000 }
const sequence = {
  file: "packages/runtime/src/kernel/KernelContext.ts",
  find: "      runtime_sequence: this.takeSequence(),"
}

describe("the simulation gate", () => {
  it("passes seeds that break no rule", async () => {
    const result = await checkSimulation({ root, ...quiet }, plan)
    expect(result).toMatchObject({ verdict: "pass", findings: [], detail: { seeds: 2, compared: 1 } })
  }, 120_000)

  it("fails at a seed that breaks a rule, and names it with the command that repeats it", async () => {
    const repeated = "      runtime_sequence: this.nextSequence,"
    copy.plant("repeats", { ...sequence, replace: repeated })
    const result = await checkSimulation({ root: copy.root, ...quiet }, plan)
    copy.plant("repeats-no-more", { ...sequence, find: repeated, replace: sequence.find })
    expect(result.verdict).toBe("fail")
    expect(result.findings.join("\n")).toMatch(/^seed 1: .*I-SEQ-DENSE: .* has number/mu)
  }, 120_000)

  it("fails when the same seed is not the same run", async () => {
    // The generations of timers go on where those of the session before ended.
    const counted = { file: sequence.file, find: "  #generation = 0", replace: "  #generation = sessions.push(0)" }
    copy.plant("counted", counted)
    const head = "export class KernelContext"
    copy.plant("count", { file: sequence.file, find: head, replace: `const sessions: Array<number> = []\n${head}` })
    const result = await checkSimulation({ root: copy.root, ...quiet }, { ...plan, compared: 2 })
    expect(result.verdict).toBe("fail")
    expect(result.findings.join("\n")).toMatch(/^seed \d is not the same run twice/mu)
  }, 120_000)

  it("fails when something that can happen never did, and says what", async () => {
    const result = await checkSimulation({ root, ...quiet }, { ...plan, compared: 0, requireAll: true })
    expect(result.verdict).toBe("fail")
    expect(result.findings.join("\n")).toMatch(/^these never happened: .*row\.T3/mu)
  }, 120_000)

  it("has not run with too few seeds, or without a program", async () => {
    const few = await checkSimulation({ root, ...quiet }, { ...plan, seeds: 1, compared: 0 })
    expect(few).toMatchObject({ verdict: "not_run", findings: ["not run: 1 seeds are too few, 2 are wanted"] })
    expect((await checkSimulation({ root: temporary(), ...quiet }, plan)).verdict).toBe("not_run")
  }, 120_000)
})
