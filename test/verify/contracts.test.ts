// The contracts gate, with each kind of violation planted in a copy of what it looks at.
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import type { ContractInputs } from "../../scripts/verify/ContractsGate.ts"
import { checkContracts } from "../../scripts/verify/ContractsGate.ts"
import { quiet, temporary } from "./support/Directories.ts"
import { root } from "./support/RepositoryCopy.ts"

const inputs = (): ContractInputs => {
  const directory = temporary()
  for (const part of ["fixtures", "schema", "pipelines"]) {
    cpSync(join(root, "contracts", part), join(directory, part), { recursive: true })
  }
  return {
    fixtures: join(directory, "fixtures"),
    schemas: join(directory, "schema"),
    pipelines: join(directory, "pipelines")
  }
}

describe("the contracts gate", () => {
  it("passes what ships", async () => {
    const result = await checkContracts({ root, ...quiet }, {
      fixtures: join(root, "contracts/fixtures"),
      schemas: join(root, "contracts/schema"),
      pipelines: join(root, "contracts/pipelines")
    })
    expect(result).toMatchObject({ verdict: "pass", findings: [] })
    expect(result.detail["fixtures"]).toBeGreaterThan(1000)
  }, 120_000)

  it("fails at each violation that is planted, and names its file", async () => {
    const planted = inputs()
    const { fixtures, pipelines, schemas } = planted
    writeFileSync(join(fixtures, "valid/turn_transition/planted.json"), `{ "from_state": "Nowhere" }`)
    writeFileSync(join(fixtures, "valid/divergence/broken.json"), "{ no")
    const invalid = {
      reason: "nothing is wrong with it",
      rule: "required",
      field: "retention",
      artifact: { schema_version: "v1.0", retention: [] }
    }
    writeFileSync(join(fixtures, "invalid/retention_policy/planted.json"), JSON.stringify(invalid))
    const drifted = join(schemas, "profile.json")
    writeFileSync(drifted, readFileSync(drifted, "utf8").replace("\"profile\"", "\"profiles\""))
    rmSync(join(schemas, "event.json"))
    writeFileSync(join(schemas, "nothing.json"), "{}")
    writeFileSync(join(pipelines, "planted.yaml"), "schema_version: v1.0\npipeline_id: x\nno_such_field: 1\n")
    const result = await checkContracts({ root, ...quiet }, planted)
    expect(result.verdict).toBe("fail")
    for (
      const words of [
        /valid\/turn_transition\/planted\.json must be valid: /u,
        /valid\/divergence\/broken\.json is no JSON/u,
        /invalid\/retention_policy\/planted\.json must break required at retention: it is valid/u,
        /invalid\/retention_policy\/planted\.json must be invalid, and is valid to /u,
        /schema\/profile\.json is not what contracts\/src generates/u,
        /schema\/event\.json is not there/u,
        /schema\/nothing\.json is the schema of no kind/u,
        /pipelines\/planted\.yaml: .*no_such_field/u
      ]
    ) expect(result.findings).toContainEqual(expect.stringMatching(words))
  }, 120_000)

  it("has not run where there is nothing to look at, or no program to ask", async () => {
    const nothing = inputs()
    rmSync(join(nothing.fixtures, "valid/turn_transition"), { recursive: true })
    const result = await checkContracts({ root: temporary(), ...quiet }, nothing)
    expect(result.verdict).toBe("not_run")
    expect(result.findings.join("\n")).toMatch(/no valid fixture of turn_transition/u)
    expect(result.findings.join("\n")).toMatch(/rspp contracts validate said nothing of /u)
  }, 120_000)
})
