import * as Schema from "effect/Schema"
import { freeMap, Id, SchemaVersion, Sha256Hex } from "./Identity.ts"
import { Natural, Positive } from "./Quantity.ts"
import { Milliseconds, PositiveMilliseconds } from "./Time.ts"
import { AdaptiveActions, RecordingLevel, ReplayModes } from "./TurnPlan.ts"

export const snapshotKinds = [
  "routing_view_snapshot",
  "admission_policy_snapshot",
  "abi_compatibility_snapshot",
  "version_resolution_snapshot",
  "policy_resolution_snapshot",
  "provider_health_snapshot"
] as const
export type SnapshotKind = typeof snapshotKinds[number]

/** What all snapshots share; `content_hash` is the SHA-256 of the canonical JSON of `body`. */
const snapshot = <K extends SnapshotKind, B extends Schema.Constraint>(kind: K, body: B) =>
  Schema.Struct({
    schema_version: SchemaVersion,
    snapshot_kind: Schema.Literal(kind),
    snapshot_id: Id,
    version: Natural,
    issued_at_ms: Milliseconds,
    ttl_ms: PositiveMilliseconds,
    content_hash: Sha256Hex,
    body
  }).annotate({ identifier: kind })

/** Where the session is placed, and the epoch that may write it. */
export const RoutingViewSnapshot = snapshot(
  "routing_view_snapshot",
  Schema.Struct({
    placement_id: Id,
    authority_epoch: Natural,
    endpoints: Schema.Array(Id)
  })
)
export type RoutingViewSnapshot = typeof RoutingViewSnapshot.Type

/** Quotas and rates that may be limited besides the turns of a session; one that is absent is not limited. */
export const admissionLimits = {
  max_turns_per_minute: Schema.optionalKey(
    Positive.annotate({ description: "Turns that a session may open a minute; as many may come at once." })
  ),
  max_turns_per_minute_per_tenant: Schema.optionalKey(
    Positive.annotate({ description: "Turns that the sessions of a tenant may open a minute, all together." })
  ),
  max_concurrent_turns_per_tenant: Schema.optionalKey(
    Positive.annotate({ description: "Sessions of a tenant that may have a turn open at one time." })
  ),
  max_sessions_per_tenant: Schema.optionalKey(
    Positive.annotate({ description: "Sessions that a tenant may have at one time." })
  )
} as const

/** Quota of a session and its tenant, and what admission answers when it is used up. */
export const AdmissionPolicySnapshot = snapshot(
  "admission_policy_snapshot",
  Schema.Struct({
    max_turns_per_session: Natural,
    over_quota: Schema.Literals(["reject", "defer"]),
    reason: Id,
    ...admissionLimits
  })
)
export type AdmissionPolicySnapshot = typeof AdmissionPolicySnapshot.Type

/** Contract versions that this deployment speaks; at least one. */
export const AbiCompatibilitySnapshot = snapshot(
  "abi_compatibility_snapshot",
  Schema.Struct({
    contract_versions: Schema.Array(Id).check(Schema.makeFilter<ReadonlyArray<string>>((list) => list.length >= 1, {
      expected: "a list of at least 1",
      rule: "minItems",
      toJsonSchema: () => ({ minItems: 1 })
    }))
  })
)
export type AbiCompatibilitySnapshot = typeof AbiCompatibilitySnapshot.Type

/** The version and the graph that the session's pipeline resolves to. */
export const VersionResolutionSnapshot = snapshot(
  "version_resolution_snapshot",
  Schema.Struct({
    pipeline_version: Id,
    graph_definition_ref: Id
  })
)
export type VersionResolutionSnapshot = typeof VersionResolutionSnapshot.Type

/** What policy allows a turn to do. */
export const PolicyResolutionSnapshot = snapshot(
  "policy_resolution_snapshot",
  Schema.Struct({
    allowed_adaptive_actions: AdaptiveActions,
    max_recording_level: RecordingLevel,
    allowed_replay_modes: ReplayModes
  })
)
export type PolicyResolutionSnapshot = typeof PolicyResolutionSnapshot.Type

/** State of each provider's circuit. */
export const ProviderHealthSnapshot = snapshot(
  "provider_health_snapshot",
  Schema.Struct({
    providers: freeMap(Schema.Literals(["closed", "half_open", "open"]))
  })
)
export type ProviderHealthSnapshot = typeof ProviderHealthSnapshot.Type

/** Any of the six, told apart by `snapshot_kind`. */
export const Snapshot = Schema.Union([
  RoutingViewSnapshot,
  AdmissionPolicySnapshot,
  AbiCompatibilitySnapshot,
  VersionResolutionSnapshot,
  PolicyResolutionSnapshot,
  ProviderHealthSnapshot
])
export type Snapshot = typeof Snapshot.Type
