import { laneEdges } from "@rspp/runtime/events/LaneGovernor"
import type { SignalName } from "@rspp/contracts/Signal"
import { signalRegistry } from "@rspp/contracts/Signal"
import type { Checker } from "./Checker.ts"
import { Findings } from "./Checker.ts"

interface Row {
  readonly emitters: ReadonlyArray<string>
  readonly event_scope?: string
  readonly requires: ReadonlyArray<string>
}

const rows = new Map<string, Row>((Object.keys(signalRegistry) as ReadonlyArray<SignalName>).map((name) => [
  name,
  signalRegistry[name]
]))

/** What pressure on a lane as a whole is told of. */
const lanes: ReadonlySet<string> = new Set(Object.values(laneEdges))

export const signalsRegistered: Checker = {
  id: "C23",
  holds: ["I-ID-STABLE", "I-GRAPH-ROUTE"],
  sentence:
    "Each signal is one of CONTRACT section 3, from a module that may send it, with what it must carry; every event names its session, its cause and its edge of the graph, and has an id of its own.",
  check: (header, records) => {
    const findings = new Findings("C23", records)
    const ids = new Set<string>()
    const edges = new Set(header.pipeline.graph.edges.map(({ edge_id }) => edge_id))
    const known = (id: string, index: number) => {
      if (ids.has(id)) findings.broken(`${id} is the id of two events`, index)
      ids.add(id)
    }
    let index = -1
    for (const record of records) {
      index++
      if (record.record === "decision") {
        known(record.decision.event_id, index)
        if (record.decision.session_id !== header.session_id) findings.broken("a decision of another session", index)
        continue
      }
      if (record.record !== "signal" && record.record !== "event") continue
      const event = record.record === "signal" ? record.signal : record.event
      const {
        authority_epoch,
        causal_parent_id,
        edge_id,
        event_id,
        lane,
        event_scope,
        pipeline_version,
        session_id,
        turn_id
      } = event
      known(event_id, index)
      // What the kernel tells of its own choices has no edge, and a reason.
      const onNone = lane === "DataLane" && event.reason === undefined
      if (edge_id === undefined ? onNone : !edges.has(edge_id) && !lanes.has(edge_id)) {
        findings.broken(`an event on ${edge_id ?? "no edge"}, which is none of the graph`, index, turn_id)
      }
      if (session_id !== header.session_id || pipeline_version !== header.pipeline_version) {
        findings.broken("an event of another session", index)
      }
      if (causal_parent_id === undefined || causal_parent_id === event_id) {
        findings.broken("an event without a cause", index)
      }
      if (event_scope === "turn" && (turn_id === undefined || authority_epoch === undefined)) {
        findings.broken("an event of a turn without turn or epoch", index)
      }
      if (record.record === "event") continue
      const { emitted_by, payload_class, signal } = record.signal
      const row = rows.get(signal)
      if (row === undefined) {
        findings.broken(`${signal} is no signal`, index, turn_id)
        continue
      }
      if (!row.emitters.includes(emitted_by)) findings.broken(`${signal} comes from ${emitted_by}`, index, turn_id)
      if (row.event_scope !== undefined && event_scope !== row.event_scope) {
        findings.broken(`${signal} has the scope ${event_scope}`, index, turn_id)
      }
      if (authority_epoch === undefined || payload_class !== "metadata") {
        findings.broken(`${signal} lacks its envelope`, index)
      }
      for (const field of row.requires) {
        if ((record.signal as unknown as Readonly<Record<string, unknown>>)[field] === undefined) {
          findings.broken(`${signal} lacks ${field}`, index, turn_id)
        }
      }
    }
    return findings.violations
  }
}
