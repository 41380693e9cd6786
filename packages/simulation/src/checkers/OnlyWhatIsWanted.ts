import type { Checker } from "./Checker.ts"
import { beginsStep, Findings } from "./Checker.ts"
import { GraphFlow } from "./GraphFlow.ts"
import type { FlowTurn } from "./GraphFlow.ts"

/** Signals with which a turn stops to work, so that nothing of it is decided any more. */
const stops: ReadonlySet<string> = new Set(["cancel", "abort", "commit", "close", "deauthorized_drain"])

/** A select that prefers one of its edges and has something of another. */
interface Waiting {
  readonly turn: string
  readonly node: string
  readonly edge: string
  readonly byMs: number
}

export const onlyWhatIsWanted: Checker = {
  id: "C35",
  holds: ["I-GRAPH-ROUTE"],
  sentence:
    "A reply waits for nobody whom it can do without: what a select did not take is worked at no more from that step on, one that prefers an edge waits for it no longer than its graph says, and no output ends because of a node that only looks on.",
  check: (header, records) => {
    const findings = new Findings("C35", records)
    const flow = new GraphFlow(header)
    const { graph } = flow
    /** Calls that have ended. */
    const over = new Set<string>()
    const armed = new Map<string, number>()
    /** Turns of which a select has chosen in this step. */
    let chosen = new Set<FlowTurn>()
    let waiting: Array<Waiting> = []
    let stopped = new Set<string>()
    /** The node that only looks on whose work this step is about. */
    let onlooker: string | undefined
    let begun = 0
    let index = -1

    const wanted = (turn: FlowTurn, node: string): boolean => {
      const onward = [...graph.out(node), ...graph.fallback(node)]
      return onward.length === 0 || onward.some(({ edge_id, to_node_id: to }) => {
        const took = turn.selected.get(to)
        return took === undefined ? wanted(turn, to) : took.edge === edge_id
      })
    }
    const settle = () => {
      for (const turn of chosen) {
        for (const { cancelled, id, node, turn: own } of flow.calls.values()) {
          if (own !== turn.id || cancelled || over.has(id) || wanted(turn, node)) continue
          findings.broken(`${id} of ${node} works on for an edge that was not selected`, begun, turn.id)
        }
      }
      for (const { byMs, edge, node, turn } of waiting) {
        const own = flow.turns.get(turn)
        if (own === undefined || own.selected.has(node) || stopped.has(turn) || stopped.has(edge)) continue
        const due = armed.get(`select:${turn}:${node}`)
        if (due === undefined) findings.broken(`${node} has something and waits for ever`, begun, turn)
        else if (due > byMs) findings.broken(`${node} waits until ${due}, not ${byMs}`, begun, turn)
      }
      if (chosen.size > 0) chosen = new Set()
      if (waiting.length > 0) waiting = []
      if (stopped.size > 0) stopped = new Set()
      onlooker = undefined
    }

    for (const record of records) {
      index++
      if (beginsStep(record)) {
        settle()
        begun = index
      }
      if (record.record === "input") {
        const { input } = record
        const id = "provider_invocation_id" in input ? input.provider_invocation_id ?? "" : ""
        const node = flow.calls.get(id)?.node
        if (node !== undefined && !graph.toCaller.has(node)) onlooker = node
        if (input.type === "invocation_ended") over.add(id)
        else if (input.type === "timer") armed.delete(input.timer)
      } else if (record.record === "event") {
        const { edge_id = "", lane, reason = "", runtime_timestamp_ms: now, turn_id = "" } = record.event
        const node = graph.node(graph.edge(edge_id)?.to_node_id ?? "")
        const turn = flow.turns.get(turn_id)
        if (reason.startsWith("selected:")) {
          if (turn !== undefined) chosen.add(turn)
        } else if (lane === "DataLane" && turn !== undefined && node?.select?.rule === "preferred") {
          const { node_id, select: { wait_ms = 0 } } = node
          waiting.push({ turn: turn_id, node: node_id, edge: edge_id, byMs: now + wait_ms })
        }
      } else if (record.record === "signal") {
        const { edge_id, signal, turn_id } = record.signal
        if (stops.has(signal) && turn_id !== undefined) stopped.add(turn_id)
        if (signal === "drop_notice" && edge_id !== undefined) stopped.add(edge_id)
      } else if (record.record === "command") {
        const { command } = record
        if (command.type === "arm_timer") armed.set(command.timer, command.due_ms)
        else if (command.type === "disarm_timer") armed.delete(command.timer)
        else if (command.type === "end_output" && onlooker !== undefined) {
          // A reply without a voice may have waited for room on the way to it.
          const muted = (flow.turns.get(command.turn_id)?.muted.size ?? 0) > 0
          if (!muted) findings.broken(`the output ends with the work of ${onlooker}`, index, command.turn_id)
        }
      }
      flow.read(record)
    }
    settle()
    return findings.violations
  }
}
