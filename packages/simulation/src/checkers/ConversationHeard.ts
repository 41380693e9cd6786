import type { Checker } from "./Checker.ts"
import { Findings } from "./Checker.ts"

/** A sentence on its way to the caller. */
interface Sentence {
  readonly chars: number
  samples: number
  heardSamples: number
  over: boolean
  /** The voice has given all of it. */
  spoken: boolean
}

/** Samples of a character of a sentence that the voice did not finish: 62.5 ms. */
const usualSamplesPerChar = 1000

/** The recording's behaviour flag since which the length of an unfinished sentence is estimated. */
const estimates = 1

export const conversationHeard: Checker = {
  id: "C28",
  holds: ["I-PLAY-ID", "I-PLAY-ONCE"],
  sentence:
    "The model is told of the agent's own words exactly what the caller heard: all of a sentence that was played to its end, and of one that was cut its share.",
  check: (header, records) => {
    const findings = new Findings("C28", records)
    const estimated = header.behaviour_flags.includes(estimates)
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
        } else if (command.type === "end_segment") {
          const sentence = sentences.get(command.segment_id)
          if (sentence !== undefined) sentence.spoken = true
        } else if (command.type === "start_invocation") {
          const { conversation, provider_invocation_id, segment_id, text, turn_id } = command
          if (segment_id !== undefined && text !== undefined && !sentences.has(segment_id)) {
            const sentence = { chars: text.length, samples: 0, heardSamples: 0, over: false, spoken: false }
            sentences.set(segment_id, sentence)
            byHandle.set(text.id, sentence)
          }
          for (const { parts, role } of conversation ?? []) {
            if (role !== "assistant") continue
            for (const { chars, handle_id } of parts) {
              const sentence = byHandle.get(handle_id)
              const heard = sentence === undefined ? 0 : heardOf(sentence, estimated)
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

/** In proportion to the samples of the whole sentence, as long as it is known to be or as it would have been. */
const heardOf = ({ chars, heardSamples, samples, spoken }: Sentence, estimated: boolean): number => {
  if (samples === 0) return 0
  const whole = spoken || !estimated ? samples : Math.max(samples, chars * usualSamplesPerChar)
  return Math.floor(chars * Math.min(1, heardSamples / whole))
}
