import type { Modality } from "@rspp/contracts/Invocation"
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { frameMs, samplesPerMs } from "@rspp/runtime/ports/AudioFrame"

/** A value that a counter has from a moment on. */
export interface CounterSample {
  readonly track: string
  readonly atMs: number
  readonly value: number
}

/** Names of the counter tracks; those of providers and held edges are made from the modality and the edge. */
export const counterTracks = {
  audioIn: "audio in, ms of speech and silence",
  audioOut: "audio out, ms accepted by the transport",
  voiceQueue: "voice queue, ms",
  voiceChunks: "voice queue, chunks",
  running: (modality: Modality) => `${modality} calls running`,
  held: (edge: string) => `held back: ${edge}`
} as const

interface Chunk {
  readonly samples: number
}

/**
 * What a recording tells of quantities over time, in the order of time for each track:
 *
 * - the caller's audio as it came in and the agent's as the transport took it, both as sums: a level line is silence on
 *   the wire, its slope the speed;
 * - the voice queue (what the kernel has handed to egress and egress has not passed on), in ms and in chunks;
 * - how many calls of each modality run at a time;
 * - for each edge whether its producer is held back (`flow_xoff` to `flow_xon` or the turn's close): the depth of inner edges is not recorded.
 */
export function* counterSamples(records: ReadonlyArray<TimelineRecord>): Generator<CounterSample> {
  const lengths = new Map<string, number>()
  const queues = new Map<string, Array<Chunk>>()
  const running = new Map<string, Modality>()
  const counts = new Map<Modality, number>()
  let audioIn = 0
  /** Edges that are held back, and for which turn. */
  const held = new Map<string, string | undefined>()
  let audioOut = 0

  const queued = function*(atMs: number): Generator<CounterSample> {
    let samples = 0
    let chunks = 0
    for (const queue of queues.values()) {
      chunks += queue.length
      for (const chunk of queue) samples += chunk.samples
    }
    yield { track: counterTracks.voiceQueue, atMs, value: samples / samplesPerMs }
    yield { track: counterTracks.voiceChunks, atMs, value: chunks }
  }
  const count = (modality: Modality, by: 1 | -1, atMs: number): CounterSample => {
    const value = Math.max(0, (counts.get(modality) ?? 0) + by)
    counts.set(modality, value)
    return { track: counterTracks.running(modality), atMs, value }
  }

  for (const record of records) {
    switch (record.record) {
      case "audio": {
        audioIn += record.count * frameMs
        const late = record.jitter?.reduce((sum, ms) => sum + ms, 0) ?? 0
        const atMs = record.first_timestamp_ms + (record.count - 1) * frameMs + late
        yield { track: counterTracks.audioIn, atMs, value: audioIn }
        break
      }
      case "command": {
        const { command, runtime_timestamp_ms: atMs } = record
        if (command.type === "start_invocation") {
          running.set(command.provider_invocation_id, command.modality)
          yield count(command.modality, 1, atMs)
        }
        if (command.type === "enqueue_output") {
          const queue = queues.get(command.turn_id) ?? []
          queue.push({ samples: lengths.get(command.handle_id) ?? 0 })
          queues.set(command.turn_id, queue)
          lengths.delete(command.handle_id)
          yield* queued(atMs)
        }
        break
      }
      case "invocation": {
        const id = record.invocation.provider_invocation_id
        const modality = running.get(id)
        running.delete(id)
        if (modality !== undefined) yield count(modality, -1, record.runtime_timestamp_ms)
        break
      }
      case "signal": {
        const { edge_id, runtime_timestamp_ms: atMs, signal, turn_id } = record.signal
        if (edge_id !== undefined && signal === "flow_xoff") {
          held.set(edge_id, turn_id)
          yield { track: counterTracks.held(edge_id), atMs, value: 1 }
        }
        if (edge_id !== undefined && signal === "flow_xon") {
          held.delete(edge_id)
          yield { track: counterTracks.held(edge_id), atMs, value: 0 }
        }
        if (signal === "close") {
          // What a turn held back ends with it, without a signal of its own.
          for (const [edge, turn] of held) {
            if (turn !== turn_id) continue
            held.delete(edge)
            yield { track: counterTracks.held(edge), atMs, value: 0 }
          }
        }
        break
      }
      case "input": {
        const { input, runtime_timestamp_ms: atMs } = record
        switch (input.type) {
          case "voice_chunk":
            lengths.set(input.handle.id, input.handle.length)
            break
          case "egress_dequeued":
            queues.get(input.turn_id)?.splice(0, input.items)
            yield* queued(atMs)
            break
          case "egress_fenced":
            queues.delete(input.turn_id)
            yield* queued(atMs)
            break
          case "output_accepted":
            audioOut += input.samples / samplesPerMs
            yield { track: counterTracks.audioOut, atMs, value: audioOut }
            break
          default:
        }
        break
      }
      default:
    }
  }
}
