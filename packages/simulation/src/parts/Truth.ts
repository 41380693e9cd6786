import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"

/** What a voice says: the samples of the n-th reply of a call all have this value. */
export const soundOfReply = (reply: number): number => 2000 + (reply % 28_000)
const replyOfSound = (sound: number): number => sound - 2000

/** The reply that a text is a part of: each sentence of the n-th reply begins with `r<n>`. */
export const replyOfText = (text: string): number => Number(/r(\d+)/u.exec(text)?.[1] ?? 27_999)

const ordinalOf = (turnId: string): number => Number(turnId.slice(turnId.lastIndexOf("_") + 1))

/**
 * What the world knows and no timeline says: which turn each sample belongs to that reaches the caller. A simulated voice
 * marks its samples with the reply that they speak, and the simulated transport shows them here.
 */
export class Truth {
  /** What must never happen and did. */
  readonly violations: Array<string> = []
  /** Frames that reached the transport. */
  frames = 0
  /** Frames of the caller that the session had no room for. */
  refused = 0
  /** The turn of each reply that is spoken. */
  readonly #turns = new Map<number, string>()
  readonly #fenced = new Set<string>()
  readonly #nowMs: () => number
  #text: (handleId: string) => string | undefined = () => undefined
  #speaking = 0
  #replies = 0
  /** Turns of which the transport's queue holds samples that were not played yet. */
  queued: () => ReadonlySet<number> = () => new Set()

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  /** The next reply of the call: models call it when they are asked. */
  nextReply(): number {
    return this.#replies++
  }

  /** A frame is passed to the transport. */
  captured(sound: number): void {
    this.frames++
    const turn = this.#turns.get(replyOfSound(sound))
    if (turn === undefined) return this.#broken(`sound ${sound} of no reply was captured`)
    if (this.#fenced.has(turn)) this.#broken(`a frame of ${turn} was captured after its fence`)
    const ordinal = ordinalOf(turn)
    if (ordinal < this.#speaking) this.#broken(`${turn} speaks after turn_${this.#speaking} has spoken`)
    this.#speaking = Math.max(this.#speaking, ordinal)
  }

  /** Learns from a session which reply belongs to which turn, and when each is fenced. */
  readonly observer: SessionObserver = {
    opened: (_header, text) => {
      this.#text = text
    },
    outputs: (outputs) => {
      for (const output of outputs) {
        if (output.record !== "command") continue
        const { command } = output
        if (command.type === "start_invocation" && command.modality === "tts") {
          // What a voice is told to say tells which reply it is a part of.
          const text = command.text === undefined ? undefined : this.#text(command.text.id)
          if (text !== undefined) this.#turns.set(replyOfText(text), command.turn_id ?? "")
        } else if (command.type === "fence_output") {
          // Observers are told after the fence is up.
          this.#fenced.add(command.turn_id)
          for (const sound of this.queued()) {
            if (this.#turns.get(replyOfSound(sound)) === command.turn_id) {
              this.#broken(`the transport still holds speech of ${command.turn_id} after its fence`)
            }
          }
        }
      }
    }
  }

  #broken(what: string): void {
    if (this.violations.length < 20) this.violations.push(`${this.#nowMs().toFixed(3)} ms: ${what}`)
  }
}
