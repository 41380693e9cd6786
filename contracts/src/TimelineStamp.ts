import type { TimelineRecord } from "./Timeline.ts"

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
    case "sealed":
    case "removed":
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
    case "sealed":
    case "removed":
      return undefined
  }
}
