import { assert, describe, it } from "@effect/vitest"
import type { GraphEdge, GraphNode } from "@rspp/contracts/GraphDefinition"
import { ProviderManager } from "@rspp/runtime/invocation/ProviderManager"
import { bindNodes } from "@rspp/runtime/nodes/NodeBinding"
import { defineNode } from "@rspp/runtime/nodes/NodeDefinition"
import { registryOf } from "@rspp/runtime/nodes/NodeRegistry"
import { Effect, Schema } from "effect"
import { literalPipeline } from "../support/LiteralSession.ts"

const shout = defineNode({
  id: "test/shout",
  inputs: ["segment"],
  outputs: ["segment"],
  settings: Schema.Struct({ loudness: Schema.optionalKey(Schema.Literals(["high", "low"])) }),
  onItem: ({ text }) => text.toUpperCase()
})
const other = defineNode({ id: "test/other", inputs: ["segment"], outputs: [], onItem: () => {} })
const registry = registryOf([shout, other])

const edge = (
  from: string,
  to: string,
  payload_kind: GraphEdge["payload_kind"],
  more: Partial<GraphEdge> = {}
): GraphEdge => ({
  edge_id: `${from}-${to}`,
  from_node_id: from,
  to_node_id: to,
  payload_kind,
  lane: "DataLane",
  ...more
})
const pipeline = (
  node: Partial<GraphNode>,
  edges: ReadonlyArray<GraphEdge> = [],
  provider_bindings: Record<string, string> = {}
) => {
  const { graph } = literalPipeline()
  return {
    graph: {
      ...graph,
      nodes: [...graph.nodes, { node_id: "mine", node_type: "custom" as const, ...node }],
      edges: [...graph.edges, ...edges]
    },
    provider_bindings
  }
}
describe("the nodes of a pipeline", () => {
  it.effect("are bound by node, by plan, or by their type", () =>
    Effect.gen(function*() {
      const builtIn = registryOf([shout, other, { ...shout, id: "builtin/text_filter" }, {
        ...shout,
        id: "builtin/sentence_segmenter",
        inputs: ["text"]
      }])
      const ids = (...args: Parameters<typeof pipeline>) =>
        Effect.map(bindNodes(pipeline(...args), builtIn), ({ all }) =>
          all.map(({ definition }) => definition.id).slice(1))
      assert.deepStrictEqual(yield* ids({ provider_id: "test/shout" }), ["test/shout"])
      assert.deepStrictEqual(
        yield* ids({ provider_id: "test/shout" }, [], { "external.mine": "test/other" }),
        ["test/other"]
      )
      assert.deepStrictEqual(
        yield* ids({ provider_id: "test/shout" }, [], { "external.mine.fallback": "test/other" }),
        ["test/shout", "test/other"]
      )
      assert.deepStrictEqual(yield* ids({ node_type: "text_filter" }), ["builtin/text_filter"])
    }))

  it.effect("that this runtime does not have are named, with those that it has", () =>
    Effect.gen(function*() {
      const segmenter = literalPipeline().graph.nodes.filter(({ node_type }) => node_type !== "sentence_segmenter")
      const bare = { ...pipeline({ provider_id: "test/shuot" }), provider_bindings: {} }
      const graph = { ...bare.graph, nodes: [...segmenter, bare.graph.nodes.at(-1) as GraphNode], edges: [] }
      const failure = yield* Effect.flip(bindNodes({ graph, provider_bindings: {} }, registry))
      assert.deepInclude(failure, {
        _tag: "NodeMissing",
        message: "node mine runs test/shuot, which this runtime does not have"
      })
      assert.include(failure.hint, "It has test/other, test/shout.")
      const unsaid = { ...graph, nodes: [{ node_id: "mine", node_type: "custom" as const }] }
      assert.strictEqual(
        (yield* Effect.flip(bindNodes({ graph: unsaid, provider_bindings: {} }, registry))).message,
        "node mine is custom and does not say what runs it"
      )
    }))

  it.effect("take what their edges bring, and give what their edges take", () =>
    Effect.gen(function*() {
      const all = registryOf([shout, other, { ...shout, id: "builtin/sentence_segmenter", inputs: ["text"] }])
      const check = (edges: ReadonlyArray<GraphEdge>) =>
        Effect.map(
          Effect.exit(bindNodes(pipeline({ provider_id: "test/shout" }, edges), all)),
          (exit) => exit._tag === "Success" ? "fits" : String(exit.cause.reasons[0])
        )
      assert.strictEqual(yield* check([edge("sentences", "mine", "segment"), edge("mine", "tts", "segment")]), "fits")
      assert.include(
        yield* check([edge("detector", "mine", "transcript")]),
        "edge detector-mine brings transcript to node mine, but test/shout takes segment"
      )
      assert.include(
        yield* check([edge("mine", "out", "voice")]),
        "edge mine-out takes voice from node mine, but test/shout gives segment"
      )
      // a fallback edge hands on what the node was given
      assert.strictEqual(yield* check([edge("mine", "tts", "segment", { fallback_on: ["error"] })]), "fits")
      assert.include(
        yield* check([edge("mine", "out", "voice", { fallback_on: ["error"] })]),
        "but test/shout is given segment"
      )
    }))

  it.effect("have settings that they understand", () =>
    Effect.gen(function*() {
      const all = registryOf([shout, other, { ...shout, id: "builtin/sentence_segmenter", inputs: ["text"] }])
      const bound = yield* bindNodes(pipeline({ provider_id: "test/shout", settings: { loudness: "low" } }), all)
      assert.deepStrictEqual(bound.find("mine", "test/shout")?.settings, { loudness: "low" })
      for (
        const [settings, said] of [
          [{ loudness: "deafening" }, `"high"`],
          [{ volume: 3 }, "volume"]
        ] as const
      ) {
        const failure = yield* Effect.flip(bindNodes(pipeline({ provider_id: "test/shout", settings }), all))
        assert.strictEqual(failure._tag, "NodeSettingsInvalid")
        assert.include(failure.message, "the settings of node mine are not those of test/shout")
        assert.include(failure.message, said)
      }
      const none = yield* Effect.flip(bindNodes(pipeline({ provider_id: "test/other", settings: { x: 1 } }), all))
      assert.strictEqual(none._tag, "NodeSettingsInvalid")
    }))

  it.effect("are nobody else's to check", () =>
    Effect.gen(function*() {
      const manager = ProviderManager.layerOf({ stt: [], llm: [], tts: [] })
      const check = (bindings: Record<string, string>) =>
        Effect.flatMap(ProviderManager, (providers) => providers.check(bindings)).pipe(Effect.provide(manager))
      yield* check({ "external.mine": "test/shout" })
      const missing = yield* Effect.flip(check({ llm: "test/shout" }))
      assert.strictEqual(missing._tag, "ProviderMissing")
    }))

  it("have one name each", () => {
    assert.throws(() => registryOf([shout, shout]), "two nodes are called test/shout")
  })
})
