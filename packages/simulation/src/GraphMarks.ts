import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import type { Mark } from "./Sometimes.ts"

/** Why work ahead of a turn may be given up. */
const withdrawals = [
  "words_changed",
  "caller_went_on",
  "authority_lost",
  "refused",
  "session_ended",
  "empty",
  "failed"
] as const

/** How a select came to its choice, as its event says. */
const choices: Readonly<Record<string, Mark>> = {
  "selected:first": "select.first",
  "selected:preferred": "select.preferred",
  "selected:waited_long_enough": "select.waited"
}

/** What graphs, early work and groups did, read from a timeline. */
export class GraphMarks {
  /** Labels that let an item pass a conditional edge, by the node that gives it: one set for each edge. */
  readonly #conditional: ReadonlySet<string>
  readonly #givers: ReadonlySet<string>
  readonly #external = new Map<string, string>()
  /** Items of a router that came in this step, and how many edges they went over. */
  #given = 0
  #passed = 0

  constructor(header: TimelineHeader | undefined) {
    const edges = header?.pipeline.graph.edges.filter(({ condition }) => condition !== undefined) ?? []
    this.#conditional = new Set(edges.map(({ edge_id }) => edge_id))
    this.#givers = new Set(edges.map(({ from_node_id }) => from_node_id))
  }

  /** Reads the next record; gives what happened. */
  read(record: TimelineRecord): ReadonlyArray<Mark> {
    switch (record.record) {
      case "input": {
        const before = this.#settle()
        const { input } = record
        if (input.type === "node_item" && this.#givers.has(this.#external.get(input.provider_invocation_id) ?? "")) {
          this.#given++
        }
        return before
      }
      case "event": {
        const { edge_id = "", reason = "" } = record.event
        if (this.#conditional.has(edge_id) && record.event.lane === "DataLane" && reason === "") {
          this.#passed++
          return ["condition.passed"]
        }
        if (reason === "merged") return ["merge.lineage"]
        if (reason === "speculation_promoted") return ["speculation.promoted"]
        const why = withdrawals.find((candidate) => reason === `speculation_withdrawn:${candidate}`)
        if (why !== undefined) return [`speculation.${why}`]
        const choice = choices[reason]
        return choice === undefined ? [] : [choice]
      }
      case "signal":
        return this.#signal(record.signal)
      case "command": {
        const { command } = record
        if (command.type === "write_transcript") return ["transcript.written"]
        if (command.type === "start_invocation" && command.modality === "external") {
          this.#external.set(command.provider_invocation_id, command.node_id)
        }
        return []
      }
      case "invocation": {
        const { modality, outcome_class, reason } = record.invocation
        if (modality !== "external") return []
        if (outcome_class === "timeout") return ["node.timeout"]
        if (reason === "cut_off") return ["node.cut_off"]
        return outcome_class === "success" || outcome_class === "cancelled" ? [] : ["node.failed"]
      }
      default:
        return []
    }
  }

  /** A router gave something that fewer edges took than it has. */
  #settle(): ReadonlyArray<Mark> {
    const left = this.#given > 0 && this.#passed < this.#conditional.size
    this.#given = 0
    this.#passed = 0
    return left ? ["condition.not_met"] : []
  }

  #signal(
    { edge_id, reason = "", signal }: { readonly signal: string; readonly reason?: string; readonly edge_id?: string }
  ): ReadonlyArray<Mark> {
    if (signal === "fallback" && edge_id !== undefined) {
      return [reason === "timeout" ? "fallback_edge.timeout" : "fallback_edge.error"]
    }
    if (signal === "degrade" && reason.startsWith("node_passed_by:")) return ["node.passed_by"]
    if (signal === "abort" && reason === "node_timeout_or_failure") return ["row.T10.node"]
    if (signal === "drop_notice" && reason.startsWith("sync_group:")) return ["sync.group_lost"]
    if (signal === "drop_notice" && reason.startsWith("not_selected:")) return ["select.lost"]
    if (signal === "discontinuity") {
      return [reason.startsWith("partly_delivered:") ? "sync.partly_delivered" : "sync.discontinuity"]
    }
    return []
  }
}
