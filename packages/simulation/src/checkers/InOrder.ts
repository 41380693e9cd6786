import type { Checker } from "./Checker.ts"
import { Findings } from "./Checker.ts"

/** The speech of one turn. */
interface Speech {
  /** Segments in the order in which their speech was asked for; the last one is being spoken. */
  readonly segments: Array<{ readonly id: string; ended: boolean; samples: number; accepted: boolean }>
  /** Place of the last sentence of each node that was asked for, and of the last chunk that was sent. */
  readonly sentences: Map<string, number>
  chunk: number
  samples: number
  ended: boolean
  fenced: boolean
}

export const inOrder: Checker = {
  id: "C06",
  holds: ["I-SEG-OWNER"],
  sentence:
    "Sequences rise along each lane and each edge, and what goes over an edge arrives in the order in which it was put there: sentences, chunks of a sentence, and sentence after sentence.",
  check: (_header, records) => {
    const findings = new Findings("C06", records)
    const last = new Map<string, number>()
    /** Where each handle came in, by whom, and how long it is. */
    const arrived = new Map<string, { readonly at: number; readonly by: string; readonly samples: number }>()
    const owners = new Map<string, string>()
    const nodes = new Map<string, string>()
    /** The sentence that each call speaks, and those that went to another voice by a fallback edge. */
    const sentenceOf = new Map<string, string>()
    const givenUp = new Set<string>()
    const turns = new Map<string, Speech>()
    const speechOf = (turn_id: string): Speech => {
      const known = turns.get(turn_id)
      if (known !== undefined) return known
      const speech = { segments: [], sentences: new Map(), chunk: -1, samples: 0, ended: false, fenced: false }
      turns.set(turn_id, speech)
      return speech
    }
    const rises = (key: string, sequence: number, index: number) => {
      const before = last.get(key)
      if (before !== undefined && sequence <= before) {
        findings.broken(`${sequence} comes after ${before} on ${key}`, index)
      }
      last.set(key, sequence)
    }
    const segmentOf = (speech: Speech, id: string, index: number, turn_id: string) => {
      const current = speech.segments.at(-1)
      if (current?.id === id) return current
      if (speech.segments.some((known) => known.id === id)) {
        findings.broken(`${id} goes on after a later sentence`, index, turn_id)
        return undefined
      }
      if (current !== undefined && !current.ended) {
        findings.broken(`${id} comes before the end of ${current.id}`, index, turn_id)
      }
      const segment = { id, ended: false, samples: 0, accepted: false }
      speech.segments.push(segment)
      return segment
    }
    let index = -1
    for (const record of records) {
      index++
      if (record.record === "signal" || record.record === "event") {
        const { edge_id, lane, runtime_sequence } = record.record === "signal" ? record.signal : record.event
        rises(lane, runtime_sequence, index)
        if (edge_id !== undefined) rises(`${edge_id} ${lane}`, runtime_sequence, index)
        if (record.record === "signal") {
          const { provider_invocation_id: id = "", signal, turn_id } = record.signal
          const segment = owners.get(id)
          if (signal !== "fallback" || edge_id === undefined || turn_id === undefined || segment === undefined) continue
          const { segments } = speechOf(turn_id)
          if (segments.at(-1)?.id === segment) segments.pop()
          givenUp.add(sentenceOf.get(id) ?? "")
          continue
        }
        const { media_time, payload_class, turn_id } = record.event
        if (turn_id === undefined || payload_class !== "audio_raw" || lane !== "DataLane") continue
        const { samples } = speechOf(turn_id)
        if (media_time === undefined || !("sample_index" in media_time) || media_time.sample_index !== samples) {
          findings.broken(
            `a sentence of ${turn_id} begins at sample ${samples}, and the event says otherwise`,
            index,
            turn_id
          )
        }
      } else if (record.record === "command") {
        const { command } = record
        if (command.type === "start_invocation") {
          const { provider_invocation_id, segment_id, text, turn_id } = command
          nodes.set(provider_invocation_id, command.node_id)
          if (turn_id === undefined || segment_id === undefined) continue
          if (text !== undefined) sentenceOf.set(provider_invocation_id, text.id)
          owners.set(provider_invocation_id, segment_id)
          const speech = speechOf(turn_id)
          const isNew = speech.segments.at(-1)?.id !== segment_id
          segmentOf(speech, segment_id, index, turn_id)
          const at = text === undefined ? undefined : arrived.get(text.id)?.at
          if (at !== undefined) {
            // Those of one node keep their order; another voice may begin with the one that the first one gave up.
            const by = nodes.get(arrived.get(text?.id ?? "")?.by ?? "") ?? ""
            const before = speech.sentences.get(by) ?? -1
            const again = at === before && givenUp.has(text?.id ?? "")
            if (isNew && at <= before && !again) {
              findings.broken(`${segment_id} is spoken out of order`, index, turn_id)
            }
            speech.sentences.set(by, Math.max(before, at))
          }
          if (speech.ended) findings.broken(`${segment_id} is asked for after the end of the output`, index, turn_id)
        } else if (command.type === "enqueue_output") {
          const { handle_id, segment_id, turn_id } = command
          const speech = speechOf(turn_id)
          const segment = segmentOf(speech, segment_id, index, turn_id)
          if (segment?.ended === true || speech.ended) {
            findings.broken(`speech of ${segment_id} after its end`, index, turn_id)
          }
          const chunk = arrived.get(handle_id)
          if (chunk === undefined) {
            findings.broken(`${handle_id} is sent and never came in, or is sent twice`, index, turn_id)
            continue
          }
          arrived.delete(handle_id)
          if (owners.get(chunk.by) !== segment_id) {
            findings.broken(`${handle_id} is no speech of ${segment_id}`, index, turn_id)
          }
          if (chunk.at <= speech.chunk) findings.broken(`${handle_id} is sent out of order`, index, turn_id)
          speech.chunk = chunk.at
          speech.samples += chunk.samples
          if (segment !== undefined) segment.samples += chunk.samples
        } else if (command.type === "end_segment") {
          const segment = segmentOf(speechOf(command.turn_id), command.segment_id, index, command.turn_id)
          if (segment?.ended === true) findings.broken(`${command.segment_id} ends twice`, index, command.turn_id)
          if (segment !== undefined) segment.ended = true
        } else if (command.type === "end_output") {
          const speech = speechOf(command.turn_id)
          const { turn_id } = command
          if (speech.ended) findings.broken(`the output of ${turn_id} ends twice`, index, turn_id)
          if (speech.segments.at(-1)?.ended === false) {
            findings.broken(`the output of ${turn_id} ends in a sentence`, index)
          }
          speech.ended = true
        } else if (command.type === "fence_output") speechOf(command.turn_id).fenced = true
      } else if (record.record === "input") {
        const { input } = record
        if (input.type === "segment" || input.type === "voice_chunk" || input.type === "node_item") {
          arrived.set(input.handle.id, { at: index, by: input.provider_invocation_id, samples: input.handle.length })
        } else if (input.type === "output_accepted") {
          const { samples, segment_id, turn_id } = input
          const speech = speechOf(turn_id)
          const next = speech.segments.find(({ accepted }) => !accepted)
          if (next?.id !== segment_id || !next.ended) {
            findings.broken(`${segment_id} is accepted, and the next is ${next?.id ?? "none"}`, index, turn_id)
            continue
          }
          next.accepted = true
          if (next.samples !== samples && !speech.fenced) {
            findings.broken(
              `${samples} samples of ${segment_id} were accepted, ${next.samples} were sent`,
              index,
              turn_id
            )
          }
        }
      }
    }
    return findings.violations
  }
}
