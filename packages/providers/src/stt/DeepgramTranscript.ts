import { sampleRateHz, samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Failures } from "../hosted/Failures.ts"
import { joined, type Meaning, type Transcript } from "./Transcript.ts"

/** As much of a message as is used. */
const Message = Schema.fromJsonString(Schema.Struct({
  type: Schema.String,
  start: Schema.optionalKey(Schema.Finite),
  duration: Schema.optionalKey(Schema.Finite),
  is_final: Schema.optionalKey(Schema.Boolean),
  from_finalize: Schema.optionalKey(Schema.Boolean),
  channel: Schema.optionalKey(Schema.Union([
    Schema.Struct({ alternatives: Schema.Array(Schema.Struct({ transcript: Schema.String })) }),
    // Other messages have numbers there.
    Schema.Array(Schema.Unknown)
  ]))
}))

const decode = Schema.decodeUnknownOption(Message)

/** Unfinished audio that is too little for an answer to `Finalize`, in samples: 100 ms; it holds no word. */
const notableSamples = 100 * samplesPerMs

/** What `start` and `duration` may be off by, seconds: they come rounded. */
const roundingS = 0.005

/**
 * The transcript of a Deepgram connection: `Results` with `is_final` are finished, in the order of their `start`; one that
 * comes twice counts once. `Finalize` is answered by `from_finalize`, or by results that reach to the moment of it.
 */
export class DeepgramTranscript implements Transcript {
  #finished = ""
  #interim = ""
  /** How far the audio is finished, seconds. */
  #through = 0
  #asks = 0
  #answers = 0
  #askedSamples = 0
  readonly #failures: Failures

  constructor(failures: Failures) {
    this.#failures = failures
  }

  readonly finished = () => this.#finished
  readonly interim = () => this.#interim

  readonly ask = (samples: number): boolean => {
    this.#askedSamples = samples
    if (this.#reaches()) return false
    this.#asks++
    return true
  }

  readonly isAnswered = (): boolean => this.#answers >= this.#asks || this.#reaches()

  #reaches(): boolean {
    return this.#askedSamples - this.#through * sampleRateHz <= notableSamples
  }

  readonly take = (text: string): Meaning => {
    const message = Option.getOrUndefined(decode(text))
    if (message === undefined) return this.#failures.malformed
    if (message.type === "Metadata") return "ended"
    if (message.type === "Error") {
      return this.#failures.of("infrastructure_failure", true, "Deepgram broke the recognition off with an error")
    }
    if (message.type !== "Results") return "heard"
    const { channel, duration = 0, from_finalize = false, is_final = false, start = 0 } = message
    const transcript = channel !== undefined && "alternatives" in channel
      ? channel.alternatives[0]?.transcript ?? ""
      : ""
    if (!is_final) {
      this.#interim = transcript
      return "heard"
    }
    const end = start + duration
    if (duration > 0 && end <= this.#through + roundingS) return "heard"
    this.#finished = joined(this.#finished, transcript)
    this.#interim = ""
    this.#through = Math.max(this.#through, end)
    if (from_finalize) this.#answers = Math.min(this.#asks, this.#answers + 1)
    return "heard"
  }
}
