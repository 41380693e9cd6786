import { validate } from "@rspp/contracts/Artifact"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { SpecNormalizer } from "../src/SpecNormalizer.ts"
import type { NormalizeOptions } from "../src/SpecNormalizer.ts"
import { custom, edge, extended, model, voice } from "./support/Graphs.ts"
import type { Nodes } from "./support/Graphs.ts"

const normalize = (spec: unknown, options?: NormalizeOptions) =>
  Effect.flatMap(SpecNormalizer, (normalizer) => normalizer.normalize(spec, options)).pipe(
    Effect.provide(SpecNormalizer.layer)
  )
const errorsOf = (spec: unknown, options?: NormalizeOptions) =>
  Effect.map(
    Effect.flip(normalize(spec, options)),
    ({ errors }) => errors.map(({ code, hint, message, path }) => `${code} ${path}: ${message} | ${hint}`)
  )
const bindingsOf = (spec: unknown, options?: NormalizeOptions) =>
  Effect.map(normalize(spec, options), ({ pipeline }) => pipeline.provider_bindings)

const minimal = {
  schema_version: "v1.0",
  pipeline_id: "demo",
  pipeline_version: "demo/1",
  allowed_adaptive_actions: ["fallback"]
}
const plain = ["language_model"] as const

/** A spec of the simple graph, whose own nodes name no provider, with more models, voices and custom nodes. */
const specOf = (nodes: Nodes, more: object = {}) => {
  const graph = extended(
    nodes,
    Object.entries(nodes).flatMap(([id, [type]]) =>
      type === "text_to_speech"
        ? [edge("sentences", "segment", id), edge(id, "voice", "output")]
        : [
          edge("turn", "transcript", id),
          edge(id, type === "language_model" ? "text" : "transcript", type === "language_model" ? "sentences" : "llm")
        ]
    )
  )
  return {
    ...minimal,
    providers: { stt: "embedded/moonshine", llm: "embedded/rules", tts: "embedded/flite" },
    nodes: graph.nodes.map((
      { provider_id, ...node },
      i
    ) => (i < 8 || provider_id === undefined ? node : { ...node, provider_id })),
    edges: graph.edges,
    ...more
  }
}

const refused = (name: string, spec: unknown, expected: ReadonlyArray<string>, options?: NormalizeOptions) =>
  it.effect(name, () => Effect.map(errorsOf(spec, options), (errors) => assert.deepStrictEqual(errors, expected)))

describe("provider bindings", () => {
  it.effect("are called by modality while one node calls it", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* bindingsOf(specOf({})), {
        stt: "embedded/moonshine",
        llm: "embedded/rules",
        tts: "embedded/flite"
      })
    }))

  it.effect("are called by modality and node where several call it", () =>
    Effect.gen(function*() {
      const { pipeline } = yield* normalize(
        specOf({ big: ["language_model", { provider_id: "openai/compatible" }], spare: voice })
      )
      assert.deepStrictEqual(pipeline.provider_bindings, {
        stt: "embedded/moonshine",
        "llm.llm": "embedded/rules",
        "llm.big": "openai/compatible",
        "tts.tts": "embedded/flite",
        "tts.spare": "embedded/flite"
      })
      assert.strictEqual(pipeline.sources["provider_bindings[\"llm.big\"]"], "explicit")
      assert.isTrue(validate("normalized_pipeline", pipeline).ok)
    }))

  it.effect("fill every node of the modality that names none", () =>
    Effect.gen(function*() {
      const bindings = yield* bindingsOf(specOf({ a: plain, b: ["language_model", { provider_id: "x/y" }] }))
      assert.deepStrictEqual([bindings["llm.llm"], bindings["llm.a"], bindings["llm.b"]], [
        "embedded/rules",
        "embedded/rules",
        "x/y"
      ])
    }))

  it.effect("are called external and the node's id for implementations, which a text filter need not name", () =>
    Effect.gen(function*() {
      const { pipeline } = yield* normalize(specOf({ topic: custom(), mask: ["text_filter"] }))
      const { "external.mask": mask, "external.topic": topic } = pipeline.provider_bindings
      assert.deepStrictEqual([mask, topic], ["builtin/text_filter", "example/topic_router"])
      assert.deepStrictEqual(
        [
          pipeline.sources["provider_bindings[\"external.mask\"]"],
          pipeline.sources["provider_bindings[\"external.topic\"]"]
        ],
        ["execution_profile_default", "explicit"]
      )
    }))

  it.effect("name the nodes of subgraphs as they are written out", () =>
    Effect.gen(function*() {
      const mind = { nodes: [{ node_id: "mind", node_type: "language_model" }], edges: [], entry: "mind", exit: "mind" }
      const spec = specOf({ a: plain }, { subgraphs: { mind } })
      const nodes = spec.nodes.map((node) =>
        node.node_id === "a" ? { node_id: "a", node_type: "subgraph", subgraph: "mind" } : node
      )
      const { pipeline } = yield* normalize({ ...spec, nodes })
      assert.strictEqual(pipeline.provider_bindings["llm.a/mind"], "embedded/rules")
      assert.strictEqual(pipeline.edge_buffer_policies["turn.transcript.a"]?.strategy, "block")
    }))

  it.effect("name who stands in", () =>
    Effect.gen(function*() {
      const { pipeline } = yield* normalize({ ...minimal, fallback_providers: { llm: "x/y", tts: "x/voice" } })
      assert.deepStrictEqual(pipeline.provider_bindings, {
        stt: "embedded/moonshine",
        llm: "embedded/rules",
        tts: "embedded/flite",
        "llm.fallback": "x/y",
        "tts.fallback": "x/voice"
      })
      assert.strictEqual(pipeline.sources["provider_bindings[\"llm.fallback\"]"], "explicit")
    }))

  const known = { providers: ["embedded/moonshine", "embedded/rules", "embedded/flite", "example/topic_router"] }
  it.effect("are of known providers and implementations; the built-in filter is always there", () =>
    bindingsOf(specOf({ topic: custom(), mask: ["text_filter", { provider_id: "builtin/text_filter" }] }), known))
  refused(
    "are refused with implementations and stand-ins that are not there",
    specOf({ topic: custom("example/topic_rooter"), mask: ["text_filter", { provider_id: "example/mask" }] }, {
      fallback_providers: { tts: "embedded/flit" }
    }),
    [
      "provider_unknown fallback_providers.tts: fallback_providers.tts: there is no provider \"embedded/flit\" | Did you mean \"embedded/flite\"?",
      "provider_unknown nodes[8].provider_id: nodes[8].provider_id: there is no implementation \"example/topic_rooter\" | Did you mean \"example/topic_router\"?",
      "provider_unknown nodes[9].provider_id: nodes[9].provider_id: there is no implementation \"example/mask\" | Implementations here: embedded/moonshine, embedded/rules, embedded/flite, example/topic_router."
    ],
    known
  )
  refused("are refused with a provider of another modality, where it is known which are of which", {
    ...minimal,
    providers: { llm: "embedded/flite" }
  }, [
    "provider_unknown providers.llm: providers.llm: there is no provider \"embedded/flite\" | Providers here: embedded/rules."
  ], { providers: { stt: [], llm: ["embedded/rules"], tts: ["embedded/flite"], external: [] } })
  refused("are refused under a name that stands for a stand-in", specOf({ fallback: model, "x.fallback": custom() }), [
    "node_id_reserved nodes[8].node_id: node \"fallback\" has a provider of its own and a name that stands for a stand-in | Give it an id that does not end in fallback.",
    "node_id_reserved nodes[9].node_id: node \"x.fallback\" has a provider of its own and a name that stands for a stand-in | Give it an id that does not end in fallback."
  ])
  refused("are refused where a stand-in would stand in for itself", {
    ...minimal,
    fallback_providers: { llm: "embedded/rules" }
  }, [
    "provider_not_needed fallback_providers.llm: fallback_providers.llm is embedded/rules, which is the provider that it would stand in for | Name another provider, or remove it."
  ])
  const ownModels = (() => {
    const spec = specOf({ a: ["language_model", { provider_id: "x/y" }] })
    return { ...spec, nodes: spec.nodes.map((node) => node.node_id === "llm" ? { ...node, provider_id: "x/z" } : node) }
  })()
  refused("are refused where each node names its own and the spec another", ownModels, [
    "provider_not_needed providers.llm: providers.llm is embedded/rules, but each language_model node names its own provider | Remove it, or add a language_model without provider_id."
  ])
  const withoutModel = (() => {
    const spec = specOf({ answer: ["custom", { provider_id: "example/answer" }] }, {
      fallback_providers: { llm: "x/y" }
    })
    const edges = spec.edges.filter((one) => one.from_node_id !== "llm" && one.to_node_id !== "llm")
    return {
      ...spec,
      nodes: spec.nodes.filter((node) => node.node_id !== "llm"),
      edges: [...edges, edge("answer", "text", "sentences")]
    }
  })()
  refused("are refused for a modality that no node calls", withoutModel, [
    "provider_not_needed fallback_providers.llm: fallback_providers.llm is x/y, but no node calls a provider of this kind | Name another provider, or remove it.",
    "provider_not_needed providers.llm: providers.llm is embedded/rules, but no node calls a provider of this kind | Remove it, or add a node without provider_id."
  ])
})

describe("edges of a graph", () => {
  it.effect("have the policy of what they carry, fallback edges included", () =>
    Effect.gen(function*() {
      const graph = extended({ spare: voice, mask: ["text_filter"] }, [
        edge("tts", "segment", "spare", { fallback_on: ["error"] }),
        edge("spare", "voice", "output"),
        edge("turn", "transcript", "mask"),
        edge("mask", "transcript", "llm", { condition: { fact: "words", is: "at_least", value: 2 } })
      ])
      const { pipeline } = yield* normalize({
        ...minimal,
        nodes: graph.nodes,
        edges: graph.edges,
        edge_buffer_policies: { "tts.segment.spare.fallback": { max_queue_items: 9 } }
      })
      const policies = pipeline.edge_buffer_policies
      assert.deepStrictEqual(Object.keys(policies).sort(), pipeline.graph.edges.map((one) => one.edge_id))
      assert.deepStrictEqual(
        [
          policies["tts.segment.spare.fallback"]?.max_queue_items,
          policies["tts.segment.spare.fallback"]?.defaulting_source
        ],
        [9, "explicit_edge_config"]
      )
      assert.deepStrictEqual(policies["mask.transcript.llm"], policies["turn.transcript.llm"])
      assert.deepStrictEqual(policies["spare.voice.output"], policies["tts.voice.output"])
    }))
})

describe("what stands by for failures", () => {
  const unused = {
    ...specOf({ mask: ["text_filter", { optional: true }], b: ["language_model", { provider_id: "x/y" }] }, {
      allowed_adaptive_actions: ["retry"],
      fallback_providers: { llm: "x/z" }
    })
  }
  refused("is refused where the plan does not allow what it needs", {
    ...unused,
    edges: [...unused.edges, edge("llm", "transcript", "b", { fallback_on: ["error"] })]
  }, [
    "action_not_allowed edges[13].fallback_on: edge \"llm.transcript.b.fallback\" is a fallback, which allowed_adaptive_actions does not allow | Add fallback to allowed_adaptive_actions.",
    "action_not_allowed fallback_providers.llm: fallback_providers.llm stands in for another, which allowed_adaptive_actions does not allow | Add provider_switch or fallback to allowed_adaptive_actions.",
    "action_not_allowed nodes[8].optional: node \"mask\" is optional, which allowed_adaptive_actions does not allow | Add degrade to allowed_adaptive_actions."
  ])
  it.effect("is accepted where the plan allows one of what it needs", () =>
    bindingsOf({ ...unused, allowed_adaptive_actions: ["provider_switch", "degrade"] }))
})

describe("a spec whose form is wrong", () => {
  refused("has its graph judged too, subgraphs included, and each unknown name told once", {
    ...specOf({ a: plain }, {
      budgets: { turn_budget_ms: 0 },
      subgraphs: {
        mind: { nodes: [{ node_id: "m", node_type: "languag_model" }], edges: [], entry: "m", exit: "m" },
        idle: { nodes: [{ node_id: "m", node_type: "languag_model" }], edges: [], entry: "m", exit: "m" }
      }
    }),
    nodes: [...specOf({}).nodes, { node_id: "a", node_type: "subgraph", subgraph: "mind" }]
  }, [
    "bad_value budgets.turn_budget_ms: budgets.turn_budget_ms must be a value of at least 1, not 0 | Correct turn_budget_ms, or leave it out if it has a default.",
    "subgraph_unused subgraphs.idle: the subgraph \"idle\" is never used | Add a node with node_type subgraph and subgraph idle, or remove it.",
    "bad_value subgraphs.idle.nodes[0].node_type: subgraphs.idle.nodes[0].node_type must be one of \"audio_input\", \"voice_activity\", \"speech_to_text\", \"turn_detector\", \"language_model\", \"sentence_segmenter\", \"text_to_speech\", \"audio_output\", \"text_filter\", \"merge\", \"select\", \"transcript_sink\", \"custom\", \"subgraph\", not \"languag_model\" | Did you mean \"language_model\"?",
    "node_type_unknown subgraphs.mind.nodes[0].node_type: node \"a/m\" has the unknown type \"languag_model\" | Did you mean \"language_model\"?"
  ])
  refused("is told what is wrong with a condition's form", {
    ...specOf({}),
    edges: specOf({}).edges.map((one, i) =>
      i === 5 ? { ...one, condition: { fact: "word", is: "at_most" }, fallback_on: [] } : one
    )
  }, [
    "bad_value edges[5].condition.fact: edges[5].condition.fact must be one of \"words\", \"length\", \"complete\", \"label\", not \"word\" | Did you mean \"words\"?",
    "missing_key edges[5].condition.value: edges[5].condition.value is missing | Add value to edges[5].condition.",
    "bad_value edges[5].fallback_on: edges[5].fallback_on must be a list of at least 1 | Correct fallback_on, or leave it out if it has a default."
  ])
})
