import { Effect } from "effect"
import { GraphCompiler } from "../../src/GraphCompiler.ts"
import { edgeIdOf } from "../../src/GraphSource.ts"
import type { GraphSource, SourceEdge, SourceNode } from "../../src/GraphSource.ts"
import { nodePorts } from "../../src/NodeTypes.ts"
import { simpleGraph, simpleProviders } from "../../src/SimpleGraph.ts"

export const simple: GraphSource = {
  pipeline_id: "demo",
  pipeline_version: "demo/1",
  nodes: simpleGraph.nodes.map((node) => {
    const modality = nodePorts[node.node_type].provider
    return modality === undefined ? node : { ...node, provider_id: simpleProviders[modality] }
  }),
  edges: simpleGraph.edges
}

export const compile = (source: GraphSource) =>
  Effect.flatMap(GraphCompiler, (compiler) => compiler.compile(source)).pipe(Effect.provide(GraphCompiler.layer))

/** The errors of a graph, as `code path: message | hint`. */
export const errorsOf = (source: GraphSource) =>
  Effect.map(
    Effect.flip(compile(source)),
    ({ errors }) => errors.map(({ code, hint, message, path }) => `${code} ${path}: ${message} | ${hint}`)
  )

export const edge = (from: string, kind: string, to: string, more: Partial<SourceEdge> = {}): SourceEdge => ({
  from_node_id: from,
  to_node_id: to,
  payload_kind: kind,
  ...more
})

/** The id of each node, then its type and whatever else it says. */
export type Nodes = Readonly<Record<string, readonly [type: string, more?: Partial<SourceNode>]>>

export const nodesOf = (nodes: Nodes): ReadonlyArray<SourceNode> =>
  Object.entries(nodes).map(([node_id, [node_type, more]]) => ({ node_id, node_type, ...more }))

/** The simple graph without some of its edges, and with more nodes and edges behind its own (8 nodes, 9 edges). */
export const extended = (
  nodes: Nodes,
  edges: ReadonlyArray<SourceEdge>,
  without: ReadonlyArray<string> = []
): GraphSource => ({
  ...simple,
  nodes: [...simple.nodes, ...nodesOf(nodes)],
  edges: [...simple.edges.filter((old) => !without.includes(edgeIdOf(old))), ...edges]
})

export const custom = (provider_id = "example/topic_router") => ["custom", { provider_id }] as const
export const model = ["language_model", { provider_id: "embedded/rules" }] as const
export const voice = ["text_to_speech", { provider_id: "embedded/flite" }] as const

export const shuffled = <A>(items: ReadonlyArray<A>, order: ReadonlyArray<number>): ReadonlyArray<A> =>
  items.map((item, i) => [order[i % Math.max(1, order.length)] ?? 0, i, item] as const)
    .sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(([, , item]) => item)
