import type { GraphDefinition, GraphEdge, GraphNode } from "@rspp/contracts/GraphDefinition"
import { schemaVersion } from "@rspp/contracts/Identity"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { edgeIdOf } from "./GraphSource.ts"
import type { GraphSource } from "./GraphSource.ts"
import { contentHash } from "./internal/ContentHash.ts"
import { formErrors } from "./internal/GraphForm.ts"
import { byCodeUnit } from "./internal/GraphSearch.ts"
import type { KnownEdge, KnownGraph, KnownNode } from "./internal/GraphPorts.ts"
import { shapeErrors } from "./internal/GraphShape.ts"
import { expandSubgraphs } from "./internal/Subgraphs.ts"
import { builtInTextFilter, laneOf } from "./NodeTypes.ts"
import { SpecRejected } from "./SpecError.ts"

/**
 * Graph compiler (CP-03): nodes and edges → `GraphDefinition`.
 *
 * Guarantees:
 * - **G1** the same graph, written in any order, compiles to the same definition and the same `graph_definition_ref`;
 *   any other graph, pipeline id or version gives another ref. A graph is the same with its subgraphs written out.
 * - **G2** ids are unique and stable: an edge without an id is called `<from>.<payload_kind>.<to>`, a fallback edge
 *   `<from>.<payload_kind>.<to>.fallback`; what a copy `x` of a subgraph holds is called `x/<id>`.
 * - **G3** the result is an acyclic graph that the kernel can run: one way in, one place that decides on turns, one way
 *   out; every input connected, every connection between ports that fit, every node on a way from the audio input to the
 *   audio output, a transcript sink or a custom node that observes; every option, condition and fallback on a part that
 *   can follow it; a provider on each node that calls one, an implementation on each that runs one.
 *
 * `compile` fails with {@link SpecRejected}, which holds everything that was found, each naming node or edge and rule.
 * It does not know which providers are installed; the normalizer checks that. It does not know what a custom node emits;
 * the runtime checks that when a session starts.
 */
export class GraphCompiler extends Context.Service<GraphCompiler, {
  readonly compile: (source: GraphSource) => Effect.Effect<GraphDefinition, SpecRejected>
}>()("rspp/GraphCompiler") {
  static readonly layer: Layer.Layer<GraphCompiler> = Layer.sync(GraphCompiler, () => GraphCompiler.of({ compile }))
}

const compile = Effect.fn("GraphCompiler.compile")(
  function*(source: GraphSource): Effect.fn.Return<GraphDefinition, SpecRejected> {
    const { errors: found, graph } = expandSubgraphs(source)
    const errors = [...found]
    if (graph !== undefined) {
      const ofForm = [...formErrors(graph)]
      errors.push(...ofForm)
      // a graph whose parts are unknown or ambiguous has no shape to judge: more errors would only be echoes
      if (ofForm.length === 0) errors.push(...shapeErrors(graph as KnownGraph))
    }
    if (errors.length > 0 || graph === undefined) return yield* SpecRejected.of(errors)
    return define(graph as KnownGraph)
  }
)

/** The definition of a graph without errors. Sorted by id, so that the order of writing does not show (G1). */
const define = ({ edges, nodes, pipeline_id, pipeline_version }: KnownGraph): GraphDefinition => {
  const content = {
    schema_version: schemaVersion,
    pipeline_id,
    pipeline_version,
    nodes: nodes.map(nodeOf).sort((a, b) => byCodeUnit(a.node_id, b.node_id)),
    edges: edges.map(edgeOf).sort((a, b) => byCodeUnit(a.edge_id, b.edge_id))
  }
  return { ...content, graph_definition_ref: `sha256:${contentHash(content)}` }
}

const nodeOf = ({ node_id, node_type, optional, provider_id, select, settings }: KnownNode): GraphNode => {
  const runs = provider_id ?? (node_type === "text_filter" ? builtInTextFilter : undefined)
  const named = Object.entries(settings ?? {}).sort(([a], [b]) => byCodeUnit(a, b))
  return {
    node_id,
    node_type,
    ...(runs === undefined ? {} : { provider_id: runs }),
    // what says nothing is left out: it is the same graph without it
    ...(named.length === 0 ? {} : { settings: Object.fromEntries(named) }),
    ...(select === undefined ? {} : { select }),
    ...(optional === true ? { optional } : {})
  }
}

const edgeOf = (edge: KnownEdge): GraphEdge => ({
  edge_id: edgeIdOf(edge),
  from_node_id: edge.from_node_id,
  to_node_id: edge.to_node_id,
  payload_kind: edge.payload_kind,
  lane: laneOf(edge.payload_kind),
  ...(edge.condition === undefined ? {} : { condition: edge.condition }),
  ...(edge.fallback_on === undefined ? {} : { fallback_on: [...edge.fallback_on].sort(byCodeUnit) })
})
