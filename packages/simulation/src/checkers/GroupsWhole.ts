import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { EdgeBufferPolicies } from "@rspp/contracts/TurnPlan"
import type { Checker } from "./Checker.ts"
import { beginsStep, Findings } from "./Checker.ts"
import { recordedGraph } from "./RecordedGraph.ts"

/** What a turn has lost and handed on of groups. */
interface Groups {
  readonly policies: EdgeBufferPolicies
  /** `<edge> <group>` of which a part was lost, and of which a part has gone on. */
  readonly lost: Set<string>
  readonly gone: Set<string>
}

export const groupsWhole: Checker = {
  id: "C34",
  holds: ["I-SYNC-WHOLE"],
  sentence:
    "What belongs together on an edge is lost together or its gap is told: after a part of a group on an atomic_drop edge is lost nothing of it goes on, and a part that had gone on already, or a loss on a drop_with_discontinuity edge, has a discontinuity.",
  check: (header, records) => {
    const findings = new Findings("C34", records)
    const graph = recordedGraph(header)
    const turns = new Map<string, Groups>()
    const handles = new Map<string, PayloadHandle>()
    /** The sentence that each call speaks, and the call of each chunk; the node and the turn of each call. */
    const sentences = new Map<string, string>()
    const chunks = new Map<string, string>()
    const nodes = new Map<string, string>()
    const turnOf = new Map<string, string>()
    /** Discontinuities that this step has to tell, by edge and domain. */
    let due: Array<{ readonly edge: string; readonly domain: string; readonly turn: string }> = []
    let begun = 0
    let index = -1

    const groupOf = ({ policies }: Groups, edge: string, handle: string): string => {
      const sync = sentences.get(chunks.get(handle) ?? "") ?? handle
      const by = policies[edge]?.sync_drop_policy?.group_by
      return by === "event_id" ? handle : by === "custom" ? handles.get(handle)?.facts?.label ?? handle : sync
    }
    const goes = (turn_id: string, edge: string | undefined, handle: string) => {
      const groups = turns.get(turn_id)
      if (groups === undefined || edge === undefined) return
      if (groups.policies[edge]?.sync_drop_policy?.policy !== "atomic_drop") return
      const key = `${edge} ${groupOf(groups, edge, handle)}`
      if (groups.lost.has(key)) findings.broken(`${handle} goes on over ${edge}, and its group is lost`, index, turn_id)
      groups.gone.add(key)
    }
    /** The one edge that brings a node such items, if there is one. */
    const onlyInto = (node: string, kind: string) => {
      const [only, ...others] = graph.into(node).filter(({ payload_kind }) => payload_kind === kind)
      return others.length === 0 ? only?.edge_id : undefined
    }
    const lose = (turn_id: string, edge: string, handle: string) => {
      const groups = turns.get(turn_id)
      const policy = groups?.policies[edge]?.sync_drop_policy
      if (groups === undefined || policy === undefined || policy.policy === "no_sync") return
      const { sync_domain: domain } = policy
      if (policy.policy === "drop_with_discontinuity") {
        if (domain !== undefined) due.push({ edge, domain, turn: turn_id })
        return
      }
      const together = policy.scope === "edge_local" ? [edge] : Object.keys(groups.policies).filter((other) => {
        const own = groups.policies[other]?.sync_drop_policy
        return own?.policy === "atomic_drop" && own.sync_domain === domain
      })
      for (const other of together) {
        // By the ids of the payload that was lost: another edge may group it otherwise.
        const key = `${other} ${groupOf(groups, other, handle)}`
        if (groups.lost.has(key)) continue
        groups.lost.add(key)
        if (groups.gone.has(key) && domain !== undefined) due.push({ edge: other, domain, turn: turn_id })
      }
    }

    for (const record of records) {
      index++
      if (beginsStep(record)) {
        for (const { edge, turn } of due) findings.broken(`a gap on ${edge} is not told`, begun, turn)
        if (due.length > 0) due = []
        begun = index
      }
      if (record.record === "plan") {
        const { edge_buffer_policies: policies, turn_id } = record.plan
        turns.set(turn_id, { policies, lost: new Set(), gone: new Set() })
      } else if (record.record === "input") {
        const { input } = record
        if (!("handle" in input)) continue
        handles.set(input.handle.id, input.handle)
        if (input.type === "voice_chunk") chunks.set(input.handle.id, input.provider_invocation_id)
      } else if (record.record === "signal") {
        const { edge_id = "", reason = "", signal, sync_domain, turn_id = "" } = record.signal
        if (signal === "drop_notice") lose(turn_id, edge_id, reason.slice(reason.indexOf(":") + 1))
        else if (signal === "discontinuity") {
          const place = due.findIndex(({ domain, edge }) => domain === sync_domain && edge === edge_id)
          if (place >= 0) due.splice(place, 1)
        } else if (signal === "close") turns.delete(turn_id)
      } else if (record.record === "command") {
        const { command } = record
        switch (command.type) {
          case "start_invocation": {
            const { node_id, provider_invocation_id: id, text, turn_id } = command
            nodes.set(id, node_id)
            if (turn_id !== undefined) turnOf.set(id, turn_id)
            if (text === undefined || turn_id === undefined) break
            const again = [...sentences.values()].includes(text.id)
            sentences.set(id, text.id)
            // Another attempt at what was taken already takes nothing from the edge.
            if (!again) goes(turn_id, onlyInto(node_id, "segment"), text.id)
            break
          }
          case "push_item":
            goes(turnOf.get(command.provider_invocation_id) ?? "", command.edge_id, command.handle.id)
            break
          case "enqueue_output": {
            const node = nodes.get(chunks.get(command.handle_id) ?? "") ?? ""
            const edge = graph.out(node).find(({ payload_kind }) => payload_kind === "voice")
            const direct = graph.node(edge?.to_node_id ?? "")?.node_type === "audio_output"
            if (direct) goes(command.turn_id, edge?.edge_id, command.handle_id)
            break
          }
          default:
            break
        }
      }
    }
    for (const { edge, turn } of due) findings.broken(`a gap on ${edge} is not told`, begun, turn)
    return findings.violations
  }
}
