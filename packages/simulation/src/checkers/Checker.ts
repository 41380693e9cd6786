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
