import type { GraphDefinition } from "@rspp/contracts/GraphDefinition"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Identity } from "../events/Identity.ts"
import { FlowControl } from "../flow/FlowControl.ts"
import { SyncIntegrity } from "../flow/SyncIntegrity.ts"
import type { Turn } from "../turn/Turn.ts"
import type { AheadCall } from "./Speculation.ts"
import type { SessionGraph } from "./SessionGraph.ts"
import { openGraph } from "./SessionGraph.ts"
import { TurnGraph } from "./TurnGraph.ts"
import type { TurnGraphParts } from "./TurnWork.ts"

/**
 * Graph executor (RK-07): runs the compiled graph of the pipeline for each turn.
 *
 * Guarantees: I-GRAPH-ROUTE a payload moves only along an edge of the compiled graph, and every event names that edge.
 */
export class GraphExecutor extends Context.Service<GraphExecutor, {
  readonly open: (graph: GraphDefinition) => SessionGraph
  /** The graph at work for one turn, under the turn's own plan. */
  readonly run: (
    turn: Turn,
    parts: Omit<TurnGraphParts, "identity">,
    ahead: ReadonlyMap<string, AheadCall>
  ) => TurnGraph
}>()("rspp/GraphExecutor") {
  static readonly layerNoDeps = Layer.effect(
    GraphExecutor,
    Effect.gen(function*() {
      const flow = yield* FlowControl
      const sync = yield* SyncIntegrity
      const identity = yield* Identity
      return GraphExecutor.of({
        open: openGraph,
        run: (turn, parts, ahead) =>
          new TurnGraph(turn, { ...parts, identity }, {
            ahead,
            flow: flow.open({
              context: parts.context,
              gateway: parts.gateway,
              plan: turn.plan,
              held: parts.budgets.invocationHeld
            }),
            sync: sync.open({
              context: parts.context,
              gateway: parts.gateway,
              policies: turn.plan.edge_buffer_policies
            })
          })
      })
    })
  )
  static readonly layer = GraphExecutor.layerNoDeps.pipe(
    Layer.provideMerge(Layer.mergeAll(FlowControl.layer, SyncIntegrity.layer, Identity.layer))
  )
}
