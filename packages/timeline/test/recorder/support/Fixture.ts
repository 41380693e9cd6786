import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { NormalizedPipeline } from "@rspp/contracts/NormalizedPipeline"
import { simpleProfile } from "@rspp/contracts/Profile"
import { defaultSessionConfig } from "@rspp/contracts/SessionConfig"
import type { TimelineHeader } from "@rspp/contracts/Timeline"
import type { RecordingLevel, ResolvedTurnPlan } from "@rspp/contracts/TurnPlan"
import { createHash } from "node:crypto"

const sha256 = (value: unknown): string => createHash("sha256").update(canonicalJson(value)).digest("hex")

const bindings = { stt: "scripted/stt", llm: "scripted/llm", tts: "scripted/tts" }

const graph = {
  schema_version: "v1.0",
  pipeline_id: "recorded",
  pipeline_version: "recorded-1",
  nodes: [
    { node_id: "llm", node_type: "language_model" as const },
    { node_id: "tts", node_type: "text_to_speech" as const },
    { node_id: "output", node_type: "audio_output" as const }
  ],
  edges: [
    {
      edge_id: "tts.voice.output",
      from_node_id: "tts",
      to_node_id: "output",
      payload_kind: "voice" as const,
      lane: "DataLane" as const
    }
  ]
}

export const pipeline: NormalizedPipeline = {
  schema_version: "v1.0",
  pipeline_id: "recorded",
  pipeline_version: "recorded-1",
  execution_profile: simpleProfile.profile_version,
  graph: { ...graph, graph_definition_ref: `sha256:${sha256(graph)}` },
  budgets: simpleProfile.budgets,
  provider_first_result_ms: simpleProfile.provider_first_result_ms,
  cancellation_grace_ms: simpleProfile.cancellation_grace_ms,
  provider_bindings: bindings,
  edge_buffer_policies: { "tts.voice.output": simpleProfile.edge_buffer_policies.voice },
  flow_control: simpleProfile.flow_control,
  allowed_adaptive_actions: simpleProfile.allowed_adaptive_actions,
  recording_policy: simpleProfile.recording_policy,
  snapshot_outcomes: simpleProfile.snapshot_outcomes,
  session_config: defaultSessionConfig,
  sources: {}
}

export const makeHeader = (level: RecordingLevel = "L0", sessionId = "ses_1"): TimelineHeader => ({
  record: "header",
  schema_version: "v1.0",
  format_version: 2,
  rspp_version: "0.1.0",
  session_id: sessionId,
  tenant_id: "tenant_1",
  pipeline_version: pipeline.pipeline_version,
  behaviour_flags: [],
  seed: 7,
  wall_clock_start_ms: 1_700_000_000_000,
  clock: "virtual",
  recording_level: level,
  session_config: defaultSessionConfig,
  session_config_hash: sha256(defaultSessionConfig),
  pipeline: { ...pipeline, recording_policy: { ...pipeline.recording_policy, recording_level: level } },
  provider_caps: {},
  not_captured: []
})

export const makePlan = (turnId: string, epoch: number, level: RecordingLevel = "L0"): ResolvedTurnPlan => {
  const body = {
    turn_id: turnId,
    pipeline_version: pipeline.pipeline_version,
    graph_definition_ref: pipeline.graph.graph_definition_ref,
    execution_profile: pipeline.execution_profile,
    authority_epoch: epoch,
    budgets: pipeline.budgets,
    provider_bindings: bindings,
    edge_buffer_policies: pipeline.edge_buffer_policies,
    flow_control: pipeline.flow_control,
    allowed_adaptive_actions: pipeline.allowed_adaptive_actions,
    snapshot_provenance: {
      routing_view_snapshot: "snap_rv",
      admission_policy_snapshot: "snap_ap",
      abi_compatibility_snapshot: "snap_ac",
      version_resolution_snapshot: "snap_vr",
      policy_resolution_snapshot: "snap_pr",
      provider_health_snapshot: "snap_ph"
    },
    recording_policy: { ...pipeline.recording_policy, recording_level: level },
    determinism: {
      seed: 7,
      ordering_markers: ["runtime_sequence"],
      merge_rule_id: "control-first-arrival",
      merge_rule_version: "v1.0",
      nondeterministic_inputs: [
        { input_key: "llm", source: "external_call" as const, evidence_ref: "provider:scripted/llm" }
      ]
    }
  }
  return { ...body, plan_hash: sha256(body) }
}
