import { frameSamples, samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import { heardOf, usualSamplesPerChar } from "@rspp/runtime/session/Heard"
import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"

type InputRecord = Parameters<NonNullable<SessionObserver["input"]>>[0]
type KernelOutput = Parameters<NonNullable<SessionObserver["outputs"]>>[0][number]
type Command = Extract<KernelOutput, { readonly record: "command" }>["command"]
type Handle = NonNullable<Extract<Command, { readonly type: "start_invocation" }>["text"]>

/** More of what the agent is saying: `text` continues the reply, `end` says that no more of it comes. */
export type Spoken =
  | { readonly kind: "text"; readonly replyId: string; readonly text: string }
  | { readonly kind: "end"; readonly replyId: string }

/** Sentences that wait to be heard, and replies that are followed. */
export const rememberedSentences = 256
export const followedReplies = 16

interface Sentence {
  readonly turnId: string
  readonly handle: Handle
  readonly text: string
  /** Where its words end, in characters, ascending; the last one is its length. */
  readonly ends: ReadonlyArray<number>
  /** Samples that the voice gave so far, and whether it has finished. */
  samples: number
  whole: boolean
  /** Characters that were told. */
  told: number
}

interface Reply {
  readonly id: string
  begun: boolean
  /** Its turn has closed: no more sentences come. */
  closed: boolean
  /** Sentences of which sound is at egress, and not heard to the end. */
  readonly atEgress: Set<string>
}

interface Playing {
  readonly segmentId: string
  readonly turnId: string
  /** What was heard until `sinceMs`, ms. */
  heardMs: number
  /** Session time since when it plays; undefined while it is paused. */
  sinceMs: number | undefined
}

const words = new Intl.Segmenter(undefined, { granularity: "word" })

/** Where the words of a text end, what follows them without a space included. */
export const wordEnds = (text: string): ReadonlyArray<number> => {
  const ends: Array<number> = []
  let glued = false
  for (const { index, isWordLike, segment } of words.segment(text)) {
    const end = index + segment.length
    if (isWordLike === true) ends.push(end)
    else if (!/^\s/u.test(segment) && glued) ends[ends.length - 1] = end
    glued = ends.length > 0 && !/\s$/u.test(segment)
  }
  if (text.length === 0) return []
  if (ends.length === 0) return [text.length]
  ends[ends.length - 1] = text.length
  return ends
}

/**
 * What the agent says, word by word as the caller hears it: a pure function of the session's records and of session time.
 *
 * A reply is all that is said in one turn; its sentences are told with a space between them. A word is told when it has
 * been heard to its end by the estimate that the conversation uses too (`session/Heard.ts`): in proportion to the samples
 * of its sentence, or at the usual speed while the voice has not finished the sentence. A pause of the output pauses the
 * words. When a sentence was heard to its end all of it is told; when it was cut, the words that were heard, by what
 * egress reports, and nothing after them.
 *
 * Guarantees: I-FRONT-HEARD no word is told that was not heard, as far as that is known; I-FRONT-ONE a reply ends once,
 * and nothing of it is told after its end.
 */
export class SpokenWords {
  readonly #text: (handleId: string) => string | undefined
  readonly #placement: string
  readonly #sentences = new Map<string, Sentence>()
  /** The segment that a voice works on, by invocation. */
  readonly #voices = new Map<string, string>()
  readonly #replies = new Map<string, Reply>()
  #playing: Playing | undefined

  /** `placement` makes the ids of replies unique in a room; `text` gives the words behind a handle. */
  constructor(placement: string, text: (handleId: string) => string | undefined) {
    this.#placement = placement
    this.#text = text
  }

  /** Words that have been heard by now. */
  advance(nowMs: number): ReadonlyArray<Spoken> {
    const playing = this.#playing
    const sentence = playing === undefined ? undefined : this.#sentences.get(playing.segmentId)
    if (playing?.sinceMs === undefined || sentence === undefined) return []
    const heardMs = playing.heardMs + Math.max(0, nowMs - playing.sinceMs)
    return this.#tell(sentence, sentence.text.length * Math.min(1, heardMs / msOf(sentence)))
  }

  /** Session time at which the next word will have been heard; undefined while nothing plays. */
  nextDueMs(): number | undefined {
    const playing = this.#playing
    const sentence = playing === undefined ? undefined : this.#sentences.get(playing.segmentId)
    if (playing?.sinceMs === undefined || sentence === undefined) return undefined
    const next = sentence.ends.find((end) => end > sentence.told)
    if (next === undefined) return undefined
    return playing.sinceMs + Math.ceil((next / sentence.text.length) * msOf(sentence) - playing.heardMs)
  }

  input({ input, runtime_timestamp_ms: nowMs }: InputRecord): ReadonlyArray<Spoken> {
    switch (input.type) {
      case "voice_chunk": {
        const sentence = this.#voicedBy(input.provider_invocation_id)
        if (sentence !== undefined) sentence.samples += input.handle.length
        return []
      }
      case "invocation_ended": {
        const sentence = this.#voicedBy(input.provider_invocation_id)
        if (sentence !== undefined) sentence.whole = true
        this.#voices.delete(input.provider_invocation_id)
        return []
      }
      case "playback_started": {
        const told = this.advance(nowMs)
        this.#playing = { segmentId: input.segment_id, turnId: input.turn_id, heardMs: 0, sinceMs: nowMs }
        return told
      }
      case "playback_completed": {
        const sentence = this.#sentences.get(input.segment_id)
        const told = sentence === undefined ? [] : this.#tell(sentence, sentence.text.length)
        return [...told, ...this.#ended(input.segment_id, input.turn_id)]
      }
      case "playback_cancelled": {
        const { segment_id, turn_id } = input
        if (segment_id === undefined) return []
        const sentence = this.#sentences.get(segment_id)
        const told = sentence === undefined ? [] : this.#tell(sentence, charsOf(sentence, input.samples))
        return [...told, ...this.#ended(segment_id, turn_id)]
      }
      case "output_accepted":
        // Nothing to play: it is over with its acceptance.
        return input.samples === 0 ? this.#ended(input.segment_id, input.turn_id) : []
      case "egress_fenced":
      case "output_rejected":
        return input.turn_id === undefined ? [] : this.#over(input.turn_id)
      default:
        return []
    }
  }

  outputs(outputs: ReadonlyArray<KernelOutput>): ReadonlyArray<Spoken> {
    return outputs.flatMap((output) => {
      if (output.record === "command") return this.#command(output.command, output.runtime_timestamp_ms)
      if (output.record !== "signal" || output.signal.signal !== "close") return []
      const { turn_id } = output.signal
      const reply = turn_id === undefined ? undefined : this.#replies.get(turn_id)
      if (reply === undefined || turn_id === undefined) return []
      reply.closed = true
      return reply.atEgress.size === 0 ? this.#over(turn_id) : []
    })
  }

  /** The session is over: so is every reply. */
  closed(): ReadonlyArray<Spoken> {
    return [...this.#replies.keys()].flatMap((turnId) => this.#over(turnId))
  }

  #command(command: Command, nowMs: number): ReadonlyArray<Spoken> {
    switch (command.type) {
      case "start_invocation": {
        const { provider_invocation_id, segment_id, text: handle, turn_id } = command
        if (segment_id === undefined || handle === undefined || turn_id === undefined) return []
        const text = (this.#text(handle.id) ?? "").trim()
        if (text === "") return []
        this.#voices.set(provider_invocation_id, segment_id)
        trim(this.#voices, rememberedSentences)
        // Another voice may say what the first one could not; what was told stays told.
        const told = this.#sentences.get(segment_id)?.told ?? 0
        this.#sentences.set(segment_id, {
          turnId: turn_id,
          handle,
          text,
          ends: wordEnds(text),
          samples: 0,
          whole: false,
          told
        })
        trim(this.#sentences, rememberedSentences)
        return []
      }
      case "enqueue_output":
        return this.#waits(command.turn_id, command.segment_id)
      case "pause_output": {
        const told = this.advance(nowMs)
        const playing = this.#playing
        if (playing?.turnId === command.turn_id && playing.sinceMs !== undefined) {
          playing.heardMs += Math.max(0, nowMs - playing.sinceMs)
          playing.sinceMs = undefined
        }
        return told
      }
      case "resume_output":
        if (this.#playing?.turnId === command.turn_id) this.#playing.sinceMs ??= nowMs
        return []
      default:
        return []
    }
  }

  #waits(turnId: string, segmentId: string): ReadonlyArray<Spoken> {
    const known = this.#replies.get(turnId)
    if (known !== undefined) {
      known.atEgress.add(segmentId)
      return []
    }
    this.#replies.set(turnId, {
      id: `SG_${this.#placement}_${turnId}`,
      begun: false,
      closed: false,
      atEgress: new Set([segmentId])
    })
    for (const oldest of this.#replies.keys()) {
      if (this.#replies.size > followedReplies) return this.#over(oldest)
      break
    }
    return []
  }

  #voicedBy(invocation: string): Sentence | undefined {
    const segment = this.#voices.get(invocation)
    return segment === undefined ? undefined : this.#sentences.get(segment)
  }

  /** The words of a sentence that end within its first `chars` characters, as far as they were not told. */
  #tell(sentence: Sentence, chars: number): ReadonlyArray<Spoken> {
    const end = sentence.ends.findLast((candidate) => candidate <= chars) ?? 0
    const reply = this.#replies.get(sentence.turnId)
    if (end <= sentence.told || reply === undefined) return []
    const text = sentence.text.slice(sentence.told, end)
    const gap = sentence.told === 0 && reply.begun ? " " : ""
    sentence.told = end
    reply.begun = true
    return [{ kind: "text", replyId: reply.id, text: `${gap}${text}` }]
  }

  /** A sentence is heard no further. */
  #ended(segmentId: string, turnId: string): ReadonlyArray<Spoken> {
    this.#sentences.delete(segmentId)
    if (this.#playing?.segmentId === segmentId) this.#playing = undefined
    const reply = this.#replies.get(turnId)
    if (reply === undefined) return []
    reply.atEgress.delete(segmentId)
    return reply.closed && reply.atEgress.size === 0 ? this.#over(turnId) : []
  }

  /** Nothing of the turn is heard any more. */
  #over(turnId: string): ReadonlyArray<Spoken> {
    const reply = this.#replies.get(turnId)
    this.#replies.delete(turnId)
    for (const [segmentId, sentence] of this.#sentences) {
      if (sentence.turnId === turnId) this.#sentences.delete(segmentId)
    }
    if (this.#playing?.turnId === turnId) this.#playing = undefined
    return reply?.begun === true ? [{ kind: "end", replyId: reply.id }] : []
  }
}

/** How long the whole sentence takes, as far as that is known, ms. */
const msOf = ({ samples, text, whole }: Sentence): number =>
  (whole && samples > 0 ? samples : Math.max(samples, text.length * usualSamplesPerChar)) / samplesPerMs

/** Characters of a sentence that were heard of it, when `heardSamples` were. */
const charsOf = ({ handle, samples, text, whole }: Sentence, heardSamples: number): number => {
  const { chars } = heardOf({ handle, heardSamples, samples: Math.max(samples, frameSamples), synthesised: whole })
  return handle.length === 0 ? 0 : Math.round((chars / handle.length) * text.length)
}

const trim = (map: Map<string, unknown>, bound: number): void => {
  for (const oldest of map.keys()) {
    if (map.size <= bound) return
    map.delete(oldest)
  }
}
