import type { EdgeBufferPolicy, ResolvedTurnPlan } from "@rspp/contracts/TurnPlan"
import type { Checker } from "./Checker.ts"
import { Findings } from "./Checker.ts"
import { meets, recordedGraph } from "./RecordedGraph.ts"

const samplesPerMs = 16
const bytesPerSample = 2

/** What waits on one edge of sentences or transcripts, as its records show. */
interface Words {
  readonly policy: EdgeBufferPolicy | undefined
  /** Items that came in for it and are not on it yet, by handle, with their length. */
  readonly arriving: Map<string, number>
  /** Items on it, in order: their length. */
  readonly waiting: Array<number>
}

/** What waits on one edge of speech. */
interface Speech {
  readonly policy: EdgeBufferPolicy | undefined
  chunks: number
  bytes: number
  ms: number
}

/** The edges of a turn whose records show what waits on them. */
interface Edges {
  readonly words: Map<string, Words>
  readonly speech: ReadonlyMap<string, Speech>
  /** Chunks with egress, oldest first, where speech comes by several edges. */
  readonly sent: Array<{ readonly edge: Speech; readonly samples: number }>
  shed: boolean
}

export const boundedEdges: Checker = {
  id: "C17",
  holds: ["I-EDGE-BOUND"],
  sentence:
    "What waits on an edge never passes the bounds of the plan's policy, in items, bytes and milliseconds, and egress passes on no more than it was given.",
  check: (header, records) => {
    const findings = new Findings("C17", records)
    const graph = recordedGraph(header)
    const allEdges = header.pipeline.graph.edges
    /** Edges into voices, and into nodes that get one item after the other: their consumer says what it takes. */
    const wordEdges = allEdges.filter((edge) => {
      const type = graph.node(edge.to_node_id)?.node_type
      const pushed = type === "custom" || type === "text_filter"
      return (type === "text_to_speech" && edge.payload_kind === "segment") ||
        (pushed && (edge.payload_kind === "segment" || edge.payload_kind === "transcript"))
    })
    const speechEdges = allEdges.filter((edge) =>
      edge.payload_kind === "voice" && graph.node(edge.to_node_id)?.node_type === "audio_output"
    )
    const turns = new Map<string, Edges>()
    /** Turn and node of each call, and of each segment. */
    const owners = new Map<string, { readonly turn: string; readonly node: string }>()
    const segments = new Map<string, string>()
    const lengths = new Map<string, { readonly samples: number; readonly node: string }>()
    const begin = ({ edge_buffer_policies: policies, turn_id }: ResolvedTurnPlan) =>
      turns.set(turn_id, {
        words: new Map(wordEdges.map(({ edge_id }) => [
          edge_id,
          { policy: policies[edge_id], arriving: new Map(), waiting: [] }
        ])),
        speech: new Map(speechEdges.map(({ edge_id }) => [
          edge_id,
          { policy: policies[edge_id], chunks: 0, bytes: 0, ms: 0 }
        ])),
        sent: [],
        shed: false
      })
    const over = (what: string, value: number, bound: number, index: number, turn: string) => {
      if (value > bound) findings.broken(`${what} of ${turn}: ${value}; the bound is ${bound}`, index, turn)
    }
    const came = (turn_id: string, edges: Edges, edge_id: string, index: number) => {
      const words = edges.words.get(edge_id)
      if (words === undefined) return
      const { arriving, policy, waiting } = words
      const [first] = arriving
      if (first !== undefined) arriving.delete(first[0])
      waiting.push(first?.[1] ?? 0)
      // What a merge joins to the item before takes no place of its own, and after shedding the edge may be over.
      if (policy === undefined || edges.shed) return
      const bytes = waiting.reduce((sum, length) => sum + length, 0)
      over(`bytes on ${edge_id}`, bytes, policy.max_queue_bytes, index, turn_id)
      if (policy.lane_handling.DataLane === "merge") return
      over(`items on ${edge_id}`, waiting.length, policy.max_queue_items, index, turn_id)
    }
    /** A voice takes the oldest of what waits for it; by which edge that came its records do not say. */
    const took = (edges: Edges | undefined, node: string) => {
      const [own, ...others] = wordEdges.filter(({ to_node_id }) => to_node_id === node)
      if (own === undefined || edges === undefined) return
      for (const { edge_id } of others.length === 0 ? [own] : [own, ...others]) {
        const waiting = edges.words.get(edge_id)?.waiting
        if (waiting !== undefined && waiting.length > 0) return void waiting.shift()
      }
    }
    const chunk = (turn_id: string, edges: Edges, handle_id: string, index: number) => {
      const { node, samples } = lengths.get(handle_id) ?? { node: "", samples: 0 }
      lengths.delete(handle_id)
      const via = speechEdges.find((edge) => graph.giver(edge) === node) ?? speechEdges[0]
      const edge = edges.speech.get(via?.edge_id ?? "")
      if (edge === undefined || via === undefined) return
      edge.chunks += 1
      edge.bytes += samples * bytesPerSample
      edge.ms += Math.ceil(samples / samplesPerMs)
      if (speechEdges.length > 1) edges.sent.push({ edge, samples })
      const { policy } = edge
      if (policy === undefined) return
      over(`bytes on ${via.edge_id}`, edge.bytes, policy.max_queue_bytes, index, turn_id)
      over(`milliseconds on ${via.edge_id}`, edge.ms, policy.max_queue_ms, index, turn_id)
      if (policy.lane_handling.DataLane !== "merge") {
        over(`chunks on ${via.edge_id}`, edge.chunks, policy.max_queue_items, index, turn_id)
      }
    }
    const passedOn = (turn_id: string, edges: Edges, items: number, samples: number, index: number) => {
      const less = (edge: Speech, chunks: number, own: number) => {
        edge.chunks -= chunks
        edge.bytes -= own * bytesPerSample
        edge.ms -= Math.ceil(own / samplesPerMs)
        if (edge.chunks < 0 || edge.bytes < 0) {
          findings.broken(`egress passes on more of ${turn_id} than it was given`, index, turn_id)
        }
      }
      const [only, ...others] = edges.speech.values()
      if (only !== undefined && others.length === 0) return less(only, items, samples)
      const gone = edges.sent.splice(0, items)
      for (const { edge, samples: own } of gone) less(edge, 1, own)
      if (gone.length < items || gone.reduce((sum, { samples: own }) => sum + own, 0) !== samples) {
        findings.broken(`egress passes on more of ${turn_id} than it was given`, index, turn_id)
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
          if (input.type === "segment" || input.type === "node_item") {
            const owner = owners.get(input.provider_invocation_id)
            const edges = turns.get(owner?.turn ?? "")
            const kind = input.type === "segment" ? "segment" : input.payload_kind
            for (const edge of owner === undefined ? [] : graph.out(owner.node)) {
              if (edge.payload_kind !== kind || !meets(edge.condition, input.handle)) continue
              edges?.words.get(edge.edge_id)?.arriving.set(input.handle.id, input.handle.length)
            }
          } else if (input.type === "voice_chunk") {
            const node = owners.get(input.provider_invocation_id)?.node ?? ""
            lengths.set(input.handle.id, { samples: input.handle.length, node })
          } else if (input.type === "egress_dequeued") {
            const edges = turns.get(input.turn_id)
            if (edges !== undefined) passedOn(input.turn_id, edges, input.items, input.samples, index)
          }
          break
        }
        case "event": {
          const { edge_id, lane, reason, turn_id } = record.event
          const edges = turn_id === undefined ? undefined : turns.get(turn_id)
          if (edges === undefined || turn_id === undefined || edge_id === undefined) break
          if (lane === "DataLane" && reason === undefined) came(turn_id, edges, edge_id, index)
          break
        }
        case "signal": {
          const { edge_id, node_id, reason = "", signal, turn_id } = record.signal
          const edges = turn_id === undefined ? undefined : turns.get(turn_id)
          if (edges === undefined) break
          if (signal === "shed") edges.shed = true
          else if ((signal === "fallback" || signal === "degrade") && node_id !== undefined) {
            // What still comes goes another way, and its consumer says nothing of it.
            for (const edge of wordEdges) if (edge.to_node_id === node_id) edges.words.delete(edge.edge_id)
          }
          if (signal === "drop_notice") {
            const words = edges.words.get(edge_id ?? "")
            if (words === undefined) break
            // What had not come onto the edge is lost before it; what had gives its place up.
            const handle = reason.slice(reason.indexOf(":") + 1)
            const own = reason.startsWith("latest_only") && !edges.shed && words.waiting.length > 0
            if (own || !words.arriving.delete(handle)) words.waiting.shift()
          } else if (signal === "close" && turn_id !== undefined) turns.delete(turn_id)
          break
        }
        case "command": {
          const { command } = record
          if (command.type === "start_invocation" && command.turn_id !== undefined) {
            const { node_id: node, provider_invocation_id, segment_id, text, turn_id: turn } = command
            owners.set(provider_invocation_id, { turn, node })
            if (segment_id !== undefined && text !== undefined) {
              if (segments.has(segment_id)) break
              segments.set(segment_id, node)
              took(turns.get(turn), node)
            }
          } else if (command.type === "push_item") {
            const { turn = "" } = owners.get(command.provider_invocation_id) ?? {}
            turns.get(turn)?.words.get(command.edge_id)?.waiting.shift()
          } else if (command.type === "end_segment") {
            // One that is never spoken leaves the edge with its end.
            if (segments.has(command.segment_id)) break
            const edges = turns.get(command.turn_id)
            const mute = wordEdges.find(({ edge_id, to_node_id }) =>
              graph.node(to_node_id)?.node_type === "text_to_speech" &&
              (edges?.words.get(edge_id)?.waiting.length ?? 0) > 0
            )
            segments.set(command.segment_id, mute?.to_node_id ?? "")
            if (mute !== undefined) took(edges, mute.to_node_id)
          } else if (command.type === "enqueue_output") {
            const edges = turns.get(command.turn_id)
            if (edges !== undefined) chunk(command.turn_id, edges, command.handle_id, index)
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
