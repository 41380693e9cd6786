import type { CommandOf } from "@rspp/contracts/SessionCommand"
import type { ResolvedTurnPlan } from "@rspp/contracts/TurnPlan"
import type { Checker } from "./Checker.ts"
import { beginsStep, Findings } from "./Checker.ts"
import { GraphFlow } from "./GraphFlow.ts"
import type { FlowTurn } from "./GraphFlow.ts"

/** What a merge has brought in: events that told of items on its edges and that it has not handed on. */
interface Merging {
  readonly waiting: Set<string>
  readonly handed: Set<string>
  /** Place of the last event that it named. */
  last: number
}

export const graphRoutes: Checker = {
  id: "C32",
  holds: ["I-GRAPH-ROUTE", "I-EDGE-ORDER"],
  sentence:
    "A payload comes to a node only over edges of the graph whose conditions it meets, once and in order; a node has one item at a time, a select takes one edge, a merge names what it merged in the order of arrival, and a fallback edge is used only for its cause and by a plan that allows it.",
  check: (header, records) => {
    const findings = new Findings("C32", records)
    const flow = new GraphFlow(header)
    const plans = new Map<string, ResolvedTurnPlan>()
    /** Calls that were told that no more items come. */
    const told = new Set<string>()
    /** What each node took over an edge last, by turn and edge: the place where it had been given. */
    const taken = new Map<string, number>()
    const merges = new Map<string, Merging>()
    /** Where each event that told of an item was. */
    const eventAt = new Map<string, number>()
    /** How each call failed in this step. */
    let failed = new Map<string, "timeout" | "error">()
    let index = -1

    const comesTo = (turn: FlowTurn, handle: string, node: string) => {
      if (turn.taken.has(`${node} ${handle}`) && !turn.undone.has(`${node} ${handle}`)) {
        findings.broken(`${handle} comes to ${node} twice`, index, turn.id)
      }
      if (!flow.mayBeAt(turn, handle, node)) {
        findings.broken(`${handle} comes to ${node}, and no edge leads there for it`, index, turn.id)
      }
    }
    /** What one node gave arrives in the order in which it gave it. */
    const inOrder = (turn: FlowTurn, handle: string, node: string) => {
      const item = turn.items.get(handle)
      if (item === undefined) return
      const key = `${turn.id} ${item.by} ${node} ${item.kind}`
      const before = taken.get(key) ?? -1
      if (item.at < before) findings.broken(`${handle} comes to ${node} out of order`, index, turn.id)
      taken.set(key, Math.max(before, item.at))
    }
    const pushed = ({ edge_id, handle, payload_kind, provider_invocation_id: id }: CommandOf<"push_item">) => {
      const call = flow.calls.get(id)
      const turn = flow.turns.get(call?.turn ?? "")
      if (call === undefined || turn === undefined) return findings.broken(`${id} gets an item, and is no call`, index)
      const edge = flow.graph.edge(edge_id)
      if (edge?.to_node_id !== call.node || edge.payload_kind !== payload_kind) {
        findings.broken(`${call.node} gets an item over ${edge_id}, which does not lead there`, index, turn.id)
      } else if (!flow.mayBeOn(turn, handle.id, edge)) {
        findings.broken(`${handle.id} goes over ${edge_id}, and is not for it`, index, turn.id)
      }
      if (call.inHand !== undefined) {
        findings.broken(`${call.node} gets ${handle.id} and has ${call.inHand}`, index, turn.id)
      }
      if (told.has(id)) findings.broken(`${call.node} gets ${handle.id} after it was told that no more comes`, index)
      comesTo(turn, handle.id, call.node)
      inOrder(turn, handle.id, call.node)
    }
    const command = (made: Extract<typeof records[number], { record: "command" }>["command"]) => {
      switch (made.type) {
        case "push_item":
          pushed(made)
          break
        case "end_items": {
          const call = flow.calls.get(made.provider_invocation_id)
          if (call?.inHand !== undefined) findings.broken(`${call.node} is told to end and has an item`, index)
          if (told.has(made.provider_invocation_id)) findings.broken(`${call?.node} is told to end twice`, index)
          told.add(made.provider_invocation_id)
          break
        }
        case "start_invocation": {
          const turn = flow.turns.get(made.turn_id ?? "")
          if (turn === undefined || made.modality === "external") break
          const again = [...flow.calls.values()].some(({ node, turn: own }) => node === made.node_id && own === turn.id)
          const said = made.conversation?.findLast(({ role }) => role === "user")?.parts ?? []
          for (const handle of made.text === undefined ? said.map(({ handle_id }) => handle_id) : [made.text.id]) {
            if (made.modality === "llm" && again) continue
            comesTo(turn, handle, made.node_id)
            inOrder(turn, handle, made.node_id)
          }
          break
        }
        case "cancel_invocation":
          if (made.reason === "timeout") failed.set(made.provider_invocation_id, "timeout")
          break
        case "write_transcript": {
          const turn = flow.turns.get(made.turn_id)
          if (turn === undefined) break
          comesTo(turn, made.handle.id, made.node_id)
          inOrder(turn, made.handle.id, made.node_id)
          const kind = turn.items.get(made.handle.id)?.kind
          if ((kind === "transcript") !== (made.role === "user")) {
            findings.broken(`${made.handle.id} is shown as the ${made.role}'s`, index, turn.id)
          }
          break
        }
        default:
          break
      }
    }
    const mergeOf = (turn_id: string, node: string): Merging => {
      const key = `${turn_id} ${node}`
      const known = merges.get(key)
      if (known !== undefined) return known
      const made: Merging = { waiting: new Set(), handed: new Set(), last: -1 }
      merges.set(key, made)
      return made
    }
    const event = (told: Extract<typeof records[number], { record: "event" }>["event"]) => {
      const { edge_id = "", event_id, lane, merged_from_event_ids = [], node_id = "", reason = "", turn_id = "" } = told
      const edge = flow.graph.edge(edge_id)
      if (reason === "merged") {
        const merge = mergeOf(turn_id, node_id)
        if (flow.graph.node(node_id)?.node_type !== "merge" || edge?.to_node_id !== node_id) {
          return findings.broken(`${node_id} merges what came over ${edge_id}`, index, turn_id)
        }
        for (const id of merged_from_event_ids) {
          if (!merge.waiting.delete(id)) findings.broken(`${node_id} merges ${id}, which did not come`, index, turn_id)
          const at = eventAt.get(id) ?? -1
          if (at < merge.last) findings.broken(`${node_id} merges ${id} out of order`, index, turn_id)
          merge.last = Math.max(merge.last, at)
        }
        if (merged_from_event_ids.length === 0) findings.broken(`${node_id} merges nothing`, index, turn_id)
      } else if (reason.startsWith("selected:")) {
        if (flow.graph.node(node_id)?.node_type !== "select" || edge?.to_node_id !== node_id) {
          findings.broken(`${node_id} selects ${edge_id}`, index, turn_id)
        }
        if (flow.turns.get(turn_id)?.selected.has(node_id) === true) {
          findings.broken(`${node_id} selects twice`, index, turn_id)
        }
        const rule = flow.graph.node(node_id)?.select?.rule
        if ((rule === "preferred") === (reason === "selected:first")) {
          findings.broken(`${node_id} selects by ${reason}, and its rule is ${rule}`, index, turn_id)
        }
      } else if (lane === "DataLane" && edge !== undefined) {
        const turn = flow.turns.get(turn_id)
        if (edge.fallback_on !== undefined && turn?.fallbacks.has(edge_id) !== true) {
          findings.broken(`${edge_id} is used, and nothing fell back on it`, index, turn_id)
        }
        const chosen = turn?.selected.get(edge.to_node_id)
        if (chosen !== undefined && chosen.edge !== edge_id) {
          findings.broken(`something comes over ${edge_id}, which was not selected`, index, turn_id)
        }
        if (flow.graph.node(edge.to_node_id)?.node_type === "merge") {
          mergeOf(turn_id, edge.to_node_id).waiting.add(event_id)
          eventAt.set(event_id, index)
        }
      }
    }
    const signal = (said: Extract<typeof records[number], { record: "signal" }>["signal"]) => {
      const { edge_id = "", provider_invocation_id: id = "", reason = "", signal: name, turn_id = "" } = said
      switch (name) {
        case "budget_exhausted":
          if (reason === "first_result") failed.set(id, "timeout")
          break
        case "provider_error":
          if (!failed.has(id)) failed.set(id, reason === "timeout" ? "timeout" : "error")
          break
        case "fallback": {
          const edge = flow.graph.edge(edge_id)
          const call = flow.calls.get(id)
          if (edge?.fallback_on === undefined || call === undefined) break
          const cause = failed.get(id)
          if (edge.from_node_id !== call.node || cause === undefined || !edge.fallback_on.includes(cause)) {
            findings.broken(`${call.node} falls back on ${edge_id} for ${cause ?? "no failure"}`, index, turn_id)
          }
          if (plans.get(turn_id)?.allowed_adaptive_actions.includes("fallback") !== true) {
            findings.broken(`${edge_id} is used, and the plan allows no fallback`, index, turn_id)
          }
          break
        }
        case "drop_notice": {
          // What is lost on the way to a merge is merged by nobody: the oldest of its edge, or a newer one.
          const to = flow.graph.edge(edge_id)?.to_node_id ?? ""
          if (flow.graph.node(to)?.node_type === "merge") mergeOf(turn_id, to).handed.add(edge_id)
          break
        }
        case "commit":
          for (const [key, { handed, waiting }] of merges) {
            if (!key.startsWith(`${turn_id} `)) continue
            if (waiting.size > 0 && handed.size === 0) {
              findings.broken(`${key} kept ${[...waiting].join()}`, index, turn_id)
            }
          }
          break
        case "close":
          flow.turns.delete(turn_id)
          for (const key of merges.keys()) if (key.startsWith(`${turn_id} `)) merges.delete(key)
          break
        default:
          break
      }
    }

    for (const record of records) {
      index++
      if (beginsStep(record)) failed = new Map()
      if (record.record === "plan") plans.set(record.plan.turn_id, record.plan)
      else if (record.record === "input" && record.input.type === "invocation_ended") {
        const { outcome_class, provider_invocation_id: id } = record.input
        if (outcome_class !== "success") failed.set(id, outcome_class === "timeout" ? "timeout" : "error")
      } // What came before the record counts.
      else if (record.record === "command") command(record.command)
      else if (record.record === "event") event(record.event)
      else if (record.record === "signal") signal(record.signal)
      flow.read(record)
    }
    return findings.violations
  }
}
