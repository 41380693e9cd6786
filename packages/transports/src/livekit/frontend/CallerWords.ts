import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"

type InputRecord = Parameters<NonNullable<SessionObserver["input"]>>[0]
type KernelOutput = Parameters<NonNullable<SessionObserver["outputs"]>>[0][number]

/** What the caller is known to have said of an utterance: all of it so far. */
export interface Said {
  readonly utteranceId: string
  readonly text: string
  /** Nothing more of the utterance comes. */
  readonly final: boolean
}

/** Utterances that are open at a time: one, and those whose recogniser is still at work. */
const openUtterances = 16

/**
 * What the caller says, as the recogniser understands it: a pure function of the session's records.
 *
 * An utterance is told whenever its text changes, each time all of it, and for the last time, as final, when it becomes a
 * turn or its recognition has ended: what a recogniser calls final is not, as long as the caller may go on. An utterance
 * in which no words were heard is not told; one whose words were taken back ends as an empty final text.
 *
 * Guarantees: I-FRONT-FINAL each utterance that was told ends in exactly one final text.
 */
export class CallerWords {
  readonly #text: (handleId: string) => string | undefined
  readonly #placement: string
  readonly #open = new Map<string, string>()
  /** Recognitions that are over, as far as this is concerned. */
  readonly #closed = new Set<string>()

  /** `placement` makes the ids of utterances unique in a room; `text` gives the words behind a handle. */
  constructor(placement: string, text: (handleId: string) => string | undefined) {
    this.#placement = placement
    this.#text = text
  }

  input({ input }: InputRecord): ReadonlyArray<Said> {
    switch (input.type) {
      case "transcript": {
        const { handle, provider_invocation_id: recognition } = input
        if (this.#closed.has(recognition)) return []
        const text = (this.#text(handle.id) ?? "").trim()
        const before = this.#open.get(recognition)
        if (text === (before ?? "")) return []
        this.#open.set(recognition, text)
        const overdue = this.#open.size > openUtterances ? [...this.#open.keys()].slice(0, 1) : []
        return [
          ...overdue.flatMap((oldest) => this.#end(oldest)),
          // Taken back: the words that come instead, or the end, will say so.
          ...(text === "" ? [] : [{ utteranceId: this.#idOf(recognition), text, final: false }])
        ]
      }
      case "invocation_ended":
        return this.#end(input.provider_invocation_id)
      default:
        return []
    }
  }

  outputs(outputs: ReadonlyArray<KernelOutput>): ReadonlyArray<Said> {
    return outputs.flatMap((output) =>
      output.record === "signal" && output.signal.signal === "turn_open_proposed" &&
        output.signal.provider_invocation_id !== undefined
        ? this.#end(output.signal.provider_invocation_id)
        : []
    )
  }

  /** The session is over. */
  closed(): ReadonlyArray<Said> {
    return [...this.#open.keys()].flatMap((recognition) => this.#end(recognition))
  }

  #end(recognition: string): ReadonlyArray<Said> {
    const text = this.#open.get(recognition)
    if (text === undefined) return []
    this.#open.delete(recognition)
    this.#closed.add(recognition)
    for (const oldest of this.#closed) {
      if (this.#closed.size <= openUtterances) break
      this.#closed.delete(oldest)
    }
    return [{ utteranceId: this.#idOf(recognition), text, final: true }]
  }

  #idOf(recognition: string): string {
    return `SG_${this.#placement}_${recognition}`
  }
}
