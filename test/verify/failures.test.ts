// The failures gate, with classes of the failure matrix that failed, were skipped, or that nobody ran.
import { afterAll, describe, expect, it } from "vitest"
import { join } from "node:path"
import {
  checkFailures,
  everyClass,
  failureClasses,
  judgeFailures,
  quickClasses
} from "../../scripts/verify/FailuresGate.ts"
import type { Tested } from "../../scripts/verify/Tests.ts"
import { readReport } from "../../scripts/verify/Tests.ts"
import { quiet } from "./support/Directories.ts"
import { RepositoryCopy, root } from "./support/RepositoryCopy.ts"

const scenarios = join(root, "test/simulation/scenarios")
const classes = await failureClasses(scenarios, everyClass)

const passed = classes.flatMap(({ tests }) =>
  tests.map((name): Tested => ({ file: "test/simulation/failures.test.ts", name, status: "passed", message: "" }))
)
const judge = (tests: ReadonlyArray<Tested>) => judgeFailures("again", { tests, broken: [] }, classes)
const with_ = (prefix: string, status: string) =>
  passed.map((one) => one.name.startsWith(prefix) ? { ...one, status } : one)

describe("the failures gate", () => {
  it("knows the cases of each class from its scenario", () => {
    for (const { id, tests } of classes) expect({ id, enough: tests.length > 3 }).toEqual({ id, enough: true })
    expect(everyClass).toEqual(expect.arrayContaining(quickClasses))
    expect(judge(passed)).toMatchObject({ verdict: "pass", detail: { classes: 8, tests: passed.length } })
  })

  it("has not run when a class is missing, one case of it is, or one was skipped", async () => {
    const missing = judge(passed.filter(({ name }) => !name.startsWith("F7 ")))
    expect(missing.verdict).toBe("not_run")
    expect(missing.findings).toHaveLength(classes.find(({ id }) => id === "F7")?.tests.length ?? 0)
    expect(missing.findings[0]).toMatch(/^not run: F7: nobody ran "F7 authority conflict/u)
    expect(judge(passed.slice(1)).verdict).toBe("not_run")
    expect(judge(with_("F3 ", "skipped")).verdict).toBe("not_run")
    const unknown = await failureClasses(scenarios, ["F9"])
    expect(judgeFailures("again", { tests: passed, broken: [] }, unknown).verdict).toBe("not_run")
  })

  it("fails when a case failed, or a file could not be loaded", () => {
    expect(judge(with_("F1 ", "failed")).verdict).toBe("fail")
    const unloaded = {
      name: join(root, "test/simulation/failures.test.ts"),
      status: "failed",
      message: "SyntaxError: x"
    }
    const report = readReport(
      root,
      JSON.stringify({ success: false, testResults: [{ ...unloaded, assertionResults: [] }] })
    )
    expect(report?.broken).toEqual(["test/simulation/failures.test.ts could not be loaded: SyntaxError: x"])
    expect(judgeFailures("again", report ?? { tests: [], broken: [] }, classes).verdict).toBe("fail")
  })
})

describe("the failures gate, run in a copy of the repository", () => {
  const copy = new RepositoryCopy()
  afterAll(() => copy.remove())

  it("has not run when the suite no longer holds F7", async () => {
    const edit = { file: "test/simulation/failures.test.ts", find: "held(f7)\n", replace: "void f7\n" }
    copy.plant("not-held", edit)
    const result = await checkFailures({ root: copy.root, ...quiet }, ["F7"])
    expect(result).toMatchObject({ verdict: "not_run" })
    expect(result.findings.join("\n")).toMatch(/F7: nobody ran /u)
    copy.plant("held-again", { ...edit, find: "void f7\n", replace: "held(f7)\n" })
  }, 120_000)

  it("fails when the kernel takes results of an older epoch", async () => {
    copy.plant("ingress-epoch-unchecked", {
      file: "packages/runtime/src/kernel/SessionKernel.ts",
      find: "input.authority_epoch === undefined || input.authority_epoch === context.epoch",
      replace: "input.authority_epoch === undefined || input.authority_epoch <= context.epoch"
    })
    const result = await checkFailures({ root: copy.root, ...quiet }, ["F7"])
    expect(result).toMatchObject({ verdict: "fail" })
    expect(result.findings.join("\n")).toMatch(/F7 authority conflict.* older epoch/u)
  }, 120_000)
})
