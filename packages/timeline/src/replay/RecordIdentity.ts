import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { SessionCommand } from "@rspp/contracts/SessionCommand"
import type { TimelineRecord } from "@rspp/contracts/Timeline"

/** What a record is about, apart from where and when it stands. */
export interface RecordIdentity {
  /** In words: `signal turn_open`, `command arm_timer endpoint`. */
  readonly what: string
  readonly turnId?: string
  /** Its place; evidence, supplements and the end have none of their own. */
  readonly sequence?: number
  readonly atMs?: number
  readonly eventId?: string
}

const commandSubject = (command: SessionCommand): string => {
  if ("timer" in command) return ` ${command.timer}`
  if ("provider_invocation_id" in command) return ` ${command.provider_invocation_id}`
  if ("segment_id" in command) return ` ${command.segment_id}`
  return ""
}

const about = (
  what: string,
  turnId: string | undefined,
  sequence?: number,
  atMs?: number,
  eventId?: string
): RecordIdentity => ({
  what,
  ...(turnId === undefined ? {} : { turnId }),
  ...(sequence === undefined ? {} : { sequence }),
  ...(atMs === undefined ? {} : { atMs }),
  ...(eventId === undefined ? {} : { eventId })
})

export const identityOf = (record: TimelineRecord): RecordIdentity => {
  switch (record.record) {
    case "signal": {
      const { event_id, runtime_sequence, runtime_timestamp_ms, signal, turn_id } = record.signal
      return about(`signal ${signal}`, turn_id, runtime_sequence, runtime_timestamp_ms, event_id)
    }
    case "event": {
      const { edge_id, event_id, lane, reason, runtime_sequence, runtime_timestamp_ms, turn_id } = record.event
      return about(
        `${lane} event ${edge_id ?? reason ?? ""}`,
        turn_id,
        runtime_sequence,
        runtime_timestamp_ms,
        event_id
      )
    }
    case "decision": {
      const { event_id, outcome_kind, runtime_timestamp_ms, turn_id } = record.decision
      return about(`decision ${outcome_kind}`, turn_id, record.runtime_sequence, runtime_timestamp_ms, event_id)
    }
    case "transition":
      return about(
        `transition ${record.transition.trigger}`,
        record.turn_id,
        record.runtime_sequence,
        record.runtime_timestamp_ms
      )
    case "plan":
      return about("plan", record.plan.turn_id, record.runtime_sequence, record.runtime_timestamp_ms)
    case "invocation": {
      const { invocation } = record
      const what = `invocation ${invocation.modality} ${invocation.provider_invocation_id}`
      return about(what, invocation.turn_id, record.runtime_sequence, record.runtime_timestamp_ms)
    }
    case "command": {
      const { command } = record
      const turnId = "turn_id" in command ? command.turn_id : undefined
      const what = `command ${command.type}${commandSubject(command)}`
      return about(what, turnId, record.runtime_sequence, record.runtime_timestamp_ms)
    }
    case "input": {
      const { input } = record
      const turnId = "turn_id" in input ? input.turn_id : undefined
      return about(`input ${input.type}`, turnId, record.runtime_sequence, record.runtime_timestamp_ms)
    }
    case "audio":
      return about("audio run", undefined, record.first_sequence, record.first_timestamp_ms)
    case "evidence": {
      const { times, turn_id } = record.evidence
      return about("evidence", turn_id, undefined, times.close_ms)
    }
    case "supplement":
      return about("supplement", record.supplement.turn_id, undefined, record.supplement.sealed_ms)
    case "end":
      return about("end", undefined, undefined, record.runtime_timestamp_ms)
    default:
      return about(record.record, undefined)
  }
}

/** A field that says where in the sequence a record stands, or that names something by its place there. */
export const isPlace = (path: string): boolean =>
  /(?:^|\.)(?:runtime_sequence|event_id|causal_parent_id|generation|last_sequence|discontinuity_id)$/u.test(path) ||
  /(?:^|\.)(?:seq_range|merged_from_event_ids)(?:\.|$)/u.test(path)

/** A field that says when something happened, how long it took, or when it is due. */
export const isTime = (path: string): boolean => path.endsWith("_ms")

const bare = (value: unknown, path: string): unknown => {
  if (typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) return value.map((item) => bare(item, path))
  const kept: Record<string, unknown> = {}
  for (const [key, field] of Object.entries(value)) {
    const at = path === "" ? key : `${path}.${key}`
    if (!isPlace(at) && !isTime(at)) kept[key] = bare(field, at)
  }
  return kept
}

/** The record without places and times: equal texts say the same thing, perhaps elsewhere or at another time. */
export const bareText = (record: TimelineRecord): string => canonicalJson(bare(record, ""))
