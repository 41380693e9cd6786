import type { PayloadClass } from "@rspp/contracts/Event"
import type { PayloadDecision, RedactionAction } from "@rspp/contracts/Evidence"
import type { LoweredTurns, RecordingManifest } from "@rspp/contracts/Timeline"
import { lowerLevel } from "@rspp/contracts/TurnPlan"
import type { RecordingLevel } from "@rspp/contracts/TurnPlan"

/** Records that were made but did not reach the disk, as the recorder counts them. */
export interface LostRecords {
  /** Payloads, caller audio, telemetry. */
  readonly detail: number
  /** Any others. */
  readonly records: number
}

/** Stretches of lowered turns that a manifest lists; a turn past that joins the last one. */
export const maxLoweredStretches = 64

/** What a recorder has let go on purpose, counted where it happens; with what got lost it is the manifest of the recording. */
export class CaptureLog {
  /** One for each class and action that came: few. */
  readonly #left: Array<{ readonly payload_class: PayloadClass; readonly action: RedactionAction; count: number }> = []
  readonly #lowered: Array<LoweredTurns> = []
  /** Turns that were closed, and how many there were when the last lowered one was. */
  #closed = 0
  #lastLowered = 0
  #level: RecordingLevel
  #samples = 0
  #samplesKept = 0

  constructor(level: RecordingLevel) {
    this.#level = level
  }

  /** This level is in force now. */
  level(level: RecordingLevel): void {
    if (level !== this.#level) this.#level = lowerLevel(this.#level, level)
  }

  /** A turn was closed. `level` where pressure had it recorded below its plan's level: the lowest that was in force. */
  turn(turnId: string, level: RecordingLevel | undefined): void {
    this.#closed++
    if (level === undefined) return
    const last = this.#lowered.at(-1)
    const joins = last !== undefined &&
      (this.#lowered.length >= maxLoweredStretches ||
        (this.#lastLowered === this.#closed - 1 && last.level === level))
    this.#lastLowered = this.#closed
    if (joins) {
      this.#lowered[this.#lowered.length - 1] = {
        ...last,
        last_turn: turnId,
        turns: last.turns + 1,
        level: lowerLevel(last.level, level)
      }
    } else this.#lowered.push({ first_turn: turnId, last_turn: turnId, turns: 1, level })
  }

  /** A payload came and met this redaction. */
  payload(payload_class: PayloadClass, action: RedactionAction): void {
    if (action === "allow") return
    for (const left of this.#left) {
      if (left.payload_class !== payload_class || left.action !== action) continue
      left.count++
      return
    }
    this.#left.push({ payload_class, action, count: 1 })
  }

  /** Samples of the caller came, and were kept or not. */
  callerAudio(samples: number, kept: boolean): void {
    this.#samples += samples
    if (kept) this.#samplesKept += samples
  }

  manifest(lost: LostRecords): RecordingManifest {
    const nameOf = ({ action, payload_class }: PayloadDecision) => `${payload_class} ${action}`
    const payloads: ReadonlyArray<PayloadDecision> = this.#left.map((decision) => ({ ...decision }))
      .sort((a, b) => nameOf(a) < nameOf(b) ? -1 : 1)
    const whole = this.#samplesKept === this.#samples && lost.detail === 0
    return {
      level: this.#level,
      caller_audio: this.#samplesKept === 0 ? "none" : whole ? "whole" : "part",
      payloads,
      detail_dropped: lost.detail,
      records_lost: lost.records,
      ...(this.#lowered.length === 0 ? {} : { lowered_turns: [...this.#lowered] })
    }
  }
}
