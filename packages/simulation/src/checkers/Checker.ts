import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"

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

/** The sequence numbers that a record takes: one for most, a run for audio, none for what the recorder makes itself. */
export const sequencesOf = (record: TimelineRecord): { readonly first: number; readonly count: number } | undefined => {
  switch (record.record) {
    case "audio":
      return { first: record.first_sequence, count: record.count }
    case "signal":
      return { first: record.signal.runtime_sequence, count: 1 }
    case "event":
      return { first: record.event.runtime_sequence, count: 1 }
    case "input":
    case "transition":
    case "plan":
    case "decision":
    case "invocation":
    case "command":
      return { first: record.runtime_sequence, count: 1 }
    case "header":
    case "evidence":
    case "supplement":
    case "payload":
    case "caller_audio":
    case "end":
      return undefined
  }
}

/** The time of a record, in ms since the session's start; undefined for what has none. */
export const timeOf = (record: TimelineRecord): number | undefined => {
  switch (record.record) {
    case "audio":
      return record.first_timestamp_ms
    case "signal":
      return record.signal.runtime_timestamp_ms
    case "event":
      return record.event.runtime_timestamp_ms
    case "decision":
      return record.decision.runtime_timestamp_ms
    case "input":
    case "transition":
    case "plan":
    case "invocation":
    case "command":
    case "end":
      return record.runtime_timestamp_ms
    case "header":
    case "evidence":
    case "supplement":
    case "payload":
    case "caller_audio":
      return undefined
  }
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
