// docs/release.md and docs/verification.md: their commands end as they say, their examples are valid, and nothing is left out.
import { afterAll, assert, describe, it } from "@effect/vitest"
import { formatIssue, validate } from "@rspp/contracts/Artifact"
import { parseSpecText } from "@rspp/control/SpecFile"
import { refusalCodes } from "@rspp/cli/release/Refusal"
import { Effect } from "effect"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { quickClasses } from "../../scripts/verify/FailuresGate.ts"
import { gateNames } from "../../scripts/verify/Gate.ts"
import { fullSeeds, quickSeeds } from "../../scripts/verify/SimulationGate.ts"
import { endsAsItSays, pageOf, root } from "./support/Page.ts"

const release = pageOf("release.md")
const verification = pageOf("verification.md")

const cwd = mkdtempSync(join(tmpdir(), "rspp-page-"))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))

describe("docs/release.md", () => {
  it("has commands that end as it says where nothing is ready, and names files that there are", async () => {
    assert.lengthOf(release.commands, 3)
    for (const line of release.commands) await endsAsItSays(cwd, line)
    release.namesFiles()
  }, 60_000)

  it("has a line about every reason for a refusal, and no other", () => {
    const table = release.text.slice(release.text.indexOf("| code |"), release.text.indexOf("## The manifest"))
    const codes = table.split("\n").flatMap((line) => [...(line.split("|")[1] ?? "").matchAll(/`([a-z_]+)`/gu)])
    assert.sameMembers(codes.map(([, code = ""]) => code), [...refusalCodes])
  })

  it.effect("shows a way back that is valid, and the one of this repository is", () =>
    Effect.gen(function*() {
      for (const text of [release.blocks("yaml")[0] ?? "", readFileSync(join(root, "release/rollback.yaml"), "utf8")]) {
        const { value } = yield* parseSpecText(text, "rollback.yaml")
        const verdict = validate("rollback_plan", value)
        assert.isTrue(verdict.ok, verdict.ok ? "" : verdict.issues.map(formatIssue).join("; "))
      }
    }))
})

describe("docs/verification.md", () => {
  it("has a line about each gate, with the numbers that they run with", () => {
    for (const name of gateNames) assert.include(verification.text, `\n| \`${name}\` | `)
    assert.include(verification.text, `${quickSeeds.seconds} s of seeds`)
    assert.include(verification.text, `${fullSeeds.seeds} seeds, ${fullSeeds.compared} of them twice`)
    assert.include(verification.text, quickClasses.join(", ").replace(/, (?=F7)/u, " and "))
    verification.namesFiles()
  })
})
