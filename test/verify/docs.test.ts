// The docs gate, with pages that say what is not so, and with tests of pages that failed or never ran.
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { judgeDocs, pageTests, slowPages } from "../../scripts/verify/DocsGate.ts"
import { checkCommands, shownCommands } from "../../scripts/verify/DocumentedCommands.ts"
import { readReport } from "../../scripts/verify/Tests.ts"
import { temporary } from "./support/Directories.ts"
import { root } from "./support/RepositoryCopy.ts"

const file = "test/repository/readme.test.ts"
const report = (status: string, success = true) =>
  readReport(
    root,
    JSON.stringify({
      success,
      testResults: [{
        name: join(root, file),
        status: success ? "passed" : "failed",
        assertionResults: [{ fullName: "The README names only files", status, failureMessages: ["it names no/such"] }]
      }]
    })
  ) ?? { tests: [], broken: [] }

const pages = (readme: string) => {
  const directory = temporary()
  mkdirSync(join(directory, "docs"))
  writeFileSync(join(directory, "README.md"), readme)
  writeFileSync(join(directory, "docs/page.md"), "Use `rspp replay --report out calls`.\n")
  return directory
}

const good = "```sh\nnpx rspp run --input question.wav\nrspp timeline show call.timeline   # exit 0\n```\n"
const judge = (directory: string, told = report("passed"), files = [file]) => judgeDocs("again", directory, told, files)

describe("the docs gate", () => {
  it("passes pages whose commands there are, and whose tests passed", () => {
    expect(judge(pages(good))).toMatchObject({ verdict: "pass", detail: { pages: 2, commands: 3, tests: 1 } })
  })

  it("passes the commands of this repository's pages", () => {
    const { commands, findings } = checkCommands(root)
    expect(findings).toEqual([])
    expect(commands).toBeGreaterThan(100)
  })

  it.each([
    ["a flag that is not there", "npx rspp replay calls --frobnicate", "rspp replay has no flag --frobnicate"],
    ["a command that is not there", "npx rspp fly --input x", "rspp has no command fly"],
    ["a flag of another command", "rspp timeline show --report x", "rspp timeline show has no flag --report"]
  ])("fails when a page names %s", (_, command, fault) => {
    const result = judge(pages(`${good}Try \`${command}\`.\n`))
    expect(result.verdict).toBe("fail")
    expect(result.findings[0]).toMatch(`README.md:5: ${fault}: `)
  })

  it("fails when a test of a page failed", () => {
    const result = judge(pages(good), report("failed", false))
    expect(result.verdict).toBe("fail")
    expect(result.findings.join("\n")).toMatch(/readme\.test\.ts: The README names only files\nit names no\/such/u)
  })

  it("has not run when a test of a page was skipped, a file told nothing, or there is no page", () => {
    expect(judge(pages(good), report("skipped")).verdict).toBe("not_run")
    const unheard = judge(pages(good), report("passed"), [file, "test/repository/other.test.ts"])
    expect(unheard).toMatchObject({
      verdict: "not_run",
      findings: ["not run: no test of test/repository/other.test.ts passed"]
    })
    expect(judge(temporary()).verdict).toBe("not_run")
  })

  it("leaves out, when quick, only test files that there are", () => {
    const all = pageTests(root)
    expect(all).toEqual(expect.arrayContaining(slowPages))
    expect(all.length).toBeGreaterThan(slowPages.length)
  })
})

describe("the commands of a page", () => {
  it("are those in code that begin with the program, without what a line says of them", () => {
    const text =
      "`rspp demo`, `make run`, `rspp room join --token \"$(rspp token --dev)\"`\n```\nrspp run        a recording in   --input\n  other\n```\nrspp no code"
    expect(shownCommands("p.md", text).map(({ line, words }) => [line, words.join(" ")])).toEqual([
      [1, "demo"],
      [1, "room join --token \"…\""],
      [1, "token --dev"],
      [3, "run"]
    ])
  })
})
