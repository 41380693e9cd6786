// The walls gate, with a forbidden import planted in a copy of the repository.
import { afterAll, describe, expect, it } from "vitest"
import { checkWalls, everyCheck, quickChecks } from "../../scripts/verify/WallsGate.ts"
import { quiet, temporary } from "./support/Directories.ts"
import { RepositoryCopy, root } from "./support/RepositoryCopy.ts"

const copy = new RepositoryCopy()
afterAll(() => copy.remove())

describe("the walls gate", () => {
  it("fails when the kernel imports the control plane", async () => {
    copy.write(
      "packages/runtime/src/Planted.ts",
      `import { parseSpecText } from "@rspp/control/SpecFile"\nexport const planted = parseSpecText\n`
    )
    const result = await checkWalls({ root: copy.root, ...quiet }, ["walls"])
    expect(result.verdict).toBe("fail")
    expect(result.findings.join("\n")).toMatch(/packages\/runtime\/src\/Planted\.ts:1:\d+ {2}wall /u)
  }, 120_000)

  it("has not run where there is no such check, or no script", async () => {
    const unknown = await checkWalls({ root, ...quiet }, ["ramparts"])
    expect(unknown).toMatchObject({ verdict: "not_run" })
    expect(unknown.says).toMatch(/--only ramparts: there are dependencies, /u)
    expect((await checkWalls({ root: temporary(), ...quiet }, ["walls"])).verdict).toBe("not_run")
  }, 60_000)

  it("is, when full, every check that make verify runs", async () => {
    expect(everyCheck).toEqual(expect.arrayContaining([...quickChecks]))
    const { says } = await checkWalls({ root, ...quiet }, ["none"])
    expect(/there are (.*?)(?: \(|$)/u.exec(says)?.[1]?.split(", ")).toEqual([...everyCheck])
  }, 60_000)
})
