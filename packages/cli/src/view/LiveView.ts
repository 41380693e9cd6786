import type { InputRecord } from "@rspp/contracts/Timeline"
import type { KernelOutput } from "@rspp/runtime/kernel/KernelContext"
import { samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import type { Style } from "../Screen.ts"

/** One line of the live view. */
export interface ViewLine {
  /** Session time, ms. */
  readonly atMs: number
  readonly who: "call" | "you" | "agent" | "turn" | "cut"
  readonly text: string
  readonly tone: "plain" | "quiet" | "good" | "warning"
  /** It is not final: a terminal shows the next line in its place. */
  readonly passing: boolean
  /** The words, when the line says for good what somebody said. */
  readonly spoken?: string
}

/** Signals beyond those of the conversation that a watcher wants to know of, and how much they weigh. */
const worthTelling: Readonly<Record<string, ViewLine["tone"]>> = {
  provider_error: "warning",
  provider_switch: "warning",
  circuit_event: "warning",
  budget_warning: "quiet",
  budget_exhausted: "warning",
  degrade: "warning",
  fallback: "warning",
  shed: "warning",
  drop_notice: "warning",
  discontinuity: "warning",
  reconnecting: "warning",
  disconnected: "warning",
  stall: "warning",
  silence: "quiet",
  deauthorized_drain: "warning",
  stale_epoch_reject: "warning",
  recording_level_downgraded: "warning"
}

/** Sentences that wait to be heard; the voice edge holds 20 s of speech. */
const rememberedSentences = 256

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`

/**
 * The conversation as it happens, in lines: what is heard, what the agent says when it is heard, what becomes of turns.
 *
 * A pure function of the records so far and of the words behind handles; it draws nothing itself.
 */
export class LiveView {
  readonly #text: (handleId: string) => string | undefined
  /** The words of the utterance that is open. */
  #heard = ""
  /** What is being said aloud, by segment. */
  readonly #sentences = new Map<string, string>()
  #playing: { readonly segmentId: string; readonly text: string } | undefined

  constructor(text: (handleId: string) => string | undefined) {
    this.#text = text
  }

  input({ input, runtime_timestamp_ms: atMs }: InputRecord): ReadonlyArray<ViewLine> {
    const line = (who: ViewLine["who"], text: string, tone: ViewLine["tone"] = "plain", passing = false) => [
      { atMs, who, text, tone, passing }
    ]
    const said = (who: ViewLine["who"], spoken: string) => [
      { atMs, who, text: `"${spoken}"`, tone: "plain" as const, passing: false, spoken }
    ]
    switch (input.type) {
      case "voice_activity":
        return input.edge === "speech_started" ? line("you", "…", "quiet", true) : []
      case "transcript": {
        this.#heard = this.#text(input.handle.id) ?? `(${input.handle.length} characters)`
        return this.#heard === "" ? [] : line("you", `${this.#heard} …`, "quiet", true)
      }
      case "typed_text":
        return said("you", this.#text(input.handle.id) ?? "")
      case "playback_started": {
        const text = this.#sentences.get(input.segment_id) ?? input.segment_id
        this.#playing = { segmentId: input.segment_id, text }
        return said("agent", text)
      }
      case "egress_fenced":
        return input.dropped_samples === 0 ? [] : line(
          "cut",
          `the agent is silent; ${seconds(input.dropped_samples / samplesPerMs)} of speech were dropped`
        )
      case "playback_cancelled": {
        const of = this.#playing === undefined ? "" : ` of "${this.#playing.text}"`
        return line("cut", `${seconds(input.samples / samplesPerMs)}${of} were heard, and nothing after that`)
      }
      default:
        return []
    }
  }

  outputs(outputs: ReadonlyArray<KernelOutput>): ReadonlyArray<ViewLine> {
    // A provider's own words stand in the record of the call that failed, beside the signal.
    const words = new Map(
      outputs.flatMap(({ record, ...rest }) =>
        record === "invocation" && "invocation" in rest
          ? [[rest.invocation.provider_invocation_id, rest.invocation.reason] as const]
          : []
      )
    )
    return outputs.flatMap((output) => {
      if (output.record === "command" && output.command.type === "start_invocation") {
        const { segment_id, text } = output.command
        if (segment_id !== undefined && text !== undefined) {
          this.#remember(segment_id, this.#text(text.id) ?? `(${text.length} characters)`)
        }
        return []
      }
      if (output.record !== "signal") return []
      const { provider_invocation_id, signal } = output.signal
      return this.#signal(
        output.signal,
        signal === "provider_error" && provider_invocation_id !== undefined
          ? words.get(provider_invocation_id)
          : undefined
      )
    })
  }

  #remember(segmentId: string, sentence: string): void {
    this.#sentences.set(segmentId, sentence)
    for (const oldest of this.#sentences.keys()) {
      if (this.#sentences.size <= rememberedSentences) return
      this.#sentences.delete(oldest)
    }
  }

  #signal(
    signal: Extract<KernelOutput, { readonly record: "signal" }>["signal"],
    words: string | undefined
  ): ReadonlyArray<ViewLine> {
    const { reason, runtime_timestamp_ms: atMs, turn_id } = signal
    const line = (who: ViewLine["who"], text: string, tone: ViewLine["tone"] = "plain"): ReadonlyArray<ViewLine> => [
      { atMs, who, text, tone, passing: false }
    ]
    const turn = turn_id?.replace("_", " ") ?? "a turn"
    switch (signal.signal) {
      case "connected":
        return line("call", "the caller is connected", "quiet")
      case "ended":
        return line("call", "the caller has hung up", "quiet")
      case "turn_open_proposed": {
        if (signal.provider_invocation_id === undefined) return []
        const heard = this.#heard
        this.#heard = ""
        return [{ atMs, who: "you", text: `"${heard}"`, tone: "plain", passing: false, spoken: heard }]
      }
      case "turn_open":
        return line("turn", `${turn} opens`, "quiet")
      case "commit":
        return line("turn", `${turn} commits`, "good")
      case "abort":
        return line("turn", `${turn} aborts: ${reason}`, "warning")
      case "reject":
      case "defer":
        return line("turn", `${turn} is refused before it opens: ${reason}`, "warning")
      case "barge_in":
        return reason === "false_alarm"
          ? line("cut", "it was nothing: the agent goes on", "quiet")
          : line("cut", "you speak over the agent: it pauses", "warning")
      case "cancel":
        return line("cut", `${turn} is cancelled: ${reason}`, "warning")
      default: {
        const tone = worthTelling[signal.signal]
        if (tone === undefined) return []
        const what = signal.signal.replaceAll("_", " ")
        return line(
          "turn",
          `${turn_id === undefined ? "" : `${turn}: `}${what}${reason === undefined ? "" : `: ${reason}`}${
            words === undefined ? "" : ` (${words})`
          }`,
          tone
        )
      }
    }
  }
}

/** A line as it is shown: `  2.671  you    "Go forward."` */
export const formatViewLine = ({ atMs, text, tone, who }: ViewLine, style: Style): string => {
  const tint = { plain: (s: string) => s, quiet: style.dim, good: style.green, warning: style.yellow }[tone]
  const name = who.padEnd(5)
  const speaker = who === "you" ? style.cyan(name) : who === "agent" ? style.bold(name) : style.dim(name)
  return `${style.dim((atMs / 1000).toFixed(3).padStart(8))}  ${speaker}  ${tint(text)}`
}
