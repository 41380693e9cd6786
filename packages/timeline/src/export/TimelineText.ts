import type { PayloadHandle } from "@rspp/contracts/PayloadHandle"
import type { SessionCommand } from "@rspp/contracts/SessionCommand"
import type { SessionInput } from "@rspp/contracts/SessionInput"
import type { TimelineHeader, TimelineRecord } from "@rspp/contracts/Timeline"
import type { Timeline } from "../format/TimelineDecoder.ts"
import { sequencesOf } from "@rspp/contracts/TimelineStamp"
import { filtered } from "./RecordFilter.ts"
import type { RecordFilter } from "./RecordFilter.ts"

/** Columns: time, sequence, who, turn, what. */
const widths = { time: 10, sequence: 7, who: 8, turn: 9 } as const

/**
 * A timeline as lines for a person, without newlines: when, which record, who, which turn, what.
 *
 * @example
 * // 00:03.412     123  RK-03    turn_1    turn_open
 */
export function* timelineText(timeline: Timeline, filter: RecordFilter = {}): Generator<string> {
  for (const { atMs, record, turn } of filtered(timeline, filter)) {
    const { who, what } = describe(record)
    yield [
      clock(atMs).padEnd(widths.time),
      String(sequencesOf(record)?.first ?? "").padStart(widths.sequence),
      ` ${who.padEnd(widths.who)}`,
      (turn ?? "").padEnd(widths.turn),
      what
    ].join(" ").trimEnd()
  }
  if (timeline.tear !== undefined) yield tornLine(timeline.tear)
}

/** The tear of a timeline as a line for a person. */
export const tornLine = ({ offset, reason, recordsBefore }: NonNullable<Timeline["tear"]>): string =>
  `-- ${
    {
      truncated: "the timeline stops here: it was cut off, or never closed",
      checksum: "the bytes that follow were changed",
      garbage: "what follows is no record"
    }[reason]
  } (byte ${offset}, after ${recordsBefore} records)`

/** `mm:ss.mmm`, with hours where there are any. */
export const clock = (ms: number): string => {
  const pad = (n: number, digits = 2) => String(Math.floor(n)).padStart(digits, "0")
  const hours = Math.floor(ms / 3_600_000)
  return `${hours > 0 ? `${hours}:` : ""}${pad((ms / 60_000) % 60)}:${pad((ms / 1000) % 60)}.${pad(ms % 1000, 3)}`
}

/** `key value` for each field that is there. */
const fields = (values: Readonly<Record<string, unknown>>): string =>
  Object.entries(values).filter(([, value]) => value !== undefined).map(([key, value]) => `${key} ${String(value)}`)
    .join(" ")

const words = (...parts: ReadonlyArray<string | number | undefined>): string =>
  parts.filter((part) => part !== undefined && part !== "").join(" ")

const handleText = ({ id, payload_class, length, facts }: PayloadHandle): string =>
  words(
    id,
    `${length} ${payload_class === "audio_raw" ? "samples" : "chars"}`,
    facts === undefined ? "" : fields(facts)
  )

const describe = (record: TimelineRecord): { readonly who: string; readonly what: string } => {
  switch (record.record) {
    case "header":
      return { who: "session", what: headerText(record) }
    case "audio":
      return {
        who: "caller",
        what: `${record.count} frames, samples ${record.first_sample_index} to ${
          record.first_sample_index + record.count * 320 - 1
        }`
      }
    case "input":
      return { who: "in", what: inputText(record.input) }
    case "signal": {
      const { signal, emitted_by, reason, scope, edge_id, provider_invocation_id, seq_range } = record.signal
      const range = seq_range === undefined ? "" : `${seq_range.start}..${seq_range.end}`
      return { who: emitted_by, what: words(signal, reason, scope, edge_id, range, provider_invocation_id) }
    }
    case "event": {
      const { payload_class, node_id, edge_id, lane, provider_invocation_id, late_after_cancel } = record.event
      const late = late_after_cancel === true ? "late after cancel" : ""
      return {
        who: lane === "DataLane" ? "data" : "telem",
        what: words(payload_class, edge_id ?? node_id, provider_invocation_id, late)
      }
    }
    case "transition":
      return { who: "turn", what: `${record.transition.from_state} → ${record.transition.to_state}` }
    case "plan":
      return {
        who: "plan",
        what: words(
          record.plan.execution_profile,
          record.plan.plan_hash.slice(0, 12),
          `epoch ${record.plan.authority_epoch}`
        )
      }
    case "decision": {
      const { outcome_kind, emitted_by, phase, scope, reason } = record.decision
      return { who: emitted_by, what: words(outcome_kind, phase, scope, reason) }
    }
    case "invocation": {
      const { invocation } = record
      return {
        who: invocation.modality,
        what: words(
          invocation.provider_invocation_id,
          invocation.provider_id,
          invocation.outcome_class,
          `${invocation.total_latency_ms} ms`,
          invocation.reason
        )
      }
    }
    case "command":
      return { who: "do", what: commandText(record.command) }
    case "evidence": {
      const { terminal, times, invocations } = record.evidence
      return {
        who: "OR-02",
        what: words(
          "evidence",
          terminal.kind,
          terminal.reason,
          fields({
            open: times.open_ms,
            first_output: times.first_output_ms,
            terminal: times.terminal_ms,
            invocations: invocations.length
          })
        )
      }
    }
    case "supplement": {
      const { cancel, invocations } = record.supplement
      return {
        who: "OR-02",
        what: words(
          "supplement",
          fields({
            acknowledged: cancel?.acknowledged_ms,
            late_outputs: cancel?.late_outputs_dropped,
            invocations: invocations.length
          })
        )
      }
    }
    case "payload":
      return {
        who: "payload",
        what: words(
          record.handle_id,
          record.payload_class,
          record.action,
          record.text === undefined ? "" : `"${record.text}"`
        )
      }
    case "caller_audio":
      return { who: "payload", what: `caller audio from sample ${record.first_sample_index}` }
    case "sealed":
    case "removed": {
      const { first_sample_index, handle_id, payload_class } = record
      const subject = first_sample_index === undefined ? handle_id : `caller audio from sample ${first_sample_index}`
      const why = record.record === "sealed" ? `sealed, key ${record.key_id}` : `removed (${record.why})`
      return { who: "payload", what: words(subject, payload_class, why) }
    }
    case "end":
      return { who: "session", what: `${record.reason}, ${record.records} records` }
  }
}

const headerText = (header: TimelineHeader): string =>
  words(
    header.session_id,
    fields({
      tenant: header.tenant_id,
      pipeline: header.pipeline_version,
      level: header.recording_level,
      clock: header.clock,
      seed: header.seed,
      started: new Date(header.wall_clock_start_ms).toISOString()
    })
  )

const inputText = (input: SessionInput): string => {
  const { type, ...rest } = input
  if (input.type === "snapshot") return words(type, input.snapshot.snapshot_kind, input.snapshot.snapshot_id)
  if (input.type === "session_resumed") {
    const { accepted_turns, authority_epoch, conversation, idempotency_keys, turns } = input
    const counts = { turns, accepted: accepted_turns, lines: conversation.length, keys: idempotency_keys.length }
    return words(type, fields({ from_epoch: authority_epoch, ...counts }))
  }
  if (!("handle" in input)) {
    const { lease_token: _token, turn_id: _turn, ...said } = rest as Record<string, unknown>
    return words(type, fields(said))
  }
  const invocation = "provider_invocation_id" in input ? input.provider_invocation_id : undefined
  const finality = "finality" in input ? input.finality : undefined
  return words(type, finality, invocation, handleText(input.handle))
}

const commandText = (command: SessionCommand): string => {
  if (command.type === "start_invocation") {
    const { modality, provider_invocation_id, provider_id, segment_id, cap_ms, conversation, text } = command
    return words(
      command.type,
      modality,
      provider_invocation_id,
      provider_id,
      segment_id,
      fields({ cap: cap_ms, lines: conversation?.length }),
      text === undefined ? "" : handleText(text)
    )
  }
  const { type, turn_id: _, ...rest } = command as SessionCommand & { readonly turn_id?: string }
  return words(type, fields(rest))
}
