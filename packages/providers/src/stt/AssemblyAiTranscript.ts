import { samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { detailOf } from "../hosted/Failures.ts"
import type { Failures } from "../hosted/Failures.ts"
import { joined, type Meaning, type Transcript } from "./Transcript.ts"

/** As much of a message as is used. */
const Message = Schema.fromJsonString(Schema.Struct({
  type: Schema.String,
  turn_order: Schema.optionalKey(Schema.Finite),
  turn_is_formatted: Schema.optionalKey(Schema.Boolean),
  end_of_turn: Schema.optionalKey(Schema.Boolean),
  transcript: Schema.optionalKey(Schema.String),
  words: Schema.optionalKey(Schema.Array(Schema.Struct({
    text: Schema.String,
    end: Schema.optionalKey(Schema.Finite)
  }))),
  error_code: Schema.optionalKey(Schema.Finite),
  error: Schema.optionalKey(Schema.String)
}))

/** How far a word may reach beyond the moment of a question that its turn answers, ms: times of words are rough. */
const overlapMs = 300

const decode = Schema.decodeUnknownOption(Message)

/**
 * What an error or a close of AssemblyAI means; codes from
 * https://www.assemblyai.com/docs/streaming/common-session-errors-and-closures and the vendor's own client.
 */
export const failureOfCode = (failures: Failures, code: number, said: string): ProviderFailure => {
  const detail = detailOf(said)
  const message = `AssemblyAI ended the session (${code})${detail === "" ? "" : `: ${detail}`}`
  if (/concurrent|rate limit/iu.test(detail)) return failures.of("overload", true, message)
  switch (code) {
    case 1000:
    case 1005:
      return failures.truncated
    case 1008:
    case 4001:
    case 4002:
    case 4003:
      return failures.of("blocked", false, message)
    case 1013:
    case 3009:
    case 4029:
    case 4102:
      return failures.of("overload", true, message)
    case 3006:
    case 3007:
    case 4000:
    case 4101:
      return failures.of("infrastructure_failure", false, message)
    case 4031:
      return failures.of("timeout", true, message)
    default:
      return failures.of("infrastructure_failure", true, message)
  }
}

/**
 * The transcript of an AssemblyAI session: each turn counts once, with its last text, in the order of the turns. A turn is
 * finished when its formatted end has come; `ForceEndpoint` is answered by the next end that comes after it. It is not
 * answered when no word was heard: a turn with words from after it shows that.
 */
export class AssemblyAiTranscript implements Transcript {
  /** Text of the turns that have ended, by their order. */
  readonly #turns = new Map<number, string>()
  /** Those whose formatted end has come. */
  readonly #formatted = new Set<number>()
  #interim = ""
  /** When it was asked, in ms of the session's audio. */
  readonly #asks: Array<number> = []
  #answers = 0
  readonly #failures: Failures

  constructor(failures: Failures) {
    this.#failures = failures
  }

  readonly finished = () => joined(...this.#turns.values())
  readonly interim = () => this.#interim
  readonly ask = (samples: number): boolean => {
    this.#asks.push(samples / samplesPerMs)
    return true
  }
  readonly isAnswered = (): boolean => this.#answers >= this.#asks.length

  readonly take = (text: string): Meaning => {
    const message = Option.getOrUndefined(decode(text))
    if (message === undefined) return this.#failures.malformed
    if (message.type === "Termination") return "ended"
    if (message.type === "Error") return failureOfCode(this.#failures, message.error_code ?? 0, message.error ?? "")
    if (message.type !== "Turn") return "heard"
    const { end_of_turn = false, transcript = "", turn_is_formatted = false, turn_order = 0, words = [] } = message
    if (!end_of_turn) {
      // `transcript` has only the words that will not change; `words` has all.
      if (!this.#turns.has(turn_order)) {
        this.#interim = words.length > 0
          ? joined(...words.map((word) => word.text))
          : transcript
      }
      return "heard"
    }
    if (this.#formatted.has(turn_order)) return "heard"
    this.#turns.set(turn_order, transcript)
    this.#interim = ""
    if (turn_is_formatted) {
      this.#formatted.add(turn_order)
      const reachesMs = words.at(-1)?.end ?? 0
      const passed = this.#asks.filter((askedMs) => askedMs + overlapMs < reachesMs).length
      this.#answers = Math.min(this.#asks.length, Math.max(this.#answers, passed) + 1)
    }
    return "heard"
  }
}
