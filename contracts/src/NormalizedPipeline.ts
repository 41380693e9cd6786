import * as Schema from "effect/Schema"
import { GraphDefinition } from "./GraphDefinition.ts"
import { freeMap, Id, SchemaVersion } from "./Identity.ts"
import { SnapshotOutcomes } from "./Profile.ts"
import { SessionConfig } from "./SessionConfig.ts"
import { PositiveMilliseconds } from "./Time.ts"
import {
  AdaptiveActions,
  Budgets,
  EdgeBufferPolicies,
  FlowControl,
  ProviderBindings,
  RecordingPolicy
} from "./TurnPlan.ts"

/**
 * A pipeline with nothing left unsaid: what the normalizer and the graph compiler give to the runtime.
 *
 * `sources` says for each resolved path (`budgets.turn_budget_ms`) whether the author or the profile set it.
 */
export const NormalizedPipeline = Schema.Struct({
  schema_version: SchemaVersion,
  pipeline_id: Id,
  pipeline_version: Id,
  execution_profile: Id,
  graph: GraphDefinition,
  budgets: Budgets,
  provider_first_result_ms: PositiveMilliseconds,
  provider_between_chunks_ms: Schema.optionalKey(PositiveMilliseconds),
  provider_total_ms: Schema.optionalKey(PositiveMilliseconds),
  cancellation_grace_ms: PositiveMilliseconds,
  provider_bindings: ProviderBindings,
  edge_buffer_policies: EdgeBufferPolicies,
  flow_control: FlowControl,
  allowed_adaptive_actions: AdaptiveActions,
  recording_policy: RecordingPolicy,
  snapshot_outcomes: SnapshotOutcomes,
  session_config: SessionConfig,
  sources: freeMap(Schema.Literals(["explicit", "execution_profile_default"]))
}).annotate({ identifier: "NormalizedPipeline" })
export type NormalizedPipeline = typeof NormalizedPipeline.Type
export type SettingSource = NormalizedPipeline["sources"][string]
