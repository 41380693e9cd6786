import * as Schema from "effect/Schema"
import { Id, SchemaVersion, uniqueList } from "./Identity.ts"
import { Natural, Positive } from "./Quantity.ts"
import { type Rule, ruleCheck } from "./Rule.ts"
import { Milliseconds } from "./Time.ts"

export const lanes = ["DataLane", "ControlLane", "TelemetryLane"] as const
export const Lane = Schema.Literals(lanes)
export type Lane = typeof Lane.Type

export const eventScopes = ["session", "turn"] as const
export const EventScope = Schema.Literals(eventScopes)
export type EventScope = typeof EventScope.Type

export const payloadClasses = ["PII", "PHI", "audio_raw", "text_raw", "derived_summary", "metadata"] as const
export const PayloadClass = Schema.Literals(payloadClasses)
export type PayloadClass = typeof PayloadClass.Type

/** One value for each lane: exactly the three lanes. */
export const byLane = <D extends Schema.Constraint, C extends Schema.Constraint, T extends Schema.Constraint>(
  DataLane: D,
  ControlLane: C,
  TelemetryLane: T
) => Schema.Struct({ DataLane, ControlLane, TelemetryLane })

export const mediaTimeRules: ReadonlyArray<Rule> = [{
  id: "media_time.exactly-one",
  then: { exactlyOne: ["sample_index", "pts_ms"] },
  message: "media_time holds exactly one of sample_index and pts_ms"
}]

/** Position in the media: a sample index, or a presentation time. */
export const MediaTime = Schema.Struct({
  sample_index: Schema.optionalKey(Natural),
  pts_ms: Schema.optionalKey(Milliseconds)
}).check(ruleCheck(mediaTimeRules)).annotate({ identifier: "MediaTime" })
export type MediaTime = typeof MediaTime.Type

/** A run of sequence numbers, both ends included. */
export const SequenceRange = Schema.Struct({ start: Natural, end: Natural })
export type SequenceRange = typeof SequenceRange.Type

/** The fields that event records and control signals share (CONTRACT section 2), without those that each narrows. */
export const envelopeFields = {
  schema_version: SchemaVersion,
  event_scope: EventScope,
  session_id: Id,
  turn_id: Schema.optionalKey(Id),
  pipeline_version: Id,
  node_id: Schema.optionalKey(Id),
  edge_id: Schema.optionalKey(Id),
  event_id: Id,
  causal_parent_id: Schema.optionalKey(Id),
  idempotency_key: Schema.optionalKey(Id),
  provider_invocation_id: Schema.optionalKey(Id),
  transport_sequence: Schema.NullOr(Natural),
  runtime_sequence: Natural,
  sync_id: Schema.optionalKey(Id),
  sync_domain: Schema.optionalKey(Id),
  discontinuity_id: Schema.optionalKey(Id),
  merge_group_id: Schema.optionalKey(Id),
  merged_from_event_ids: Schema.optionalKey(uniqueList(Id, { min: 1, max: 64 })),
  late_after_cancel: Schema.optionalKey(Schema.Boolean),
  lease_token: Schema.optionalKey(Id),
  runtime_timestamp_ms: Milliseconds,
  wall_clock_timestamp_ms: Milliseconds,
  timestamp_ms: Schema.optionalKey(Milliseconds),
  media_time: Schema.optionalKey(MediaTime),
  reason: Schema.optionalKey(Id),
  target_lane: Schema.optionalKey(Lane),
  amount: Schema.optionalKey(Positive),
  seq_range: Schema.optionalKey(SequenceRange)
} as const

/** Rules of every envelope; control signals obey them too. */
export const envelopeRules: ReadonlyArray<Rule> = [
  {
    id: "event.turn-scope-requires-turn-id",
    when: [{ field: "event_scope", in: ["turn"] }],
    then: { require: ["turn_id"] },
    message: "an event of turn scope carries turn_id"
  },
  {
    id: "event.turn-scope-requires-authority-epoch",
    when: [{ field: "event_scope", in: ["turn"] }],
    then: { require: ["authority_epoch"] },
    message: "an event of turn scope carries authority_epoch"
  },
  {
    id: "event.discontinuity-requires-sync-domain",
    when: [{ field: "discontinuity_id", present: true }],
    then: { require: ["sync_domain"] },
    message: "discontinuity_id names a break in a sync_domain, which must be given"
  },
  {
    id: "event.merge-list-requires-merge-group",
    when: [{ field: "merged_from_event_ids", present: true }],
    then: { require: ["merge_group_id"] },
    message: "merged_from_event_ids belongs to a merge_group_id, which must be given"
  },
  {
    id: "event.late-after-cancel-requires-turn-scope",
    when: [{ field: "late_after_cancel", in: [true] }],
    then: { field: "event_scope", in: ["turn"] },
    message: "only an event of turn scope can be late after a cancel"
  },
  {
    id: "event.late-after-cancel-requires-turn-id",
    when: [{ field: "late_after_cancel", in: [true] }],
    then: { require: ["turn_id"] },
    message: "an event that is late after a cancel carries the turn_id of the turn that was cancelled"
  }
]

export const eventRules: ReadonlyArray<Rule> = [
  ...envelopeRules,
  {
    id: "event.audio-requires-media-time",
    when: [{ field: "payload_class", in: ["audio_raw"] }],
    then: { require: ["media_time"] },
    message: "an event with raw audio carries media_time"
  }
]

/** An event record: DataLane or TelemetryLane, without a signal. */
export const EventRecord = Schema.Struct({
  ...envelopeFields,
  lane: Schema.Literals(["DataLane", "TelemetryLane"]),
  authority_epoch: Schema.optionalKey(Natural),
  payload_class: PayloadClass,
  scope: Schema.optionalKey(Schema.String)
}).check(ruleCheck(eventRules)).annotate({ identifier: "EventRecord" })
export type EventRecord = typeof EventRecord.Type
