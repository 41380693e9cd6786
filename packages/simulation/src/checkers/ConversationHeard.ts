import type { Checker } from "./Checker.ts"
import { Findings } from "./Checker.ts"

/** A sentence on its way to the caller. */
interface Sentence {
  readonly chars: number
  samples: number
  heardSamples: number
  over: boolean
}

export const conversationHeard: Checker = {
  id: "C28",
  holds: ["I-PLAY-ID", "I-PLAY-ONCE"],
  sentence:
    "The model is told of the agent's own words exactly what the caller heard: all of a sentence that was played to its end, and of one that was cut its share.",
  check: (_header, records) => {
    const findings = new Findings("C28", records)
    const lengths = new Map<string, number>()
    const sentences = new Map<string, Sentence>()
    /** Sentences by the handle of their text. */
    const byHandle = new Map<string, Sentence>()
    let index = -1
    for (const record of records) {
      index++
      if (record.record === "input") {
        const { input } = record
        if (input.type === "voice_chunk") lengths.set(input.handle.id, input.handle.length)
        else if (input.type === "playback_completed" || input.type === "playback_cancelled") {
          const sentence = input.segment_id === undefined ? undefined : sentences.get(input.segment_id)
          if (sentence === undefined || sentence.over) continue
          sentence.over = true
          sentence.heardSamples = input.type === "playback_completed"
            ? sentence.samples
            : Math.min(sentence.samples, input.samples)
        }
      } else if (record.record === "command") {
        const { command } = record
        if (command.type === "enqueue_output") {
          const sentence = sentences.get(command.segment_id)
          if (sentence !== undefined) sentence.samples += lengths.get(command.handle_id) ?? 0
        } else if (command.type === "start_invocation") {
          const { conversation, provider_invocation_id, segment_id, text, turn_id } = command
          if (segment_id !== undefined && text !== undefined && !sentences.has(segment_id)) {
            const sentence = { chars: text.length, samples: 0, heardSamples: 0, over: false }
            sentences.set(segment_id, sentence)
            byHandle.set(text.id, sentence)
          }
          for (const { parts, role } of conversation ?? []) {
            if (role !== "assistant") continue
            for (const { chars, handle_id } of parts) {
              const sentence = byHandle.get(handle_id)
              const { heardSamples = 0, samples = 0 } = sentence ?? {}
              const heard = samples === 0
                ? 0
                : Math.floor((sentence?.chars ?? 0) * Math.min(1, heardSamples / samples))
              if (chars !== heard) {
                const what = `${chars} characters of ${handle_id} are told to ${provider_invocation_id}`
                findings.broken(`${what}; the caller heard ${heard}`, index, turn_id)
              }
            }
          }
        }
      }
    }
    return findings.violations
  }
}
