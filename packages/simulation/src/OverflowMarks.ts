import type { TimelineRecord } from "@rspp/contracts/Timeline"
import type { ResolvedTurnPlan } from "@rspp/contracts/TurnPlan"
import { segmentEdge } from "./Scenario.ts"
import type { Mark } from "./Sometimes.ts"

/** What full edges did, read from a timeline: which strategy an edge has is known from the plan of its turn. */
export class OverflowMarks {
  readonly #policies = new Map<string, ResolvedTurnPlan["edge_buffer_policies"]>()
  /** Sentences that wait for a voice, by turn; a turn that does without its voice is not counted any more. */
  readonly #waiting = new Map<string, Set<string> | undefined>()

  /** Reads the next record; gives what happened. */
  read(record: TimelineRecord): Mark | undefined {
    switch (record.record) {
      case "plan":
        this.#policies.set(record.plan.turn_id, record.plan.edge_buffer_policies)
        this.#waiting.set(record.plan.turn_id, new Set())
        return undefined
      case "signal":
        return this.#signal(record.signal)
      case "event":
        return this.#queued(record.event)
      case "command":
        if (record.command.type === "start_invocation" && record.command.modality === "tts") {
          const { segment_id, turn_id = "" } = record.command
          this.#started(turn_id, segment_id)
        }
        return undefined
      default:
        return undefined
    }
  }

  #signal(
    { edge_id = "", reason = "", signal, turn_id = "" }: {
      readonly signal: string
      readonly reason?: string
      readonly edge_id?: string
      readonly turn_id?: string
    }
  ): Mark | undefined {
    const strategy = this.#policies.get(turn_id)?.[edge_id]?.lane_handling.DataLane
    switch (signal) {
      case "drop_notice":
        if (strategy === "drop" || strategy === "sample") return `overflow.${strategy}`
        return strategy === "latest_only" && reason.startsWith("latest_only") ? "overflow.latest_only" : undefined
      case "flow_xoff":
        return strategy === "block" && reason === "edge_full" ? "overflow.block" : undefined
      case "degrade":
        this.#waiting.set(turn_id, undefined)
        return undefined
      case "shed":
        return shedMark(reason)
      default:
        return undefined
    }
  }

  #queued({ edge_id, event_id, turn_id = "" }: {
    readonly event_id: string
    readonly edge_id?: string
    readonly turn_id?: string
  }): Mark | undefined {
    const waiting = this.#waiting.get(turn_id)
    if (edge_id !== segmentEdge || waiting === undefined) return undefined
    waiting.add(event_id)
    const policy = this.#policies.get(turn_id)?.[segmentEdge]
    if (policy?.lane_handling.DataLane !== "merge") return undefined
    return waiting.size > policy.max_queue_items ? "overflow.merge" : undefined
  }

  readonly #voiced = new Set<string>()

  #started(turn_id: string, segment_id: string | undefined): void {
    // A second try of the same sentence takes nothing off the edge.
    if (segment_id === undefined || this.#voiced.has(segment_id)) return
    this.#voiced.add(segment_id)
    const waiting = this.#waiting.get(turn_id)
    const [oldest] = waiting ?? []
    if (oldest !== undefined) waiting?.delete(oldest)
  }
}

const shedMark = (reason: string): Mark | undefined => {
  const [, strategy] = reason.split(":")
  switch (strategy) {
    case "drop":
    case "merge":
    case "latest_only":
    case "degrade":
    case "fallback":
      return `shed.${strategy}`
    default:
      return undefined
  }
}
