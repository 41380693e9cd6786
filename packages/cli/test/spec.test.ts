import { afterAll, describe, expect, it } from "vitest"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { rspp } from "./support/Program.ts"

const cwd = mkdtempSync(join(tmpdir(), "rspp-cli-spec-"))
const run = (...args: ReadonlyArray<string>) => rspp(args, { cwd })
afterAll(() => rmSync(cwd, { recursive: true, force: true }))

const screened = fileURLToPath(new URL("../../../contracts/pipelines/screened.yaml", import.meta.url))
const head = "schema_version: v1.0\npipeline_id: assistant\npipeline_version: assistant/1\n"
writeFileSync(join(cwd, "small.yaml"), `${head}budgets:\n  turn_budget_ms: 9000\n`)
writeFileSync(
  join(cwd, "wrong.yaml"),
  `${head}budgets:\n  turn_budget: 9000\nnodes:\n  - node_id: a\n    node_type: speech_to_txt\n`
)
writeFileSync(
  join(cwd, "policy.json"),
  JSON.stringify({
    all: { match: {}, max_recording_level: "L2" },
    eu: { match: { region: "eu" }, degrade_posture: "never", allowed_adaptive_actions: [] }
  })
)

describe("rspp spec", () => {
  it("validates: a line for each file that is right, and each fault of another with its place; exit 1", async () => {
    const right = await run("spec", "validate", "small.yaml", screened)
    expect([right.code, right.stderr]).toEqual([0, ""])
    expect(right.stdout).toMatch(/^ok {2}small\.yaml {2}assistant assistant\/1, 8 nodes, 9 edges\n/u)
    const wrong = await run("spec", "validate", "small.yaml", "wrong.yaml")
    expect(wrong.code).toBe(1)
    expect(wrong.stdout).toMatch(/wrong\.yaml:5:\d+: .*turn_budget/u)
    expect(wrong.stdout).toMatch(/wrong\.yaml:8:\d+: .*speech_to_txt/u)
    const json = await run("spec", "validate", "wrong.yaml", "--json")
    const said = JSON.parse(json.stdout) as { readonly errors: ReadonlyArray<{ readonly line: number }> }
    expect(said.errors.map(({ line }) => line)).toContain(8)
    expect((await run("spec", "validate", "gone.yaml")).code).toBe(3)
  })

  it("normalizes: the same bytes for the same spec, with nothing left unsaid", async () => {
    const { code, stdout } = await run("spec", "normalize", "small.yaml")
    expect(code).toBe(0)
    const pipeline = JSON.parse(stdout) as { readonly sources: Readonly<Record<string, string>> }
    expect(pipeline.sources["budgets.turn_budget_ms"]).toBe("explicit")
    expect((await run("spec", "normalize", "small.yaml")).stdout).toBe(stdout)
    expect((await run("spec", "normalize", "wrong.yaml")).code).toBe(1)
  })

  it("explains: nodes, edges, and each value with who set it", async () => {
    const { code, stdout } = await run("spec", "explain", "small.yaml")
    expect(code).toBe(0)
    expect(stdout).toContain("assistant assistant/1, profile simple/v1")
    expect(stdout).toMatch(/^ {2}stt → turn {2}transcript \(DataLane\)/mu)
    expect(stdout).toMatch(/^budgets\.turn_budget_ms += 9000 {2}author$/mu)
    expect(stdout).toMatch(/^budgets\.node_budget_ms_default += 800 {2}simple\/v1$/mu)
    expect(stdout).toMatch(/^session_config\.endpointing\.min_ms += 300 {2}simple\/v1$/mu)
    expect(stdout).not.toMatch(/ {2}policy /u)
  })

  it("explains what policy takes away, and for whom", async () => {
    const explain = async (...more: ReadonlyArray<string>) => {
      const { stdout } = await run("spec", "explain", "small.yaml", "--json", ...more)
      const { settings } = JSON.parse(stdout) as {
        readonly settings: ReadonlyArray<{ readonly path: string; readonly value: unknown; readonly source: string }>
      }
      return settings.find(({ path }) => path === "allowed_adaptive_actions")
    }
    const own = await explain()
    expect(own).toMatchObject({ value: ["retry"], source: "simple/v1" })
    expect(await explain("--policy", "policy.json", "--region", "us")).toEqual(own)
    const eu = await explain("--policy", "policy.json", "--region", "eu")
    expect(eu).toMatchObject({ value: [], source: "policy eu" })
    expect((await run("spec", "explain", "small.yaml", "--policy", "small.yaml")).code).toBe(3)
  })
})
