// What a workflow asks of a verification's files: nothing is missing, nothing was changed, everything is green and of this commit.
import { rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { artifactFaults } from "../../scripts/check-artifacts.ts"
import { writeArtifact, writeSummary } from "../../scripts/verify/Artifacts.ts"
import { gateNames, judged } from "../../scripts/verify/Gate.ts"
import { temporary } from "./support/Directories.ts"

const commit = "a".repeat(40)
const startedAt = new Date("2026-11-23T11:00:00Z")
const passing = judged({ command: "again", counts: { things: 1 }, failures: [], missing: [] })

const verification = (left = gateNames.filter(() => true), dirty = false) => {
  const directory = temporary()
  const source = { commit, dirty }
  const artifacts = left.map((gate) =>
    writeArtifact(directory, { gate, mode: "quick", source }, { startedAt, endedAt: startedAt }, passing)
  )
  writeFileSync(join(directory, "slo.md"), "# SLO\n")
  writeSummary(directory, { mode: "quick", source, startedAt }, artifacts, [])
  return directory
}
const faults = (directory: string) => artifactFaults(directory, { mode: "quick", commit })

describe("the artifacts of a verification", () => {
  it("have no fault as they are written", () => {
    expect(faults(verification())).toEqual([])
  })

  it("are found to lack a summary, a gate's file, any other file, or a gate in the list", () => {
    const without = (file: string) => {
      const directory = verification()
      rmSync(join(directory, file))
      return faults(directory).join("\n")
    }
    expect(without("summary.json")).toMatch(/did not end/u)
    expect(without("slo.json")).toMatch(/slo\.json is not there/u)
    expect(without("slo.md")).toMatch(/slo\.md is not there/u)
    expect(faults(verification(["contracts", "replay"])).join("\n")).toMatch(/does not list simulation\.json/u)
  })

  it("are found to be changed, of another commit, of another mode, or of a tree that was not its commit", () => {
    const changed = verification()
    writeFileSync(join(changed, "slo.md"), "# Better\n")
    expect(faults(changed)).toEqual(["slo.md does not have the hash of summary.json"])
    const other = artifactFaults(verification(), { mode: "full", commit: "b".repeat(40) }).join("\n")
    expect(other).toMatch(/summary\.json is quick, not full/u)
    expect(other).toMatch(/walls\.json is of a{40}, not b{40}/u)
    expect(faults(verification(undefined, true)).join("\n")).toMatch(/not its commit/u)
  })

  it("are found not to be green", () => {
    const directory = temporary()
    const source = { commit, dirty: false }
    const failing = judged({ command: "again", counts: {}, failures: [], missing: ["all of it"] })
    const artifacts = gateNames.map((gate) =>
      writeArtifact(
        directory,
        { gate, mode: "quick", source },
        { startedAt, endedAt: startedAt },
        gate === "slo" ? failing : passing
      )
    )
    writeSummary(directory, { mode: "quick", source, startedAt }, artifacts, [])
    expect(faults(directory)).toEqual([
      "summary.json says not_run",
      "summary.json does not say that the gate slo passed",
      "slo.json says not_run"
    ])
  })
})
