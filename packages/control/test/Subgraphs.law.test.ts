import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import type { GraphSource, SourceEdge, SourceNode, SourceSubgraph } from "../src/GraphSource.ts"
import { compile, edge, errorsOf, extended, model, nodesOf, shuffled, simple, voice } from "./support/Graphs.ts"
import type { Nodes } from "./support/Graphs.ts"

const subgraph = (
  nodes: Nodes,
  edges: ReadonlyArray<SourceEdge>,
  ends: { readonly entry: string; readonly exit: string }
): SourceSubgraph => ({ nodes: nodesOf(nodes), edges, ...ends })

const copyOf = (name: string) => ["subgraph", { subgraph: name }] as const

/** A model, its sentences, a mask and a voice: from a transcript to the agent's speech. */
const speaker = subgraph(
  { mind: model, cut: ["sentence_segmenter"], mask: ["text_filter"], mouth: voice },
  [
    edge("mind", "text", "cut"),
    edge("cut", "segment", "mask", { edge_id: "sentences" }),
    edge("mask", "segment", "mouth"),
    edge("mask", "segment", "mouth", { fallback_on: ["error"] })
  ],
  { entry: "mind", exit: "mouth" }
)

/** Two copies of `speaker`, of which the better one is heard. */
const twice: GraphSource = {
  ...simple,
  nodes: [
    ...simple.nodes.filter(({ node_id }) => ["input", "vad", "stt", "turn", "output"].includes(node_id)),
    ...nodesOf({
      a: copyOf("speaker"),
      b: copyOf("speaker"),
      pick: ["select", { select: { rule: "preferred", order: ["b.voice.pick", "a.voice.pick"], wait_ms: 100 } }]
    })
  ],
  edges: [
    ...simple.edges.slice(0, 5),
    edge("turn", "transcript", "a"),
    edge("turn", "transcript", "b"),
    edge("a", "voice", "pick"),
    edge("b", "voice", "pick"),
    edge("pick", "voice", "output")
  ],
  subgraphs: { speaker }
}

const refused = (name: string, source: GraphSource, expected: ReadonlyArray<string>) =>
  it.effect(name, () => Effect.map(errorsOf(source), (errors) => assert.deepStrictEqual(errors, expected)))

describe("subgraphs", () => {
  it.effect("are written out: `x/a` for the node a of the copy x, edges as they are written behind the copy's name", () =>
    Effect.gen(function*() {
      const graph = yield* compile(twice)
      assert.deepStrictEqual(
        graph.nodes.map((node) => node.node_id).filter((id) => !simple.nodes.some((node) => node.node_id === id)),
        ["a/cut", "a/mask", "a/mind", "a/mouth", "b/cut", "b/mask", "b/mind", "b/mouth", "pick"]
      )
      assert.deepStrictEqual(
        graph.edges.slice(0, 10).map((one) => [one.edge_id, one.from_node_id, one.to_node_id]),
        [
          ["a.voice.pick", "a/mouth", "pick"],
          ["a/mask.segment.mouth", "a/mask", "a/mouth"],
          ["a/mask.segment.mouth.fallback", "a/mask", "a/mouth"],
          ["a/mind.text.cut", "a/mind", "a/cut"],
          ["a/sentences", "a/cut", "a/mask"],
          ["b.voice.pick", "b/mouth", "pick"],
          ["b/mask.segment.mouth", "b/mask", "b/mouth"],
          ["b/mask.segment.mouth.fallback", "b/mask", "b/mouth"],
          ["b/mind.text.cut", "b/mind", "b/cut"],
          ["b/sentences", "b/cut", "b/mask"]
        ]
      )
    }))

  it.effect("put their name before the edges that a select in them prefers, and may stand in one another", () =>
    Effect.gen(function*() {
      const inner = subgraph({ mind: model }, [], { entry: "mind", exit: "mind" })
      const outer = subgraph(
        {
          split: ["text_filter"],
          x: copyOf("inner"),
          y: copyOf("inner"),
          pick: ["select", { select: { rule: "preferred", order: ["x.text.pick"], wait_ms: 1 } }]
        },
        [
          edge("split", "transcript", "x"),
          edge("split", "transcript", "y"),
          edge("x", "text", "pick"),
          edge("y", "text", "pick")
        ],
        { entry: "split", exit: "pick" }
      )
      const graph = yield* compile({
        ...extended({ minds: copyOf("outer") }, [
          edge("turn", "transcript", "minds"),
          edge("minds", "text", "sentences")
        ]),
        subgraphs: { inner, outer }
      })
      assert.deepStrictEqual(graph.nodes.find((node) => node.node_id === "minds/pick")?.select?.order, [
        "minds/x.text.pick"
      ])
      assert.deepStrictEqual(
        graph.edges.filter((one) => one.from_node_id.startsWith("minds/")).map((one) => [
          one.edge_id,
          one.from_node_id,
          one.to_node_id
        ]),
        [
          ["minds.text.sentences", "minds/pick", "sentences"],
          ["minds/split.transcript.x", "minds/split", "minds/x/mind"],
          ["minds/split.transcript.y", "minds/split", "minds/y/mind"],
          ["minds/x.text.pick", "minds/x/mind", "minds/pick"],
          ["minds/y.text.pick", "minds/y/mind", "minds/pick"]
        ]
      )
    }))

  it.effect.prop("compile to the same graph in whatever order they are written (G1)", [
    Schema.Array(Schema.Int),
    Schema.Array(Schema.Int)
  ], ([a, b]) =>
    Effect.gen(function*() {
      const turned = { ...speaker, nodes: shuffled(speaker.nodes, b), edges: shuffled(speaker.edges, a) }
      const other = yield* compile({
        ...twice,
        nodes: shuffled(twice.nodes, a),
        edges: shuffled(twice.edges, b),
        subgraphs: { speaker: turned }
      })
      assert.strictEqual(JSON.stringify(other), JSON.stringify(yield* compile(twice)))
    }))

  // A chain of text filters, cut into copies of one subgraph wherever `shape` says so.
  const Shape = Schema.Array(Schema.Struct({
    length: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 4 })),
    nested: Schema.Boolean
  })).check(Schema.isMaxLength(6))

  it.effect.prop("compile to the graph that is written out by hand (G1)", [Shape], ([shape]) =>
    Effect.gen(function*() {
      const subgraphs: Record<string, SourceSubgraph> = {}
      const [nodes, flatNodes]: [Array<SourceNode>, Array<SourceNode>] = [[], []]
      const [edges, flatEdges]: [Array<SourceEdge>, Array<SourceEdge>] = [[], []]
      let [from, flatFrom] = ["sentences", "sentences"]
      for (const [i, { length, nested }] of shape.entries()) {
        const names = Array.from({ length }, (_, k) => `f${k}`)
        const links = names.slice(1).map((to, k) => edge(names[k] ?? "", "segment", to))
        subgraphs[`s${i}`] = subgraph(
          Object.fromEntries(names.map((name) => [name, ["text_filter", { optional: true }]])),
          links,
          { entry: "f0", exit: names.at(-1) ?? "" }
        )
        if (nested) subgraphs[`o${i}`] = subgraph({ in: copyOf(`s${i}`) }, [], { entry: "in", exit: "in" })
        nodes.push({ node_id: `c${i}`, node_type: "subgraph", subgraph: nested ? `o${i}` : `s${i}` })
        edges.push(edge(from, "segment", `c${i}`))
        const prefix = nested ? `c${i}/in/` : `c${i}/`
        for (const name of names) {
          flatNodes.push({ node_id: `${prefix}${name}`, node_type: "text_filter", optional: true })
        }
        for (const link of links) {
          const id = `${prefix}${link.from_node_id}.segment.${link.to_node_id}`
          flatEdges.push(
            edge(`${prefix}${link.from_node_id}`, "segment", `${prefix}${link.to_node_id}`, { edge_id: id })
          )
        }
        flatEdges.push(edge(flatFrom, "segment", `${prefix}f0`, { edge_id: `${from}.segment.c${i}` }))
        from = `c${i}`
        flatFrom = `${prefix}${names.at(-1)}`
      }
      edges.push(edge(from, "segment", "tts"))
      flatEdges.push(edge(flatFrom, "segment", "tts", { edge_id: `${from}.segment.tts` }))
      const rest = simple.edges.filter((one) => one.payload_kind !== "segment")
      assert.deepStrictEqual(
        yield* compile({ ...simple, nodes: [...simple.nodes, ...nodes], edges: [...rest, ...edges], subgraphs }),
        yield* compile({ ...simple, nodes: [...simple.nodes, ...flatNodes], edges: [...rest, ...flatEdges] })
      )
    }))
})

describe("a graph with subgraphs is refused", () => {
  const mind = subgraph({ mind: model }, [], { entry: "mind", exit: "mind" })
  const used = (nodes: Nodes, subgraphs: Readonly<Record<string, SourceSubgraph>>): GraphSource => ({
    ...extended(
      nodes,
      Object.keys(nodes).flatMap((id) => [
        edge("turn", "transcript", id),
        edge(id, "text", "sentences")
      ])
    ),
    subgraphs
  })

  refused("with a copy of nothing", used({ a: ["subgraph"] }, {}), [
    "subgraph_missing nodes[8]: node \"a\" is a subgraph and does not say which | Add subgraph with the name of one of the spec's subgraphs."
  ])
  refused("with a copy of a subgraph that is not there", used({ a: copyOf("mnid"), b: copyOf("mind") }, { mind }), [
    "subgraph_unknown nodes[8].subgraph: node \"a\" is a copy of the subgraph \"mnid\", which does not exist | Did you mean \"mind\"?"
  ])
  refused("with a subgraph that is never used, even by one that is not used either", {
    ...simple,
    subgraphs: { mind, outer: subgraph({ a: copyOf("mind") }, [], { entry: "a", exit: "a" }) }
  }, [
    "subgraph_unused subgraphs.mind: the subgraph \"mind\" is never used | Add a node with node_type subgraph and subgraph mind, or remove it.",
    "subgraph_unused subgraphs.outer: the subgraph \"outer\" is never used | Add a node with node_type subgraph and subgraph outer, or remove it."
  ])
  refused("with a subgraph on another node, and with options on a copy", {
    ...used({ a: ["subgraph", { subgraph: "mind", provider_id: "x/y", optional: true }] }, { mind }),
    nodes: [
      ...simple.nodes.map((node) => (node.node_id === "tts" ? { ...node, subgraph: "mind" } : node)),
      { node_id: "a", node_type: "subgraph", subgraph: "mind", provider_id: "x/y", optional: true }
    ]
  }, [
    "node_option_unused nodes[6].subgraph: node \"tts\" has a subgraph, but its node_type is text_to_speech | Write node_type subgraph, or remove subgraph from the node.",
    "node_option_unused nodes[8].optional: node \"a\" is a copy of a subgraph and has optional | Write optional on the nodes of the subgraph.",
    "node_option_unused nodes[8].provider_id: node \"a\" is a copy of a subgraph and has provider_id | Write provider_id on the nodes of the subgraph."
  ])
  refused(
    "with an entry or an exit that is not in it",
    used({ a: copyOf("mind") }, {
      mind: { ...mind, entry: "mnd", exit: "llm" }
    }),
    [
      "subgraph_end_unknown subgraphs.mind.entry: the entry of the subgraph \"mind\" is \"mnd\", which is no node of it | Did you mean \"mind\"?",
      "subgraph_end_unknown subgraphs.mind.exit: the exit of the subgraph \"mind\" is \"llm\", which is no node of it | Nodes here: mind."
    ]
  )
  refused(
    "with subgraphs that contain themselves",
    used({ a: copyOf("one") }, {
      one: subgraph({ x: copyOf("two") }, [], { entry: "x", exit: "x" }),
      two: subgraph({ x: copyOf("one") }, [], { entry: "x", exit: "x" })
    }),
    [
      "subgraph_recursive subgraphs.two: a subgraph contains itself: one → two → one | Remove the copy of one from two."
    ]
  )
  const nested = (depth: number) =>
    used({ a: copyOf(`s${depth}`) }, {
      s1: mind,
      ...Object.fromEntries(
        Array.from(
          { length: depth - 1 },
          (_, i) => [`s${i + 2}`, subgraph({ x: copyOf(`s${i + 1}`) }, [], { entry: "x", exit: "x" })]
        )
      )
    })
  it.effect("but not with eight in one another", () => compile(nested(8)))
  refused("with nine in one another", nested(9), [
    "subgraph_too_deep nodes[8].subgraph: node \"a\" holds subgraphs 9 deep; at most 8 are expanded | Write the innermost subgraphs out."
  ])
  const filters = subgraph(
    Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`f${i}`, ["text_filter"]])),
    [],
    { entry: "f0", exit: "f59" }
  )
  const sixty = (name: string) =>
    subgraph(Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`x${i}`, copyOf(name)])), [], {
      entry: "x0",
      exit: "x0"
    })
  refused(
    "when it would become too large, without being written out",
    used({ a: copyOf("s3") }, {
      s1: filters,
      s2: sixty("s1"),
      s3: sixty("s2")
    }),
    [
      "graph_too_large nodes: the graph has 216008 nodes and 11 edges; at most 64 and 256 are compiled | Split the pipeline."
    ]
  )
  refused("when a subgraph is too large, or there are too many", {
    ...simple,
    subgraphs: {
      many: { ...mind, nodes: Array.from({ length: 65 }, (_, i) => ({ node_id: `n${i}`, node_type: "x" })) },
      ...Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`s${i}`, mind]))
    }
  }, [
    "graph_too_large subgraphs: the spec has 65 subgraphs; at most 64 are compiled | Split the pipeline.",
    "graph_too_large subgraphs.many.nodes: the subgraph \"many\" has 65 nodes and 0 edges; at most 64 and 256 are compiled | Split the pipeline."
  ])
  refused("with an edge past an entry or exit", {
    ...used({ a: copyOf("mind") }, { mind }),
    edges: [
      ...simple.edges,
      edge("turn", "transcript", "a/mind"),
      edge("a/mind", "text", "sentences")
    ]
  }, [
    "edge_into_subgraph edges[9].to_node_id: edge \"turn.transcript.a/mind\" names \"a/mind\", which stands inside of \"a\" | Name a: edges arrive at its entry and leave at its exit.",
    "edge_into_subgraph edges[10].from_node_id: edge \"a/mind.text.sentences\" names \"a/mind\", which stands inside of \"a\" | Name a: edges arrive at its entry and leave at its exit."
  ])
  refused("with a copy and a node of one name", {
    ...used({ a: copyOf("mind") }, { mind }),
    nodes: [...simple.nodes, { node_id: "tts", node_type: "subgraph", subgraph: "mind" }]
  }, [
    "node_id_duplicate nodes[8].node_id: a copy of a subgraph and another node are both called \"tts\" | Give each node an id of its own."
  ])
  refused("with a node that is called like one inside of a copy", {
    ...used({ a: copyOf("mind") }, { mind }),
    nodes: [
      ...simple.nodes,
      { node_id: "a", node_type: "subgraph", subgraph: "mind" },
      { node_id: "a/mind", node_type: "text_filter" }
    ]
  }, [
    "node_id_duplicate nodes[9].node_id: nodes[9] and subgraphs.mind.nodes[0] are both called \"a/mind\" | Give each node an id of its own."
  ])
  refused(
    "where the fault is in a subgraph, at its place in it",
    used({ a: copyOf("mind") }, {
      mind: subgraph({ mind: ["language_model"], cut: ["sentence_segmentr"] }, [
        edge("mind", "text", "cut"),
        edge("mind", "txt", "ctu")
      ], { entry: "mind", exit: "cut" })
    }),
    [
      "payload_kind_unknown subgraphs.mind.edges[1].payload_kind: edge \"a/mind.txt.ctu\" carries the unknown payload kind \"txt\" | Did you mean \"text\"?",
      "edge_node_unknown subgraphs.mind.edges[1].to_node_id: edge \"a/mind.txt.ctu\" names the node \"a/ctu\", which does not exist | Did you mean \"a/cut\"?",
      "node_type_unknown subgraphs.mind.nodes[1].node_type: node \"a/cut\" has the unknown type \"sentence_segmentr\" | Did you mean \"sentence_segmenter\"?"
    ]
  )
})
