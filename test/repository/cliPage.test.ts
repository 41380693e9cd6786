// docs/cli.md is what scripts/generate-cli-reference.ts makes of the program's commands, and nothing on it is unexplained.
import { assert, describe, it } from "@effect/vitest"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { Effect } from "effect"
import { entriesOf, gather, lacking, pageOf } from "../../scripts/generate-cli-reference.ts"
import { pageOf as page } from "./support/Page.ts"

const { namesFiles, text } = page("cli.md")

describe("docs/cli.md", () => {
  it.effect("has every command, as the program defines it", () =>
    Effect.gen(function*() {
      const entries = yield* gather
      assert.deepStrictEqual(lacking(entries), [])
      assert.strictEqual(text, pageOf(entries), "run: node scripts/generate-cli-reference.ts")
      assert.isAbove(entries.length, 60)
      assert.include(text, "| `--sessions integer` | `8` |")
    }))

  it("links only to what is there", () => {
    namesFiles()
    const headings = new Set(
      [...text.matchAll(/^#+ (.+)$/gmu)].map(([, heading = ""]) => heading.toLowerCase().replaceAll(" ", "-"))
    )
    for (const [, anchor = ""] of text.matchAll(/\]\(#([^)]+)\)/gu)) assert.isTrue(headings.has(anchor), anchor)
  })

  it.effect("goes down the tree, asks the flags for their defaults, and misses a description", () =>
    Effect.gen(function*() {
      const leaf = Command.make("leaf", {
        size: Flag.Int("size").pipe(Flag.withDefault(7), Flag.withDescription("How large")),
        bare: Flag.String("bare")
      }).pipe(Command.withDescription("A leaf"))
      const tree = Command.make("tree").pipe(Command.withDescription("A tree"), Command.withSubcommands([leaf]))
      const entries = yield* entriesOf(tree)
      assert.deepStrictEqual(entries.map(({ path }) => path.join(" ")), ["tree", "tree leaf"])
      assert.deepStrictEqual(lacking(entries), ["tree leaf: --bare has no description"])
      assert.include(pageOf(entries), "| `--size integer` | `7` | How large |")
      assert.include(pageOf(entries), "| `--bare string` | required |  |")
    }))
})
