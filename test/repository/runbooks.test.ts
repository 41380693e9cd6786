// docs/runbooks: every command and flag on them is one of the program, every file is there, every page is complete.
import { assert, describe, it } from "@effect/vitest"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { commandFault, commandsOf } from "./support/CommandLine.ts"
import { root } from "./support/Page.ts"

const directory = join(root, "docs/runbooks")
const pages = readdirSync(directory).map((name) => ({
  name,
  path: join(directory, name),
  text: readFileSync(join(directory, name), "utf8")
}))
const guide = join(root, "deploy/observability/README.md")
const all = [...pages, { name: "deploy/observability/README.md", path: guide, text: readFileSync(guide, "utf8") }]

describe("the runbooks", () => {
  it.each(all)("$name names commands and flags that there are", ({ text }) => {
    assert.deepStrictEqual(commandsOf(text).map(commandFault).filter((fault) => fault !== undefined), [])
  })

  it.each(all)("$name names files that exist, and places on them", ({ path, text }) => {
    for (const [, link = "", anchor] of text.matchAll(/\]\(([^)#:]*)(?:#([^)]+))?\)/gu)) {
      const file = link === "" ? path : join(dirname(path), link)
      assert.isTrue(existsSync(file), `it names ${link}`)
      if (anchor === undefined) continue
      const headings = [...readFileSync(file, "utf8").matchAll(/^#+ (.+)$/gmu)].map(([, heading = ""]) =>
        heading.toLowerCase().replaceAll(/[^a-z0-9 -]/gu, "").replaceAll(" ", "-")
      )
      assert.include(headings, anchor, `${link}#${anchor}`)
    }
  })

  it.each(pages.filter(({ name }) => name !== "README.md"))("$name says what is needed at night", ({ name, text }) => {
    const headings = [...text.matchAll(/^#+ (.+)$/gmu)].map(([, heading]) => heading)
    assert.deepStrictEqual(headings, [
      name.replace(/\.md$/u, ""),
      "What it means for callers",
      "Look",
      "Likely causes, and what to do",
      "Escalate"
    ])
    assert.isAbove(commandsOf(text).length, 0)
    assert.isBelow(text.split("\n").length, 60)
    assert.include(pages.find((page) => page.name === "README.md")?.text ?? "", `(${name})`)
  })

  it.each([
    ["rspp provider helth", "no such command"],
    ["rspp timeline show a.timeline b.timeline", "takes no"],
    ["rspp timeline show a.timeline --trun 3", "has no --trun"]
  ])("a page that said %s would be wrong", (line, told) => {
    assert.include(commandFault(line) ?? "", told)
  })
})
