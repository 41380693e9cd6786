import type { EdgeBufferPolicy } from "@rspp/contracts/TurnPlan"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type { Fill } from "./EdgeBuffer.ts"

/** A crossing: up through the high mark, or down through the low one. */
export type Crossing = "high" | "low" | undefined

/** Watches the fill of one edge with hysteresis: after `high` only `low` can come, and the other way round. */
export interface WatermarkGauge {
  readonly observe: (fill: Fill) => Crossing
  readonly isHigh: () => boolean
}

/**
 * Watermarks (RK-13): tell when an edge fills past its high mark and when it has drained to its low one.
 *
 * An edge is high when either its items or its milliseconds reach their high mark, and low when both are at or under
 * their low mark. A mark that the plan does not give is not watched.
 */
export class Watermarks extends Context.Service<Watermarks, {
  readonly open: (marks: EdgeBufferPolicy["watermarks"]) => WatermarkGauge
}>()("rspp/Watermarks") {
  static readonly layer = Layer.succeed(Watermarks, {
    open: (marks) => {
      let high = false
      return {
        isHigh: () => high,
        observe: (fill) => {
          const { queue_items, queue_ms } = marks
          const above = (queue_items !== undefined && fill.items >= queue_items.high) ||
            (queue_ms !== undefined && fill.ms >= queue_ms.high)
          const below = (queue_items === undefined || fill.items <= queue_items.low) &&
            (queue_ms === undefined || fill.ms <= queue_ms.low)
          if (!high && above) {
            high = true
            return "high"
          }
          if (high && below) {
            high = false
            return "low"
          }
          return undefined
        }
      }
    }
  })
}
