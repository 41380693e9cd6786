import { assert, describe, it } from "@effect/vitest"
import { readNodesFile } from "@rspp/providers/nodes/ExternalNodes"
import { namedPatterns } from "@rspp/providers/nodes/Patterns"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { pageOf, root } from "./support/Page.ts"

const { blocks, namesFiles, text } = pageOf("nodes.md")
const read = (path: string) => readFileSync(join(root, path), "utf8")

/** What stands between two marks of the example, with the indentation that it has there taken away. */
const marked = (name: string) => {
  const [, code = ""] =
    new RegExp(`// <${name}>\\n([^]*?)\\n *// </${name}>`, "u").exec(read("packages/cli/examples/node.test.ts")) ?? []
  return code
}
const flush = (code: string) => code.split("\n").map((line) => line.trim()).join("\n").trim()

describe("docs/nodes.md", () => {
  it("shows the code of the example, which is tested", () => {
    const shown = blocks("ts").map(flush)
    assert.deepStrictEqual(shown, ["least", "whole", "test", "register", "process"].map((name) => flush(marked(name))))
  })

  it.effect("shows a nodes file that is accepted", () =>
    Effect.gen(function*() {
      const [file = ""] = blocks("json")
      const { nodes } = yield* readNodesFile(file, "nodes.json", [])
      assert.lengthOf(nodes, 1)
    }))

  it("names only files that exist, and every set of patterns", () => {
    namesFiles()
    for (const name of Object.keys(namedPatterns)) assert.include(text, `\`${name}\``)
  })
})
