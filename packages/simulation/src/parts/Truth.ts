import type { LeaseChange } from "@rspp/control/LeaseAuthority"
import type { LeaseRow } from "@rspp/control/LeaseStore"
import { frameSamples } from "@rspp/runtime/ports/AudioFrame"
import type { SessionObserver } from "@rspp/runtime/session/SessionObserver"
import type { Violation } from "../checkers/Checker.ts"

/** What a voice says: the samples of the n-th reply of a call all have this value. */
export const soundOfReply = (reply: number): number => 2000 + (reply % 28_000)
const replyOfSound = (sound: number): number => sound - 2000

/** The reply that a text is a part of: each sentence of the n-th reply begins with `r<n>`. */
export const replyOfText = (text: string): number => Number(/r(\d+)/u.exec(text)?.[1] ?? 27_999)

const ordinalOf = (turnId: string): number => Number(turnId.slice(turnId.lastIndexOf("_") + 1))

/**
 * What the world knows and no timeline says: which turn each sample belongs to that reaches the caller. A simulated voice
 * marks its samples with the reply that they speak, and the simulated transport shows them here.
 *
 * W01: what leaves through the transport is what the session may say, and a lease is what the store may give.
 */
export class Truth {
  /** What must never happen and did. */
  readonly violations: Array<Violation> = []
  /** Frames that reached the transport. */
  frames = 0
  /** Frames of the caller that the session had no room for. */
  refused = 0
  /** Frames of the caller that the session took and that were not overtaken, by their first sample. */
  readonly taken: Array<number> = []
  /** The epoch of each turn that has speech. */
  readonly #epochs = new Map<string, number>()
  /** The lease as the session was told of it, in the instant in which it was told; and as the store has it. */
  #epoch = 0
  #deadlineMs = 0
  /** Its last rows in the store, by their revision. */
  readonly #leases = new Map<number, LeaseRow>()
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

  /** The session took a frame. One whose place has passed is taken for lost on the way. */
  took(sampleIndex: number): void {
    const last = this.taken.at(-1)
    if (last === undefined || sampleIndex >= last + frameSamples) this.taken.push(sampleIndex)
  }

  /** The session is told of its lease: from this instant on egress goes by it. */
  leased({ authority_epoch, status, ttl_ms }: Pick<LeaseChange, "authority_epoch" | "status" | "ttl_ms">): void {
    this.#epoch = Math.max(this.#epoch, authority_epoch)
    this.#deadlineMs = status === "revoked" || status === "expired" ? 0 : this.#nowMs() + ttl_ms
  }

  /**
   * The store has a lease. An epoch is held by one, and once it has run out nothing brings it back. Who wrote first may
   * tell of it last, so it is the revisions that are compared.
   */
  leaseWritten(row: LeaseRow, ttlMs: number): void {
    this.#leases.set(row.revision, row)
    this.#leases.delete(row.revision - 8)
    this.#followed(this.#leases.get(row.revision - 1), row, ttlMs)
    this.#followed(row, this.#leases.get(row.revision + 1), ttlMs)
  }

  #followed(before: LeaseRow | undefined, row: LeaseRow | undefined, ttlMs: number): void {
    if (before === undefined || row?.state !== "held") return
    const { authority_epoch: epoch, expires_at_ms } = before
    if (row.lease_token !== before.lease_token) {
      if (row.authority_epoch <= epoch) this.#broken(`epoch ${row.authority_epoch} was issued again`)
    } else if (before.state !== "held" || row.expires_at_ms - ttlMs >= expires_at_ms) {
      this.#broken(`the lease of epoch ${epoch} was renewed after its end`)
    }
  }

  /** A frame is passed to the transport. */
  captured(sound: number): void {
    this.frames++
    const turn = this.#turns.get(replyOfSound(sound))
    if (turn === undefined) return this.#broken(`sound ${sound} of no reply was captured`)
    if (this.#fenced.has(turn)) this.#broken(`a frame of ${turn} was captured after its fence`)
    const epoch = this.#epochs.get(turn)
    if (epoch !== this.#epoch) {
      this.#broken(`a frame of ${turn}, of epoch ${epoch}, was captured in epoch ${this.#epoch}`)
    } else if (this.#nowMs() >= this.#deadlineMs) {
      this.#broken(`a frame of ${turn} was captured after the lease had run out`)
    }
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
        } else if (command.type === "enqueue_output") this.#epochs.set(command.turn_id, command.authority_epoch)
        else if (command.type === "fence_output") {
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
    const message = `${this.#nowMs().toFixed(3)} ms: ${what}`
    if (this.violations.length < 20) this.violations.push({ rule: "W01", message })
  }
}
