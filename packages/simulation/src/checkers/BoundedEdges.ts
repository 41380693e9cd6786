import type { EdgeBufferPolicy, ResolvedTurnPlan } from "@rspp/contracts/TurnPlan"
import type { TimelineHeader } from "@rspp/contracts/Timeline"
import type { Checker } from "./Checker.ts"
import { Findings } from "./Checker.ts"

const samplesPerMs = 16
const bytesPerSample = 2

/** What waits on the two edges of a turn that its records show. */
interface Edges {
  readonly segment: EdgeBufferPolicy | undefined
  readonly voice: EdgeBufferPolicy | undefined
  /** Sentences that came in and are not on the edge yet, by handle, with their length. */
  readonly arriving: Map<string, number>
  /** Sentences on the edge, in order: length, and whether it takes a place of its own. */
  readonly sentences: Array<number>
  shed: boolean
  chunks: number
  bytes: number
  ms: number
}

/** The edges into speech synthesis and into egress. */
const edgesOf = ({ pipeline: { graph } }: TimelineHeader) => {
  const into = (type: string, kind: string): string | undefined => {
    const node = graph.nodes.find(({ node_type }) => node_type === type)?.node_id
    return graph.edges.find((edge) => edge.to_node_id === node && edge.payload_kind === kind)?.edge_id
  }
  return { segment: into("text_to_speech", "segment"), voice: into("audio_output", "voice") }
}

export const boundedEdges: Checker = {
  id: "C17",
  holds: ["I-EDGE-BOUND"],
  sentence:
    "What waits on an edge never passes the bounds of the plan's policy, in items, bytes and milliseconds, and egress passes on no more than it was given.",
  check: (header, records) => {
    const findings = new Findings("C17", records)
    const ids = edgesOf(header)
    const turns = new Map<string, Edges>()
    const owners = new Map<string, string>()
    const lengths = new Map<string, number>()
    const begin = ({ edge_buffer_policies: policies, turn_id }: ResolvedTurnPlan) =>
      turns.set(turn_id, {
        segment: ids.segment === undefined ? undefined : policies[ids.segment],
        voice: ids.voice === undefined ? undefined : policies[ids.voice],
        arriving: new Map(),
        sentences: [],
        shed: false,
        chunks: 0,
        bytes: 0,
        ms: 0
      })
    const over = (what: string, value: number, bound: number, index: number, turn: string) => {
      if (value > bound) findings.broken(`${what} of ${turn}: ${value}; the bound is ${bound}`, index, turn)
    }
    const sentence = (turn_id: string, edges: Edges, index: number) => {
      const [first] = edges.arriving
      if (first !== undefined) edges.arriving.delete(first[0])
      edges.sentences.push(first?.[1] ?? 0)
      const { segment } = edges
      // What a merge joins to the sentence before takes no place of its own, and after shedding the edge may be over.
      if (segment === undefined || edges.shed) return
      const bytes = edges.sentences.reduce((sum, length) => sum + length, 0)
      over("bytes on the segment edge", bytes, segment.max_queue_bytes, index, turn_id)
      if (segment.lane_handling.DataLane === "merge") return
      over("sentences on the segment edge", edges.sentences.length, segment.max_queue_items, index, turn_id)
    }
    const chunk = (turn_id: string, edges: Edges, samples: number, index: number) => {
      edges.chunks += 1
      edges.bytes += samples * bytesPerSample
      edges.ms += Math.ceil(samples / samplesPerMs)
      const { voice } = edges
      if (voice === undefined) return
      over("bytes on the voice edge", edges.bytes, voice.max_queue_bytes, index, turn_id)
      over("milliseconds on the voice edge", edges.ms, voice.max_queue_ms, index, turn_id)
      if (voice.lane_handling.DataLane !== "merge") {
        over("chunks on the voice edge", edges.chunks, voice.max_queue_items, index, turn_id)
      }
    }

    let index = -1
    for (const record of records) {
      index++
      switch (record.record) {
        case "plan":
          begin(record.plan)
          break
        case "input": {
          const { input } = record
          if (input.type === "segment") {
            turns.get(owners.get(input.provider_invocation_id) ?? "")?.arriving.set(
              input.handle.id,
              input.handle.length
            )
          } else if (input.type === "voice_chunk") lengths.set(input.handle.id, input.handle.length)
          else if (input.type === "egress_dequeued") {
            const edges = turns.get(input.turn_id)
            if (edges === undefined) break
            edges.chunks -= input.items
            edges.bytes -= input.samples * bytesPerSample
            edges.ms -= Math.ceil(input.samples / samplesPerMs)
            if (edges.chunks < 0 || edges.bytes < 0) {
              findings.broken(`egress passes on more of ${input.turn_id} than it was given`, index, input.turn_id)
            }
          }
          break
        }
        case "event": {
          const { edge_id, lane, turn_id } = record.event
          const edges = turn_id === undefined ? undefined : turns.get(turn_id)
          if (edges !== undefined && turn_id !== undefined && lane === "DataLane" && edge_id === ids.segment) {
            sentence(turn_id, edges, index)
          }
          break
        }
        case "signal": {
          const { edge_id, reason = "", signal, turn_id } = record.signal
          const edges = turn_id === undefined ? undefined : turns.get(turn_id)
          if (edges === undefined) break
          if (signal === "shed") edges.shed = true
          else if (signal === "drop_notice" && edge_id === ids.segment) {
            // What had not come onto the edge is lost before it; what had gives its place up.
            const handle = reason.slice(reason.indexOf(":") + 1)
            const own = reason.startsWith("latest_only") && !edges.shed && edges.sentences.length > 0
            if (own || !edges.arriving.delete(handle)) edges.sentences.shift()
          } else if (signal === "close" && turn_id !== undefined) turns.delete(turn_id)
          break
        }
        case "command": {
          const { command } = record
          if (command.type === "start_invocation" && command.turn_id !== undefined) {
            owners.set(command.provider_invocation_id, command.turn_id)
            if (command.segment_id !== undefined && command.text !== undefined) {
              if (owners.has(command.segment_id)) break
              owners.set(command.segment_id, command.turn_id)
              turns.get(command.turn_id)?.sentences.shift()
            }
          } else if (command.type === "end_segment") {
            // One that is never spoken leaves the edge with its end.
            if (owners.has(command.segment_id)) break
            owners.set(command.segment_id, command.turn_id)
            turns.get(command.turn_id)?.sentences.shift()
          } else if (command.type === "enqueue_output") {
            const edges = turns.get(command.turn_id)
            if (edges !== undefined) chunk(command.turn_id, edges, lengths.get(command.handle_id) ?? 0, index)
            lengths.delete(command.handle_id)
          }
          break
        }
        default:
          break
      }
    }
    return findings.violations
  }
}
