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
  /** How much of it had been spoken after so many samples, where its voice says so: the first of each. */
  readonly marks: Array<readonly [samples: number, chars: number]>
}

/** Samples of a character of a sentence that the voice did not finish: 62.5 ms. */
const usualSamplesPerChar = 1000

/** The recording's behaviour flag since which the length of an unfinished sentence is estimated. */
const estimates = 1
/** The one since which the marks of a voice decide. */
const byMarks = 9

export const conversationHeard: Checker = {
  id: "C28",
  holds: ["I-PLAY-ID", "I-PLAY-ONCE"],
  sentence:
    "The model is told of the agent's own words exactly what the caller heard: all of a sentence that was played to its end, and of one that was cut its share.",
  check: (header, records) => {
    const findings = new Findings("C28", records)
    const estimated = header.behaviour_flags.includes(estimates)
    const marked = header.behaviour_flags.includes(byMarks)
    const lengths = new Map<string, number>()
    const spoken = new Map<string, number>()
    const sentences = new Map<string, Sentence>()
    /** Sentences by the handle of their text. */
    const byHandle = new Map<string, Sentence>()
    let index = -1
    for (const record of records) {
      index++
      if (record.record === "input") {
        const { input } = record
        if (input.type === "voice_chunk") {
          lengths.set(input.handle.id, input.handle.length)
          const chars = input.handle.facts?.spoken_chars
          if (marked && chars !== undefined) spoken.set(input.handle.id, chars)
        } else if (input.type === "playback_completed" || input.type === "playback_cancelled") {
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
          if (sentence === undefined) continue
          sentence.samples += lengths.get(command.handle_id) ?? 0
          const chars = Math.min(sentence.chars, spoken.get(command.handle_id) ?? 0)
          if (chars > (sentence.marks.at(-1)?.[1] ?? 0)) sentence.marks.push([sentence.samples, chars])
        } else if (command.type === "end_segment") {
          const sentence = sentences.get(command.segment_id)
          if (sentence !== undefined) sentence.spoken = true
        } else if (command.type === "start_invocation") {
          const { conversation, provider_invocation_id, segment_id, text, turn_id } = command
          if (segment_id !== undefined && text !== undefined && !sentences.has(segment_id)) {
            const sentence = { chars: text.length, samples: 0, heardSamples: 0, over: false, spoken: false, marks: [] }
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
const heardOf = ({ chars, heardSamples, marks, samples, spoken }: Sentence, estimated: boolean): number => {
  if (samples === 0) return 0
  if (marks.length > 0 && heardSamples > 0 && !(spoken && heardSamples >= samples)) {
    const known = [[0, 0] as const, ...marks]
    if (spoken && (marks.at(-1)?.[0] ?? 0) < samples) known.push([samples, chars])
    const next = known.findIndex(([at]) => at > heardSamples)
    const [from, had] = (next < 0 ? known.at(-1) : known[next - 1]) ?? [0, 0]
    const [to, has] = known[next] ?? [from + usualSamplesPerChar, had + 1]
    return Math.min(chars, Math.floor(had + ((has - had) * (heardSamples - from)) / (to - from)))
  }
  const whole = spoken || !estimated ? samples : Math.max(samples, chars * usualSamplesPerChar)
  return Math.floor(chars * Math.min(1, heardSamples / whole))
}
