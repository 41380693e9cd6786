import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import { sequencesOf } from "@rspp/contracts/TimelineStamp"

/** A rule that a timeline breaks, with its place. */
export interface Violation {
  /** The checker's id. */
  readonly rule: string
  readonly message: string
  /** Index in the records after the header; absent when the rule is about the whole. */
  readonly record?: number
  readonly runtime_sequence?: number
  readonly turn_id?: string
}

/**
 * A rule that every timeline must keep, whatever happened in the call. It is code of its own that knows only the contract
 * and the records: it imports nothing of the kernel, so that a mistake there cannot hide itself.
 */
export interface Checker {
  /** Stable, such as `C01`; it is printed, cited and counted. */
  readonly id: string
  /** The guarantees that it watches over: ids in the docstrings of the files that keep them. */
  readonly holds?: ReadonlyArray<string>
  /** What must hold, in one sentence. */
  readonly sentence: string
  readonly check: (header: TimelineHeader, records: ReadonlyArray<TimelineRecord>) => ReadonlyArray<Violation>
}

/** True for what the session took in: it begins a step, and what follows up to the next one came of it. */
export const beginsStep = (record: TimelineRecord): boolean => record.record === "input" || record.record === "audio"

/** True for what a provider or a node hands on, and for the end of its work. */
export const isData = (type: string): boolean =>
  type === "text_delta" || type === "segment" || type === "voice_chunk" || type === "transcript" ||
  type === "node_item" || type === "item_done" || type === "invocation_ended" || type === "dispatch_shed"

/** Gathers what one checker finds. */
export class Findings {
  readonly violations: Array<Violation> = []
  readonly #rule: string
  readonly #records: ReadonlyArray<TimelineRecord>

  constructor(rule: string, records: ReadonlyArray<TimelineRecord>) {
    this.#rule = rule
    this.#records = records
  }

  /** `index` is that of the record; -1 when it is about the whole. */
  broken(message: string, index: number, turn_id?: string): void {
    const record = this.#records[index]
    const sequence = record === undefined ? undefined : sequencesOf(record)?.first
    this.violations.push({
      rule: this.#rule,
      message,
      ...(record === undefined ? {} : { record: index }),
      ...(sequence === undefined ? {} : { runtime_sequence: sequence }),
      ...(turn_id === undefined ? {} : { turn_id })
    })
  }
}
