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
import { shapeErrors } from "./internal/GraphShape.ts"
import type { KnownGraph } from "./internal/GraphShape.ts"
import { laneOf } from "./NodeTypes.ts"
import { SpecRejected } from "./SpecError.ts"

/**
 * Graph compiler (CP-03): nodes and edges → `GraphDefinition`.
 *
 * Guarantees:
 * - **G1** the same graph, written in any order, compiles to the same definition and the same `graph_definition_ref`;
 *   any other graph, pipeline id or version gives another ref.
 * - **G2** ids are unique and stable: an edge without an id is called `<from>.<payload_kind>.<to>`.
 * - **G3** the result is one acyclic chain that the kernel can run: each node type exactly once, every input
 *   connected, every connection between ports that fit, every node on a way from audio input to audio output, a provider
 *   on each node that calls one.
 *
 * `compile` fails with {@link SpecRejected}, which holds everything that was found, each naming node or edge and rule.
 * It does not know which providers are installed; the normalizer checks that.
 */
export class GraphCompiler extends Context.Service<GraphCompiler, {
  readonly compile: (source: GraphSource) => Effect.Effect<GraphDefinition, SpecRejected>
}>()("rspp/GraphCompiler") {
  static readonly layer: Layer.Layer<GraphCompiler> = Layer.sync(GraphCompiler, () => GraphCompiler.of({ compile }))
}

const compile = Effect.fn("GraphCompiler.compile")(
  function*(source: GraphSource): Effect.fn.Return<GraphDefinition, SpecRejected> {
    const errors = [...formErrors(source)]
    // a graph whose parts are unknown or ambiguous has no shape to judge: more errors would only be echoes
    if (errors.length === 0) errors.push(...shapeErrors(source as KnownGraph))
    if (errors.length > 0) return yield* SpecRejected.of(errors)
    return define(source as KnownGraph)
  }
)

/** The definition of a graph without errors. Sorted by id, so that the order of writing does not show (G1). */
const define = ({ edges, nodes, pipeline_id, pipeline_version }: KnownGraph): GraphDefinition => {
  const content = {
    schema_version: schemaVersion,
    pipeline_id,
    pipeline_version,
    nodes: nodes
      .map(({ node_id, node_type, provider_id }): GraphNode => ({
        node_id,
        node_type,
        ...(provider_id === undefined ? {} : { provider_id })
      }))
      .sort((a, b) => byCodeUnit(a.node_id, b.node_id)),
    edges: edges
      .map((edge): GraphEdge => ({
        edge_id: edgeIdOf(edge),
        from_node_id: edge.from_node_id,
        to_node_id: edge.to_node_id,
        payload_kind: edge.payload_kind,
        lane: laneOf(edge.payload_kind)
      }))
      .sort((a, b) => byCodeUnit(a.edge_id, b.edge_id))
  }
  return { ...content, graph_definition_ref: `sha256:${contentHash(content)}` }
}
