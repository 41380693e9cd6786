import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { parseSpecText } from "../src/SpecFile.ts"
import { SpecNormalizer } from "../src/SpecNormalizer.ts"

const folder = new URL("../../../contracts/pipelines/", import.meta.url)
const load = (file: string) =>
  Effect.gen(function*() {
    const text = yield* parseSpecText(readFileSync(new URL(file, folder), "utf8"), file)
    return yield* (yield* SpecNormalizer).normalize(text.value)
  }).pipe(Effect.provide(SpecNormalizer.layer))

describe("contracts/pipelines", () => {
  const files = readdirSync(folder)
  it("has the three that ship", () => {
    assert.deepStrictEqual(files.sort(), ["assistant.json", "screened.yaml", "two-models.yaml"])
  })

  for (const file of files) {
    it.effect(`${file} is accepted, and called as its file is`, () =>
      Effect.map(load(file), ({ pipeline }) => assert.strictEqual(pipeline.pipeline_id, file.split(".")[0])))
  }

  it.effect("screened.yaml has a custom node, a text filter, conditions, and a voice that nothing unscreened reaches", () =>
    Effect.gen(function*() {
      const { graph, provider_bindings } = (yield* load("screened.yaml")).pipeline
      assert.deepStrictEqual(
        graph.edges.filter((edge) => edge.condition !== undefined).map((edge) => [edge.edge_id, edge.condition?.value]),
        [["topic.transcript.chatter", "smalltalk"], ["topic.transcript.thinker", "question"]]
      )
      assert.deepStrictEqual(graph.edges.filter((edge) => edge.to_node_id === "tts").map((edge) => edge.from_node_id), [
        "mask"
      ])
      assert.deepStrictEqual(provider_bindings, {
        stt: "embedded/moonshine",
        "external.topic": "example/topic_router",
        "llm.thinker": "embedded/rules",
        "llm.chatter": "embedded/rules",
        "external.mask": "builtin/text_filter",
        tts: "embedded/flite"
      })
    }))

  it.effect("two-models.yaml asks two models, prefers one, and has a spare voice", () =>
    Effect.gen(function*() {
      const { graph } = (yield* load("two-models.yaml")).pipeline
      assert.deepStrictEqual(
        graph.edges.filter((edge) => edge.from_node_id === "turn").map((edge) => edge.to_node_id),
        [
          "careful",
          "quick"
        ]
      )
      assert.deepStrictEqual(graph.nodes.find((node) => node.node_type === "select")?.select?.rule, "preferred")
      assert.deepStrictEqual(
        graph.edges.filter((edge) => edge.fallback_on !== undefined).map((edge) => [edge.edge_id, edge.fallback_on]),
        [["tts.segment.spare.fallback", ["error", "timeout"]]]
      )
    }))
})
