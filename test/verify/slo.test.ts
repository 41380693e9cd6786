// The SLO gate, over timelines of sessions that ran: well, slowly, without a sample for a gate; and a session that fails to run.
import { describe, expect } from "vitest"
import { it } from "@effect/vitest"
import { defaultSessionConfig } from "@rspp/contracts/SessionConfig"
import { behaviourFlags } from "@rspp/contracts/Timeline"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { timelineBytes } from "@rspp/timeline/export/RegressionFixture"
import type { Script } from "@rspp/timeline/test/support/Script"
import { conversation } from "@rspp/timeline/test/support/Script"
import { scriptedSession } from "@rspp/timeline/test/support/ScriptedSession"
import { simplePipeline } from "@rspp/timeline/test/support/SimplePipeline"
import { Effect } from "effect"
import { cpSync, existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { checkSlo, produceSessions, sloGates } from "../../scripts/verify/SloGate.ts"
import { quiet, temporary } from "./support/Directories.ts"
import { root } from "./support/RepositoryCopy.ts"

const real = (name: string) => join(root, "test/corpus/real", `${name}.timeline`)

const places = () => {
  const directory = join(temporary(), "slo")
  const timelines = join(directory, "sessions")
  mkdirSync(timelines, { recursive: true })
  return { directory, timelines }
}
const checked = ({ directory, timelines }: ReturnType<typeof places>, program = root) =>
  checkSlo({ root: program, directory, ...quiet }, timelines)

/** A session of the real kernel that waits 2600 ms for its caller to go on, written as a timeline. */
const slowSession = (file: string) =>
  Effect.gen(function*() {
    const endpointing = { ...defaultSessionConfig.endpointing, min_ms: 2600, max_ms: 3000, unfinished_ms: 2600 }
    const pipeline = simplePipeline({ session_config: { ...defaultSessionConfig, endpointing } })
    const script: Script = {
      ...conversation(2),
      header: { behaviour_flags: Object.values(behaviourFlags), pipeline }
    }
    writeFileSync(file, timelineBytes(scriptedSession(yield* SessionKernel, script)))
  }).pipe(Effect.provide(SessionKernel.layer))

describe("the slo gate", () => {
  it("passes recorded calls in which every gate has samples, and leaves the report in both forms", async () => {
    const { directory, timelines } = places()
    for (const name of ["barge-in", "two-turns"]) cpSync(real(name), join(timelines, `${name}.timeline`))
    const result = await checked({ directory, timelines })
    expect(result).toMatchObject({ verdict: "pass", findings: [], detail: { gates: 7, timelines: 2, turns: 4 } })
    expect(existsSync(join(directory, "report.json"))).toBe(true)
    expect(existsSync(join(directory, "../slo.md"))).toBe(true)
    expect(result.detail["slo"]).toMatchObject(sloGates.map((gate) => ({ gate, verdict: "pass" })))
  }, 60_000)

  it.effect("fails with one slow session among good ones", () =>
    Effect.gen(function*() {
      const { directory, timelines } = places()
      cpSync(real("barge-in"), join(timelines, "barge-in.timeline"))
      yield* slowSession(join(timelines, "slow.timeline"))
      const result = yield* Effect.promise(() => checked({ directory, timelines }))
      expect(result.verdict).toBe("fail")
      expect(result.findings.join("\n")).toMatch(/^response_ms: .*bound/mu)
    }), 60_000)

  it("has not run when a gate has no sample, there is no timeline, or no program", async () => {
    const { directory, timelines } = places()
    cpSync(real("two-turns"), join(timelines, "two-turns.timeline"))
    const result = await checked({ directory, timelines })
    expect(result.verdict).toBe("not_run")
    expect(result.findings).toEqual(["not run: cancel_fence_ms has no sample"])
    expect((await checked({ directory, timelines }, temporary())).verdict).toBe("not_run")
    expect((await checked(places())).verdict).toBe("not_run")
  }, 60_000)

  it("tells of a session that did not end well", async () => {
    const { timelines } = places()
    const args = () => ["run", "--script", join(timelines, "none.json"), "--timeline", join(timelines, "x.timeline")]
    const missing = await produceSessions({ root, ...quiet }, timelines, [{ name: "planted", args }])
    expect(missing.join("\n")).toMatch(/^session planted: exit 3: /u)
  }, 60_000)
})
