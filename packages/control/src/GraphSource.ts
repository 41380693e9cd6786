import type { PipelineEdge, PipelineNode } from "@rspp/contracts/PipelineSpec"
import type { FieldPath } from "./internal/FieldPath.ts"

/**
 * A graph as it is written. Types and kinds are plain strings, so that the compiler can say what an unknown one was
 * probably meant to be.
 */
export interface GraphSource {
  readonly pipeline_id: string
  readonly pipeline_version: string
  readonly nodes: ReadonlyArray<SourceNode>
  readonly edges: ReadonlyArray<SourceEdge>
  readonly subgraphs?: Readonly<Record<string, SourceSubgraph>>
}

/** Where a node or edge stands in the spec, for its errors; absent: at its own place in `nodes` or `edges`. */
interface Written {
  readonly at?: FieldPath
}

export interface SourceNode extends Omit<PipelineNode, "node_type">, Written {
  readonly node_type: string
}

export interface SourceEdge extends Omit<PipelineEdge, "payload_kind">, Written {
  readonly payload_kind: string
}

export interface SourceSubgraph {
  readonly nodes: ReadonlyArray<SourceNode>
  readonly edges: ReadonlyArray<SourceEdge>
  readonly entry: string
  readonly exit: string
}

/** The id of an edge: as given, or `<from>.<payload_kind>.<to>`, with `.fallback` behind it for a fallback edge. */
export const edgeIdOf = (edge: SourceEdge): string =>
  edge.edge_id ??
    `${edge.from_node_id}.${edge.payload_kind}.${edge.to_node_id}${edge.fallback_on === undefined ? "" : ".fallback"}`

/** Most nodes and edges that are compiled, subgraphs expanded. The bound keeps a broken generator out. */
export const maxNodes = 64
export const maxEdges = 256

/** How deep copies of subgraphs may stand in one another. */
export const maxSubgraphDepth = 8
