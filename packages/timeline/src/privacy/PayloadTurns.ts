import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { frameSamples } from "@rspp/runtime/ports/AudioFrame"
import { TurnIndex } from "../export/TurnIndex.ts"
import { handleOf } from "./HandleHash.ts"

/** Samples of 1 s, the most that one record of caller audio holds: a record that overlaps a turn counts as its own. */
const chunkSamples = 16_000

interface Window {
  readonly turnId: string
  /**
   * Caller samples from the opening of the turn before to that of this one: in them its question was asked. What came
   * after the last opening is the last turn's, too.
   */
  readonly from: number
  to: number
}

/**
 * Which turn a kept payload belongs to. What was said before a turn opened (transcripts, typed text, sound) belongs to
 * the turn that opened next; nothing of a turn is left out, a second of its neighbour's sound may be counted in.
 */
export class PayloadTurns {
  readonly #turns = new Map<string, string>()
  readonly #windows: Array<Window> = []

  constructor(records: ReadonlyArray<TimelineRecord>) {
    const index = new TurnIndex(records)
    let early: Array<string> = []
    let samples = 0
    let opened = 0
    for (const record of records) {
      if (record.record === "audio") {
        samples = Math.max(samples, record.first_sample_index + record.count * frameSamples)
        continue
      }
      const handle = record.record === "input" ? handleOf(record) : undefined
      if (handle !== undefined) {
        const turn = index.turnOf(record)
        if (turn === undefined) early.push(handle.id)
        else this.#turns.set(handle.id, turn)
      }
      if (record.record !== "signal" || record.signal.signal !== "turn_open" || record.signal.turn_id === undefined) {
        continue
      }
      const turnId = record.signal.turn_id
      for (const id of early) this.#turns.set(id, turnId)
      early = []
      this.#windows.push({ turnId, from: opened, to: samples })
      opened = samples
    }
    const last = this.#windows.at(-1)
    if (last !== undefined) last.to = Number.POSITIVE_INFINITY
  }

  /** True when the record keeps (or kept) a payload of the turn. */
  isOf(record: TimelineRecord, turnId: string): boolean {
    if (record.record === "caller_audio") return this.#heard(record.first_sample_index, turnId)
    if (record.record !== "payload" && record.record !== "sealed" && record.record !== "removed") return false
    const { handle_id } = record
    if (handle_id !== undefined) return this.#turns.get(handle_id) === turnId
    return record.record !== "payload" && record.first_sample_index !== undefined &&
      this.#heard(record.first_sample_index, turnId)
  }

  #heard(first: number, turnId: string): boolean {
    return this.#windows.some((window) =>
      window.turnId === turnId && first < window.to && first + chunkSamples > window.from
    )
  }
}
