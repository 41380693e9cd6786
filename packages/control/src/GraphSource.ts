/**
 * A graph as it is written. Types and kinds are plain strings, so that the compiler can say what an unknown one was
 * probably meant to be.
 */
export interface GraphSource {
  readonly pipeline_id: string
  readonly pipeline_version: string
  readonly nodes: ReadonlyArray<{ readonly node_id: string; readonly node_type: string; readonly provider_id?: string }>
  readonly edges: ReadonlyArray<SourceEdge>
}

export interface SourceEdge {
  readonly edge_id?: string
  readonly from_node_id: string
  readonly to_node_id: string
  readonly payload_kind: string
}

/** The id of an edge: as given, or `<from>.<payload_kind>.<to>`. */
export const edgeIdOf = (edge: SourceEdge): string =>
  edge.edge_id ?? `${edge.from_node_id}.${edge.payload_kind}.${edge.to_node_id}`

/** Most nodes and edges that are compiled. A pipeline has eight nodes; the bound keeps a broken generator out. */
export const maxNodes = 64
export const maxEdges = 256
