import * as Schema from "effect/Schema"
import { PayloadClass } from "./Event.ts"
import { Id, SchemaVersion, Sha256Hex, uniqueList } from "./Identity.ts"
import { Natural } from "./Quantity.ts"
import { Milliseconds } from "./Time.ts"

export const accessScopes = ["session", "turn"] as const
/** How much of a recording is asked for: all of it, or one turn. */
export const AccessScope = Schema.Literals(accessScopes).annotate({
  description: "How much of a recording is asked for: all of it, or one turn."
})
export type AccessScope = typeof AccessScope.Type

export const accessFidelities = ["metadata", "masked", "tokenized", "raw_audio"] as const
/**
 * How much of the payloads is asked for. `metadata`: none, nor their keyed hashes. `masked`: text as asterisks.
 * `tokenized`: as masked, and tokens for PII and PHI. `raw_audio`: as masked, and the recorded sound.
 */
export const AccessFidelity = Schema.Literals(accessFidelities).annotate({
  description:
    "How much of the payloads is asked for. `metadata`: none, nor their keyed hashes. `masked`: text as asterisks. `tokenized`: as masked, and tokens for PII and PHI. `raw_audio`: as masked, and the recorded sound."
})
export type AccessFidelity = typeof AccessFidelity.Type

/** The six attributes of a request for a recording (CONTRACT section 11). All of them are required. */
export const accessAttributes = [
  "tenant_id",
  "principal_id",
  "role",
  "purpose",
  "requested_scope",
  "requested_fidelity"
] as const

/** One permission: any of its roles, for any of its purposes, up to its scopes and fidelities. */
export const AccessRule = Schema.Struct({
  roles: uniqueList(Id, { min: 1 }).annotate({ description: "Who: any of these roles." }),
  principals: Schema.optionalKey(
    uniqueList(Id, { min: 1 }).annotate({ description: "Only these people; absent: any principal of these roles." })
  ),
  purposes: uniqueList(Id, { min: 1 }).annotate({ description: "What for: any of these purposes." }),
  scopes: uniqueList(AccessScope, { min: 1 }).annotate({ description: "How much of a recording." }),
  fidelities: uniqueList(AccessFidelity, { min: 1 }).annotate({
    description: "How much of its payloads: `metadata`, `masked`, `tokenized`, `raw_audio`."
  })
})
export type AccessRule = typeof AccessRule.Type

/** Who may read the recordings of one tenant. What no rule permits is denied. */
export const AccessPolicy = Schema.Struct({
  schema_version: SchemaVersion,
  tenant_id: Id.annotate({ description: "Whose recordings." }),
  access_rules: Schema.Array(AccessRule),
  audit_log: Id.annotate({ description: "Where each access is written down; relative to the policy's own file." }),
  key_store: Schema.optionalKey(
    Id.annotate({ description: "Where the keys of sealed payloads are; relative to the policy's own file." })
  )
}).annotate({ identifier: "AccessPolicy" })
export type AccessPolicy = typeof AccessPolicy.Type

const Days = Natural

/**
 * How long recordings are kept, by tenant; the tenant `*` is every tenant without an entry of its own. A class that is not named is
 * kept as long as the recording, and a recording without `recording_days` for ever. 0 days: gone at the next sweep.
 */
export const RetentionPolicy = Schema.Struct({
  schema_version: SchemaVersion,
  retention: Schema.Array(
    Schema.Struct({
      tenant_id: Id.annotate({
        description: "Whose recordings; `*`: those of every tenant without an entry of its own."
      }),
      payload_days: Schema.optionalKey(
        Schema.Struct({
          PII: Schema.optionalKey(Days),
          PHI: Schema.optionalKey(Days),
          audio_raw: Schema.optionalKey(Days),
          text_raw: Schema.optionalKey(Days),
          derived_summary: Schema.optionalKey(Days)
        }).annotate({
          description:
            "Days after the session's start until payloads of this class go; absent: as long as the recording."
        })
      ),
      recording_days: Schema.optionalKey(Days.annotate({ description: "Days after which the whole file goes." }))
    })
  )
}).annotate({ identifier: "RetentionPolicy" })
export type RetentionPolicy = typeof RetentionPolicy.Type

/** What somebody may do with a recording that has an access policy: look at it, or something that needs all of it. */
export const accessActions = ["show", "export", "replay", "summary", "diff", "promote"] as const
export type AccessAction = (typeof accessActions)[number]

export const auditActions = [...accessActions, "delete", "sweep"] as const
export const auditOutcomes = ["granted", "denied", "done"] as const

/**
 * One line of an audit log. `hash` is the SHA-256 of the entry's canonical JSON without `hash`; `previous_hash` is that
 * of the line before, 64 zeros in the first.
 */
export const AuditEntry = Schema.Struct({
  schema_version: SchemaVersion,
  audit_sequence: Natural,
  wall_clock_ms: Milliseconds,
  action: Schema.Literals(auditActions),
  outcome: Schema.Literals(auditOutcomes),
  reason: Schema.optionalKey(Id),
  /** The attributes as they were given; what was not given is absent. */
  request: Schema.optionalKey(Schema.Struct({
    tenant_id: Schema.optionalKey(Schema.String),
    principal_id: Schema.optionalKey(Schema.String),
    role: Schema.optionalKey(Schema.String),
    purpose: Schema.optionalKey(Schema.String),
    requested_scope: Schema.optionalKey(Schema.String),
    requested_fidelity: Schema.optionalKey(Schema.String)
  })),
  /** What it is about. */
  subject: Schema.Struct({
    file: Id,
    session_id: Schema.optionalKey(Id),
    tenant_id: Schema.optionalKey(Id),
    turn_id: Schema.optionalKey(Id),
    classes: Schema.optionalKey(Schema.Array(PayloadClass)),
    records: Schema.optionalKey(Natural)
  }),
  /** The line before this one was cut off while it was written; this is the SHA-256 of what is there. */
  torn_line_hash: Schema.optionalKey(Sha256Hex),
  previous_hash: Sha256Hex,
  hash: Sha256Hex
}).annotate({ identifier: "AuditEntry" })
export type AuditEntry = typeof AuditEntry.Type
