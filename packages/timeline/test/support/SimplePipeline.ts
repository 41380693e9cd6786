import type { GraphDefinition } from "@rspp/contracts/GraphDefinition"
import { schemaVersion } from "@rspp/contracts/Identity"
import type { NormalizedPipeline } from "@rspp/contracts/NormalizedPipeline"
import { simpleProfile } from "@rspp/contracts/Profile"
import { defaultSessionConfig } from "@rspp/contracts/SessionConfig"
import type { Snapshot } from "@rspp/contracts/Snapshot"
import type { TimelineHeader } from "@rspp/contracts/Timeline"
import { digest } from "@rspp/runtime/determinism/Digest"

const edges = [
  ["input", "vad", "caller_audio"],
  ["input", "stt", "caller_audio"],
  ["vad", "turn", "voice_edge"],
  ["stt", "turn", "interim_transcript"],
  ["stt", "turn", "transcript"],
  ["turn", "llm", "transcript"],
  ["llm", "sentences", "text"],
  ["sentences", "tts", "segment"],
  ["tts", "output", "voice"]
] as const

const graph: Omit<GraphDefinition, "graph_definition_ref"> = {
  schema_version: schemaVersion,
  pipeline_id: "scripted",
  pipeline_version: "v1",
  nodes: [
    { node_id: "input", node_type: "audio_input" },
    { node_id: "vad", node_type: "voice_activity" },
    { node_id: "stt", node_type: "speech_to_text", provider_id: "scripted/stt" },
    { node_id: "turn", node_type: "turn_detector" },
    { node_id: "llm", node_type: "language_model", provider_id: "scripted/llm" },
    { node_id: "sentences", node_type: "sentence_segmenter" },
    { node_id: "tts", node_type: "text_to_speech", provider_id: "scripted/tts" },
    { node_id: "output", node_type: "audio_output" }
  ],
  edges: edges.map(([from_node_id, to_node_id, payload_kind]) => ({
    edge_id: `${from_node_id}.${payload_kind}.${to_node_id}`,
    from_node_id,
    to_node_id,
    payload_kind,
    lane: "DataLane"
  }))
}

/** The simple graph with scripted providers, under the default profile; what `overrides` gives takes its place. */
export const simplePipeline = (overrides: Partial<NormalizedPipeline> = {}): NormalizedPipeline => ({
  schema_version: schemaVersion,
  pipeline_id: graph.pipeline_id,
  pipeline_version: graph.pipeline_version,
  execution_profile: simpleProfile.profile_version,
  graph: { ...graph, graph_definition_ref: `sha256:${digest(graph)}` },
  budgets: simpleProfile.budgets,
  provider_first_result_ms: simpleProfile.provider_first_result_ms,
  cancellation_grace_ms: simpleProfile.cancellation_grace_ms,
  provider_bindings: { stt: "scripted/stt", llm: "scripted/llm", tts: "scripted/tts" },
  edge_buffer_policies: Object.fromEntries(
    graph.edges.map((edge) => [edge.edge_id, simpleProfile.edge_buffer_policies[edge.payload_kind]] as const)
  ),
  flow_control: simpleProfile.flow_control,
  allowed_adaptive_actions: simpleProfile.allowed_adaptive_actions,
  recording_policy: simpleProfile.recording_policy,
  snapshot_outcomes: simpleProfile.snapshot_outcomes,
  session_config: defaultSessionConfig,
  sources: {},
  ...overrides
})

/** A header that fits the pipeline and the config that `overrides` gives, or the defaults. */
export const headerOf = (overrides: Partial<TimelineHeader> = {}): TimelineHeader => {
  const pipeline = overrides.pipeline ?? simplePipeline()
  const session_config = overrides.session_config ?? pipeline.session_config
  return {
    record: "header",
    schema_version: schemaVersion,
    format_version: 2,
    rspp_version: "0.1.0",
    session_id: "ses_scripted",
    tenant_id: "tenant_test",
    pipeline_version: pipeline.pipeline_version,
    behaviour_flags: [],
    seed: 1,
    wall_clock_start_ms: 1_767_225_600_000,
    clock: "virtual",
    recording_level: "L0",
    session_config,
    session_config_hash: digest(session_config),
    pipeline: { ...pipeline, session_config },
    provider_caps: { "scripted/stt": 4000 },
    not_captured: ["payloads"],
    ...overrides
  }
}

/** Admits `maxTurns` turns, then says `reject`. */
export interface SnapshotOptions {
  readonly maxTurns?: number
  readonly ttlMs?: number
  /** The tenant's turns are limited: each is reserved first, and `turn_reserved` is to answer. */
  readonly maxTenantTurns?: number
}

/** The six snapshots that let turns of this session open. */
export const snapshotsOf = (header: TimelineHeader, options: SnapshotOptions = {}): ReadonlyArray<Snapshot> => {
  const { maxTenantTurns, maxTurns = 1_000_000, ttlMs = 100_000_000 } = options
  const { pipeline } = header
  const bodies = {
    routing_view_snapshot: { placement_id: "here", authority_epoch: 1, endpoints: ["loopback"] },
    admission_policy_snapshot: {
      max_turns_per_session: maxTurns,
      over_quota: "reject",
      reason: "quota",
      ...(maxTenantTurns === undefined ? {} : { max_concurrent_turns_per_tenant: maxTenantTurns })
    },
    abi_compatibility_snapshot: { contract_versions: ["v1.0"] },
    version_resolution_snapshot: {
      pipeline_version: pipeline.pipeline_version,
      graph_definition_ref: pipeline.graph.graph_definition_ref
    },
    policy_resolution_snapshot: {
      allowed_adaptive_actions: pipeline.allowed_adaptive_actions,
      max_recording_level: "L2",
      allowed_replay_modes: pipeline.recording_policy.allowed_replay_modes
    },
    provider_health_snapshot: { providers: {} }
  } as const
  return Object.entries(bodies).map(([snapshot_kind, body]) =>
    ({
      schema_version: schemaVersion,
      snapshot_kind,
      snapshot_id: `${snapshot_kind}@1`,
      version: 1,
      issued_at_ms: 0,
      ttl_ms: ttlMs,
      content_hash: digest(body),
      body
    }) as Snapshot
  )
}
