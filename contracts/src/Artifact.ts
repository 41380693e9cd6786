import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import { Divergence } from "./Divergence.ts"
import { EventRecord } from "./Event.ts"
import { BaselineEvidence, EvidenceSupplement } from "./Evidence.ts"
import { GraphDefinition } from "./GraphDefinition.ts"
import { isObject, type Issue, issuesOf } from "./Issue.ts"
import { NormalizedPipeline } from "./NormalizedPipeline.ts"
import { DecisionOutcome } from "./Outcome.ts"
import { PipelineSpec } from "./PipelineSpec.ts"
import { AccessPolicy, AuditEntry, RetentionPolicy } from "./Privacy.ts"
import { Profile } from "./Profile.ts"
import { ReleaseManifest, RollbackPlan } from "./Release.ts"
import { ReplayExpectation } from "./ReplayExpectation.ts"
import { SessionConfig } from "./SessionConfig.ts"
import { ControlSignal } from "./Signal.ts"
import {
  AbiCompatibilitySnapshot,
  AdmissionPolicySnapshot,
  PolicyResolutionSnapshot,
  ProviderHealthSnapshot,
  RoutingViewSnapshot,
  snapshotKinds,
  VersionResolutionSnapshot
} from "./Snapshot.ts"
import { TimelineHeader, TimelineRecord } from "./Timeline.ts"
import { TurnTransition } from "./Turn.ts"
import { ResolvedTurnPlan } from "./TurnPlan.ts"

export type { Issue } from "./Issue.ts"

/** The schema of each kind of artifact. */
export const artifactSchemas = {
  event: EventRecord,
  control_signal: ControlSignal,
  turn_transition: TurnTransition,
  resolved_turn_plan: ResolvedTurnPlan,
  decision_outcome: DecisionOutcome,
  baseline_evidence: BaselineEvidence,
  evidence_supplement: EvidenceSupplement,
  divergence: Divergence,
  replay_expectation: ReplayExpectation,
  pipeline_spec: PipelineSpec,
  graph_definition: GraphDefinition,
  normalized_pipeline: NormalizedPipeline,
  profile: Profile,
  session_config: SessionConfig,
  routing_view_snapshot: RoutingViewSnapshot,
  admission_policy_snapshot: AdmissionPolicySnapshot,
  abi_compatibility_snapshot: AbiCompatibilitySnapshot,
  version_resolution_snapshot: VersionResolutionSnapshot,
  policy_resolution_snapshot: PolicyResolutionSnapshot,
  provider_health_snapshot: ProviderHealthSnapshot,
  timeline_header: TimelineHeader,
  timeline_record: TimelineRecord,
  access_policy: AccessPolicy,
  retention_policy: RetentionPolicy,
  audit_entry: AuditEntry,
  rollback_plan: RollbackPlan,
  release_manifest: ReleaseManifest
} as const

export type ArtifactKind = keyof typeof artifactSchemas
/** The value of an artifact of kind `K`. */
export type ArtifactOf<K extends ArtifactKind> = typeof artifactSchemas[K]["Type"]

export const artifactKinds = Object.keys(artifactSchemas) as ReadonlyArray<ArtifactKind>

export const isArtifactKind = (name: string): name is ArtifactKind => Object.hasOwn(artifactSchemas, name)

/**
 * Options that every decode of an artifact needs: objects are closed at every depth, and all errors are reported.
 * Effect's own defaults would silently drop unknown keys.
 */
export const decodeOptions = { errors: "all", onExcessProperty: "error" } as const satisfies SchemaAST.ParseOptions

export type Verdict<K extends ArtifactKind = ArtifactKind> =
  | { readonly ok: true; readonly value: ArtifactOf<K> }
  | { readonly ok: false; readonly issues: ReadonlyArray<Issue> }

const decoders = new Map<ArtifactKind, (value: unknown) => Result.Result<unknown, Schema.SchemaError>>()

const decoder = (kind: ArtifactKind) => {
  const known = decoders.get(kind)
  if (known !== undefined) return known
  const decode = Schema.decodeUnknownResult<Schema.Decoder<unknown>>(artifactSchemas[kind], decodeOptions)
  decoders.set(kind, decode)
  return decode
}

/**
 * Judges a parsed JSON value as an artifact of one kind, against that kind alone.
 *
 * Every problem of form is reported; the conditional rules of an object are judged once its form is right. It never
 * throws, and it reads only the value that it is given.
 *
 * @example
 * const verdict = validate("turn_transition", { from_state: "Idle", trigger: "commit", to_state: "Terminal", deterministic: true })
 * // { ok: false, issues: [{ path: ["from_state"], rule: "transition.commit.from-state", message: "commit is legal only from Active" }] }
 */
export const validate = <K extends ArtifactKind>(kind: K, value: unknown): Verdict<K> => {
  const result = decoder(kind)(value)
  return Result.isSuccess(result)
    ? { ok: true, value: value as ArtifactOf<K> }
    : { ok: false, issues: issuesOf(value, result.failure.issue) }
}

/** An issue as one line: `authority_epoch: an event of turn scope carries authority_epoch [event.turn-scope-requires-authority-epoch]`. */
export const formatIssue = ({ message, path, rule }: Issue): string =>
  `${path.length === 0 ? "artifact" : path.join(".")}: ${message} [${rule}]`

/**
 * The kind that a parsed JSON value looks like, by the keys that tell kinds apart; `undefined` when none fits.
 *
 * It does not validate: an artifact that lacks its telling key is not recognised, or is taken for another kind.
 */
export const guessKind = (value: unknown): ArtifactKind | undefined => {
  if (!isObject(value)) return undefined
  const has = (...keys: ReadonlyArray<string>) => keys.every((key) => Object.hasOwn(value, key))
  if (has("record")) return value["record"] === "header" ? "timeline_header" : "timeline_record"
  if (has("snapshot_kind")) return snapshotKinds.find((kind) => kind === value["snapshot_kind"])
  if (has("audit_sequence")) return "audit_entry"
  if (has("access_rules")) return "access_policy"
  if (has("retention")) return "retention_policy"
  if (has("rollback_of")) return "rollback_plan"
  if (has("manifest_sha256")) return "release_manifest"
  if (has("signal")) return "control_signal"
  if (has("event_scope") || has("event_id", "lane")) return "event"
  if (has("trigger") || has("from_state", "to_state")) return "turn_transition"
  if (has("outcome_kind")) return "decision_outcome"
  if (has("divergence_class")) return "divergence"
  if (has("expected_divergences")) return "replay_expectation"
  if (has("sealed_ms")) return "evidence_supplement"
  if (has("or02_evidence_schema_version") || has("terminal", "times")) return "baseline_evidence"
  if (has("plan_hash")) return "resolved_turn_plan"
  if (has("graph")) return "normalized_pipeline"
  if (has("profile_id") || has("profile_version")) return "profile"
  if (has("graph_definition_ref", "nodes")) return "graph_definition"
  if (has("pipeline_id")) return "pipeline_spec"
  if (has("endpointing") || has("voice_activity")) return "session_config"
  return undefined
}
