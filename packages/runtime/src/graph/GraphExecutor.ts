import type { GraphDefinition } from "@rspp/contracts/GraphDefinition"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Identity } from "../events/Identity.ts"
import { FlowControl } from "../flow/FlowControl.ts"
import type { Turn } from "../turn/Turn.ts"
import type { ReplyParts } from "./ReplyExecution.ts"
import { ReplyExecution } from "./ReplyExecution.ts"

type Node = GraphDefinition["nodes"][number]
type Edge = GraphDefinition["edges"][number]

/** The graph of one session, resolved once. */
export interface SessionGraph {
  /** The id of the node of a type. Dies when the compiled graph has none. */
  readonly nodeId: (type: Node["node_type"]) => string
  /** The edge that carries a kind of payload into the node of a type. */
  readonly edgeInto: (type: Node["node_type"], kind: Edge["payload_kind"]) => string
}

/**
 * Graph executor (RK-07): runs the compiled graph of the pipeline for each turn.
 *
 * Guarantees: I-GRAPH-ROUTE a payload moves only along an edge of the compiled graph, and every event names that edge.
 */
export class GraphExecutor extends Context.Service<GraphExecutor, {
  readonly open: (graph: GraphDefinition) => SessionGraph
  /** The graph at work for one turn, under the turn's own plan. */
  readonly run: (turn: Turn, parts: Omit<ReplyParts, "identity">) => ReplyExecution
}>()("rspp/GraphExecutor") {
  static readonly layerNoDeps = Layer.effect(
    GraphExecutor,
    Effect.gen(function*() {
      const flow = yield* FlowControl
      const identity = yield* Identity
      return GraphExecutor.of({
        open: openGraph,
        run: (turn, parts) =>
          new ReplyExecution(
            turn,
            { ...parts, identity },
            flow.open({ context: parts.context, gateway: parts.gateway, plan: turn.plan })
          )
      })
    })
  )
  static readonly layer = GraphExecutor.layerNoDeps.pipe(
    Layer.provideMerge(Layer.mergeAll(FlowControl.layer, Identity.layer))
  )
}

const openGraph = (graph: GraphDefinition): SessionGraph => {
  const nodeId = (type: Node["node_type"]): string => {
    const node = graph.nodes.find((candidate) => candidate.node_type === type)
    if (node === undefined) throw new Error(`the graph has no ${type} node`)
    return node.node_id
  }
  return {
    nodeId,
    edgeInto: (type, kind) => {
      const into = nodeId(type)
      const edge = graph.edges.find((candidate) => candidate.to_node_id === into && candidate.payload_kind === kind)
      if (edge === undefined) throw new Error(`the graph has no ${kind} edge into ${into}`)
      return edge.edge_id
    }
  }
}
