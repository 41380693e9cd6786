import { assert, describe, it } from "@effect/vitest"
import { ExternalNodes, readNodesFile } from "@rspp/providers/nodes/ExternalNodes"
import { runTurn, text } from "@rspp/runtime/nodes/NodeTestKit"
import { Effect } from "effect"
import { dirname, join } from "node:path"

const examples = join(dirname(dirname(dirname(dirname(import.meta.dirname)))), "packages/cli/examples/nodes")
const file = (nodes: ReadonlyArray<unknown>) => JSON.stringify({ nodes })
const node = {
  id: "example/number_words",
  command: [process.execPath, "number-words.mjs"],
  inputs: ["segment"],
  outputs: ["segment"],
  timeouts: { item_ms: 2000 },
  memory_mb: 128
}

describe("a nodes file", () => {
  it.live("names programs that run as nodes, found from its directory", () =>
    Effect.gen(function*() {
      const nodes = yield* readNodesFile(file([node]), "nodes.json", [])
      const { definitions } = yield* Effect.provide(ExternalNodes, ExternalNodes.layerOf(nodes, examples))
      const [words] = definitions
      if (words === undefined) return assert.fail("there is no node")
      assert.deepStrictEqual(words.timeouts, { startMs: 5000, itemMs: 2000 })
      const turn = yield* runTurn(words, [text(0, "segment", "Room 12, floor 45."), text(0, "segment", "And 120.")], {
        clock: "real"
      })
      assert.deepStrictEqual(turn.texts, ["Room twelve, floor forty-five.", "And 120."])
    }))

  it.effect("that is wrong is told so", () =>
    Effect.gen(function*() {
      const message = (text: string) =>
        Effect.map(Effect.flip(readNodesFile(text, "nodes.json", ["builtin/text_filter"])), (error) => error.message)
      assert.match(yield* message("{"), /^nodes\.json: /u)
      assert.include(yield* message(file([{ ...node, memory: 3 }])), "memory")
      assert.include(yield* message(file([{ ...node, inputs: ["caller_audio"] }])), "inputs")
      assert.include(yield* message(file([{ ...node, command: [] }])), "command")
      assert.strictEqual(
        yield* message(file([{ ...node, id: "builtin/text_filter" }])),
        "nodes.json: there is a node builtin/text_filter already"
      )
      assert.include(yield* message(file([node, node])), "there is a node example/number_words already")
    }))
})
