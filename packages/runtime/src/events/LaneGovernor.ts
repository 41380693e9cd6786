import type { Lane } from "@rspp/contracts/Event"
import type { SignalEmitter, SignalName } from "@rspp/contracts/Signal"
import type { Watermark } from "@rspp/contracts/TurnPlan"
import type { KernelContext } from "../kernel/KernelContext.ts"
import type { SignalFields } from "./EventGateway.ts"

/** Events a second that whoever follows a session is reckoned to take off each lane. */
export const drainPerSecond = { ControlLane: 1000, TelemetryLane: 100 } as const

/** Under pressure, of events that are sampled one in so many is kept. */
export const sampledOneIn = 8

/** The names under which a lane as a whole, and telemetry of no edge, are told of. */
export const laneEdges = { ControlLane: "control_lane", TelemetryLane: "telemetry_lane" } as const

type Governed = keyof typeof drainPerSecond
type Emit = (name: SignalName, emittedBy: SignalEmitter, fields: SignalFields) => void

/** What waits on a lane, reckoned from the stamps of the inputs: it fills by one an event and drains at a fixed rate. */
class LeakyBucket {
  readonly #perMs: number
  /** In thousandths of an event. */
  #level = 0
  #atMs = 0

  constructor(perSecond: number) {
    this.#perMs = perSecond
  }

  level(nowMs: number): number {
    this.#level = Math.max(0, this.#level - (nowMs - this.#atMs) * this.#perMs)
    this.#atMs = nowMs
    return this.#level / 1000
  }

  add(events: number): void {
    this.#level += events * 1000
  }
}

/** Telemetry of one edge that was lost since pressure began. */
interface Losses {
  count: number
  readonly first: number
  last: number
}

/**
 * Pressure on the control and the telemetry lane of one session (RK-13, RK-14): how many events wait is reckoned from
 * the inputs' stamps, so that a replay sees the same.
 *
 * From the plan's high mark of the telemetry lane until its low one telemetry is lost by the plan's rule: that of the
 * edge which it is about (`lane_handling`), or the lane's own (`shedding_strategy_by_lane`). `drop` loses all of it,
 * `sample` keeps one in 8, `best_effort_drop` keeps what still finds room under the high mark. The control lane tells
 * its marks in the same way and is otherwise left alone.
 *
 * Guarantees: I-LANE-TELEMETRY telemetry alone is lost here, never control or data; each loss is counted, and told once
 * for each edge and stretch, at the latest when the session ends.
 */
export class LaneGovernor {
  readonly #context: KernelContext
  readonly #emit: Emit
  readonly #limits: boolean
  readonly #buckets = {
    ControlLane: new LeakyBucket(drainPerSecond.ControlLane),
    TelemetryLane: new LeakyBucket(drainPerSecond.TelemetryLane)
  }
  readonly #high = { ControlLane: false, TelemetryLane: false }
  readonly #lost = new Map<string, Losses>()
  #sampled = 0

  constructor(context: KernelContext, emit: Emit) {
    this.#context = context
    this.#emit = emit
    this.#limits = context.behaves("limits")
  }

  /** A control signal went out. */
  control(): void {
    if (!this.#limits) return
    this.#drained("ControlLane")
    this.#buckets.ControlLane.add(1)
    this.#filled("ControlLane")
  }

  /** Telemetry wants out, of an edge or of none. False: it is lost, and counted. */
  telemetry(edgeId: string | undefined): boolean {
    if (!this.#limits) return true
    const bucket = this.#buckets.TelemetryLane
    this.#drained("TelemetryLane")
    bucket.add(1)
    this.#filled("TelemetryLane")
    if (!this.#high.TelemetryLane || this.#keeps(edgeId)) return true
    bucket.add(-1)
    const { causeSequence } = this.#context
    const edge = edgeId ?? laneEdges.TelemetryLane
    const losses = this.#lost.get(edge) ?? { count: 0, first: causeSequence, last: causeSequence }
    losses.count += 1
    losses.last = causeSequence
    this.#lost.set(edge, losses)
    return false
  }

  /** Time has gone on: a stretch may be over. */
  tick(): void {
    if (this.#high.ControlLane) this.#drained("ControlLane")
    if (this.#high.TelemetryLane) this.#drained("TelemetryLane")
  }

  /** The session ends: what was lost is told. */
  close(): void {
    for (const [edge_id, { count, first, last }] of this.#lost) {
      this.#emit("drop_notice", "RK-13", {
        edge_id,
        target_lane: "TelemetryLane",
        reason: `telemetry_pressure:${count}`,
        seq_range: { start: first, end: last }
      })
    }
    this.#lost.clear()
  }

  #keeps(edgeId: string | undefined): boolean {
    const { edge_buffer_policies, flow_control } = this.#context.header.pipeline
    const own = edgeId === undefined ? undefined : edge_buffer_policies[edgeId]?.lane_handling.TelemetryLane
    switch (own ?? flow_control.shedding_strategy_by_lane.TelemetryLane) {
      case "drop":
        return false
      case "sample":
        return this.#sampled++ % sampledOneIn === 0
      case "best_effort_drop":
        return this.#buckets.TelemetryLane.level(this.#context.now) < this.#marks("TelemetryLane").high
    }
  }

  #marks(lane: Governed): Watermark {
    return this.#context.header.pipeline.flow_control.watermarks[lane]
  }

  #filled(lane: Governed): void {
    if (this.#high[lane] || this.#buckets[lane].level(this.#context.now) < this.#marks(lane).high) return
    this.#high[lane] = true
    const about = this.#about(lane)
    this.#emit("watermark", "RK-13", { ...about, reason: "lane_high" })
    if (this.#mode(lane) !== "credit") this.#emit("flow_xoff", "RK-14", { ...about, reason: "lane_high" })
  }

  #drained(lane: Governed): void {
    const level = this.#buckets[lane].level(this.#context.now)
    if (!this.#high[lane] || level > this.#marks(lane).low) return
    this.#high[lane] = false
    const about = this.#about(lane)
    this.#emit("watermark", "RK-13", { ...about, reason: "lane_low" })
    const mode = this.#mode(lane)
    if (mode !== "signal") {
      const amount = Math.max(1, Math.floor(this.#marks(lane).high - level))
      this.#emit("credit_grant", "RK-14", { ...about, amount })
    }
    if (mode !== "credit") this.#emit("flow_xon", "RK-14", about)
    if (lane === "TelemetryLane") this.close()
  }

  #about(lane: Governed): { readonly edge_id: string; readonly target_lane: Lane } {
    return { edge_id: laneEdges[lane], target_lane: lane }
  }

  #mode(lane: Governed) {
    return this.#context.header.pipeline.flow_control.mode_by_lane[lane]
  }
}
