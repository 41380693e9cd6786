import type { CommandOf } from "@rspp/contracts/SessionCommand"
import type { Checker } from "./Checker.ts"
import { beginsStep, Findings } from "./Checker.ts"
import { recordedGraph } from "./RecordedGraph.ts"

/** A provider call that feeds the edges of its node. */
interface Producer {
  readonly turn_id: string
  readonly node: string
  held: boolean
}

const producerOf = ({ modality, node_id, turn_id }: CommandOf<"start_invocation">): Producer | undefined =>
  turn_id === undefined || (modality !== "llm" && modality !== "tts")
    ? undefined
    : { turn_id, node: node_id, held: false }

export const holdsAndGoesOn: Checker = {
  id: "C25",
  holds: ["I-EDGE-BOUND"],
  sentence:
    "Back-pressure is felt: in the step in which an edge crosses its high mark its producer is held, and in the step in which it is released its producer goes on.",
  check: (header, records) => {
    const findings = new Findings("C25", records)
    const graph = recordedGraph(header)
    /** The model or voice that feeds each edge of sentences or speech. */
    const feeds = new Map<string, string>()
    for (const edge of header.pipeline.graph.edges) {
      if (edge.payload_kind !== "segment" && edge.payload_kind !== "voice") continue
      if (edge.fallback_on === undefined) feeds.set(edge.edge_id, graph.giver(edge))
    }
    /** Calls that are at work: neither cancelled nor over. */
    const producers = new Map<string, Producer>()
    /** Edges that crossed their high mark in this step, or were released, by turn. */
    let high: Array<{ readonly turn_id: string; readonly node: string }> = []
    let free: typeof high = []
    let begun = 0
    const settle = () => {
      for (const { node, turn_id } of high) {
        for (const [id, producer] of producers) {
          if (producer.turn_id === turn_id && producer.node === node && !producer.held) {
            findings.broken(`${id} goes on past the high mark of its edge`, begun, turn_id)
          }
        }
      }
      for (const { node, turn_id } of free) {
        for (const [id, producer] of producers) {
          // One that feeds several edges goes on when all of them are released.
          const several = graph.out(producer.node).length > 1
          if (producer.turn_id === turn_id && producer.node === node && producer.held && !several) {
            findings.broken(`${id} is still held, and its edge was released`, begun, turn_id)
          }
        }
      }
      if (high.length > 0) high = []
      if (free.length > 0) free = []
    }

    let index = -1
    for (const record of records) {
      index++
      if (beginsStep(record)) {
        settle()
        begun = index
      } else if (record.record === "signal") {
        const { edge_id = "", reason, signal, turn_id } = record.signal
        const node = feeds.get(edge_id)
        if (turn_id === undefined || node === undefined) continue
        if (signal === "watermark" && reason === "high") high.push({ turn_id, node })
        else if (signal === "flow_xon" || signal === "credit_grant") free.push({ turn_id, node })
      } else if (record.record === "command") {
        const { command } = record
        if (command.type === "start_invocation") {
          const producer = producerOf(command)
          if (producer !== undefined) producers.set(command.provider_invocation_id, producer)
        } else if (command.type === "cancel_invocation") producers.delete(command.provider_invocation_id)
        else if (command.type === "pause_invocation" || command.type === "resume_invocation") {
          const producer = producers.get(command.provider_invocation_id)
          if (producer === undefined) continue
          producer.held = command.type === "pause_invocation"
          // Released and full again, or the other way round: what came last counts.
          const others = ({ node, turn_id }: typeof high[number]) =>
            turn_id !== producer.turn_id || node !== producer.node
          if (producer.held) free = free.filter(others)
          else high = high.filter(others)
        }
      } else if (record.record === "invocation") producers.delete(record.invocation.provider_invocation_id)
    }
    settle()
    return findings.violations
  }
}
