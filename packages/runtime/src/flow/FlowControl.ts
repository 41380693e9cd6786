import type { ResolvedTurnPlan } from "@rspp/contracts/TurnPlan"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SessionGateway } from "../events/EventGateway.ts"
import type { KernelContext } from "../kernel/KernelContext.ts"
import type { EdgeAccount, Offer } from "./EdgeBuffer.ts"
import { EdgeBuffer, strategyOf } from "./EdgeBuffer.ts"
import type { WatermarkGauge } from "./Watermarks.ts"
import { Watermarks } from "./Watermarks.ts"

/** One edge of a turn: its account, its gauge and who feeds it. */
interface FlowEdge {
  readonly account: EdgeAccount
  readonly gauge: WatermarkGauge
  /** The producer that was told to wait. */
  held: string | undefined
}

/** The flow of one turn: what waits on its edges, and when producers must hold. */
export interface TurnFlow {
  /** `fixed`: what waits on the edge is at its consumer already, and nothing can take its place. */
  readonly offer: (edgeId: string, bytes: number, ms: number, producer: string | undefined, fixed?: boolean) => Offer
  readonly take: (edgeId: string, items: number, bytes: number, ms: number, producer: string | undefined) => void
  /** Nothing is blocked at the edge any more: its producer goes on, unless the edge is still past its high mark. */
  readonly relieve: (edgeId: string, producer: string | undefined) => void
  readonly isHeld: (edgeId: string) => boolean
  readonly policy: (edgeId: string) => EdgeAccount["policy"]
}

/**
 * Flow control (RK-14): turns watermark crossings into the signals of the plan's mode, and holds or releases the
 * producer of the edge.
 *
 * `signal` sends `flow_xoff` and `flow_xon`; `credit` grants what has become free when the edge has drained; `hybrid`
 * does both. In each mode the producer is held from the high mark on, and as soon as an item found no room, so that
 * nothing is unbounded (I-EDGE-BOUND).
 */
export class FlowControl extends Context.Service<FlowControl, {
  readonly open: (options: {
    readonly context: KernelContext
    readonly gateway: SessionGateway
    readonly plan: ResolvedTurnPlan
    /** Told whenever a producer is held or goes on: the time in between is no delay of its own. */
    readonly held?: (producer: string, held: boolean) => void
  }) => TurnFlow
}>()("rspp/FlowControl") {
  static readonly layerNoDeps = Layer.effect(
    FlowControl,
    Effect.gen(function*() {
      const buffers = yield* EdgeBuffer
      const watermarks = yield* Watermarks
      return FlowControl.of({
        open: ({ context, gateway, held: told, plan }) => {
          const edges = new Map<string, FlowEdge>()
          const edgeOf = (edgeId: string): FlowEdge => {
            const known = edges.get(edgeId)
            if (known !== undefined) return known
            const policy = plan.edge_buffer_policies[edgeId]
            if (policy === undefined) throw new Error(`the plan has no buffer policy for edge ${edgeId}`)
            const edge: FlowEdge = {
              account: buffers.open(edgeId, policy, strategyOf(policy, context)),
              gauge: watermarks.open(policy.watermarks),
              held: undefined
            }
            edges.set(edgeId, edge)
            return edge
          }
          // The lane's own marks watch all edges of the turn together.
          const laneGauge = watermarks.open({ queue_items: plan.flow_control.watermarks.DataLane })
          const mode = plan.flow_control.mode_by_lane.DataLane
          const laneItems = () => {
            let items = 0
            for (const edge of edges.values()) items += edge.account.fill.items
            return items
          }
          /** A producer that feeds several edges goes on when none of them holds it any more. */
          const isHeldElsewhere = (producer: string, but: FlowEdge) => {
            for (const edge of edges.values()) if (edge !== but && edge.held === producer) return true
            return false
          }
          const hold = (edgeId: string, edge: FlowEdge, producer: string | undefined, reason: string) => {
            if (producer === undefined || edge.held === producer) return
            edge.held = producer
            const already = isHeldElsewhere(producer, edge)
            if (mode !== "credit") {
              gateway.signal("flow_xoff", "RK-14", {
                turn_id: plan.turn_id,
                edge_id: edgeId,
                target_lane: "DataLane",
                reason
              })
            }
            if (already) return
            context.command({ type: "pause_invocation", provider_invocation_id: producer })
            told?.(producer, true)
          }
          const release = (edgeId: string, edge: FlowEdge, producer: string | undefined) => {
            const { held } = edge
            if (held === undefined) return
            edge.held = undefined
            const about = { turn_id: plan.turn_id, edge_id: edgeId, target_lane: "DataLane" } as const
            if (mode !== "signal") {
              const free = edge.account.policy.max_queue_items - edge.account.fill.items
              if (free > 0) gateway.signal("credit_grant", "RK-14", { ...about, amount: free })
            }
            if (mode !== "credit") gateway.signal("flow_xon", "RK-14", about)
            // One that has ended meanwhile has nothing to go on with.
            if (held !== producer || isHeldElsewhere(held, edge)) return
            context.command({ type: "resume_invocation", provider_invocation_id: held })
            told?.(held, false)
          }
          const react = (edgeId: string, edge: FlowEdge, producer: string | undefined) => {
            const lane = laneGauge.observe({ items: laneItems(), bytes: 0, ms: 0 })
            if (lane !== undefined) {
              gateway.signal("watermark", "RK-13", {
                turn_id: plan.turn_id,
                edge_id: edgeId,
                target_lane: "DataLane",
                reason: `lane_${lane}`
              })
            }
            const crossing = edge.gauge.observe(edge.account.fill)
            if (crossing === undefined) return
            gateway.signal("watermark", "RK-13", {
              turn_id: plan.turn_id,
              edge_id: edgeId,
              target_lane: "DataLane",
              reason: crossing
            })
            if (crossing === "high") hold(edgeId, edge, producer, "high_watermark")
            else release(edgeId, edge, producer)
          }
          return {
            offer: (edgeId, bytes, ms, producer, fixed) => {
              const edge = edgeOf(edgeId)
              const offer = edge.account.offer(bytes, ms, fixed)
              react(edgeId, edge, producer)
              if (offer === "block") hold(edgeId, edge, producer, "edge_full")
              return offer
            },
            take: (edgeId, items, bytes, ms, producer) => {
              const edge = edgeOf(edgeId)
              edge.account.take(items, bytes, ms)
              react(edgeId, edge, producer)
            },
            relieve: (edgeId, producer) => {
              const edge = edgeOf(edgeId)
              if (!edge.gauge.isHigh()) release(edgeId, edge, producer)
            },
            isHeld: (edgeId) => edges.get(edgeId)?.gauge.isHigh() ?? false,
            policy: (edgeId) => edgeOf(edgeId).account.policy
          }
        }
      })
    })
  )
  static readonly layer = FlowControl.layerNoDeps.pipe(
    Layer.provideMerge(Layer.mergeAll(EdgeBuffer.layer, Watermarks.layer))
  )
}
