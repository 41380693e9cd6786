import type { GraphDefinition } from "@rspp/contracts/GraphDefinition"
import { Context, Layer } from "effect"

type Node = GraphDefinition["nodes"][number]
type Edge = GraphDefinition["edges"][number]

/** The graph of one session, resolved once. */
export interface SessionGraph {
  /** The id of the node of a type. */
  readonly nodeId: (type: Node["node_type"]) => string
  /** The edge that carries a kind of payload towards a type of node. */
  readonly edgeInto: (type: Node["node_type"], kind: Edge["payload_kind"]) => string
}

/**
 * Graph executor (RK-07): knows which node takes what a node puts out, by the compiled graph of the pipeline.
 *
 * Guarantees: I-GRAPH-ROUTE a payload moves only along an edge of the compiled graph, and every event names that edge.
 */
export class GraphExecutor extends Context.Service<GraphExecutor, {
  readonly open: (graph: GraphDefinition) => SessionGraph
}>()("rspp/GraphExecutor") {
  static readonly layer = Layer.succeed(GraphExecutor, {
    open: (graph) => {
      const nodeId = (type: Node["node_type"]): string => {
        const node = graph.nodes.find((candidate) => candidate.node_type === type)
        if (node === undefined) throw new Error(`the graph has no ${type} node`)
        return node.node_id
      }
      return {
        nodeId,
        edgeInto: (type, kind) => {
          const into = nodeId(type)
          const edge = graph.edges.find((candidate) =>
            candidate.to_node_id === into && candidate.payload_kind === kind
          )
          if (edge === undefined) throw new Error(`the graph has no ${kind} edge into ${into}`)
          return edge.edge_id
        }
      }
    }
  })
}
