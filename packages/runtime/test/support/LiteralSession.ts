import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import type { GraphDefinition } from "@rspp/contracts/GraphDefinition"
import type { NormalizedPipeline } from "@rspp/contracts/NormalizedPipeline"
import { simpleProfile } from "@rspp/contracts/Profile"
import { defaultSessionConfig } from "@rspp/contracts/SessionConfig"
import type { SessionConfig } from "@rspp/contracts/SessionConfig"
import type { Snapshot, SnapshotKind } from "@rspp/contracts/Snapshot"
import { behaviourFlags } from "@rspp/contracts/Timeline"
import type { TimelineHeader } from "@rspp/contracts/Timeline"
import { createHash } from "node:crypto"

/** SHA-256 of the canonical JSON, by Node's own crypto: independent of what the runtime uses. */
export const sha256Of = (value: unknown): string => createHash("sha256").update(canonicalJson(value)).digest("hex")

type Kind = GraphDefinition["edges"][number]["payload_kind"]
const edge = (from: string, kind: Kind, to: string): GraphDefinition["edges"][number] => ({
  edge_id: `${from}.${kind}.${to}`,
  from_node_id: from,
  to_node_id: to,
  payload_kind: kind,
  lane: "DataLane"
})

const content = {
  schema_version: "v1.0",
  pipeline_id: "test-agent",
  pipeline_version: "p1",
  nodes: [
    { node_id: "input", node_type: "audio_input" },
    { node_id: "vad", node_type: "voice_activity" },
    { node_id: "stt", node_type: "speech_to_text", provider_id: "test/ear" },
    { node_id: "turn", node_type: "turn_detector" },
    { node_id: "llm", node_type: "language_model", provider_id: "test/mind" },
    { node_id: "sentences", node_type: "sentence_segmenter" },
    { node_id: "tts", node_type: "text_to_speech", provider_id: "test/voice" },
    { node_id: "output", node_type: "audio_output" }
  ],
  edges: [
    edge("input", "caller_audio", "vad"),
    edge("input", "caller_audio", "stt"),
    edge("vad", "voice_edge", "turn"),
    edge("stt", "interim_transcript", "turn"),
    edge("stt", "transcript", "turn"),
    edge("turn", "transcript", "llm"),
    edge("llm", "text", "sentences"),
    edge("sentences", "segment", "tts"),
    edge("tts", "voice", "output")
  ]
} as const satisfies Omit<GraphDefinition, "graph_definition_ref">

export const segmentEdge = "sentences.segment.tts"
export const voiceEdge = "tts.voice.output"

export type Partially<T> = { readonly [K in keyof T]?: T[K] extends object ? Partially<T[K]> : T[K] }

/** The session settings of the defaults, with some replaced. */
export const sessionConfigWith = (changes: Partially<SessionConfig> = {}): SessionConfig => {
  const merged: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(defaultSessionConfig)) {
    const change = (changes as Record<string, unknown>)[key]
    merged[key] = typeof value === "object" ? { ...value, ...(change as object | undefined) } : change ?? value
  }
  return merged as unknown as SessionConfig
}

/** A pipeline of the simple graph under `simple/v1`, written out: no normalizer takes part in these tests. */
export const literalPipeline = (config: SessionConfig = defaultSessionConfig): NormalizedPipeline => ({
  schema_version: "v1.0",
  pipeline_id: content.pipeline_id,
  pipeline_version: content.pipeline_version,
  execution_profile: simpleProfile.profile_version,
  graph: { ...content, graph_definition_ref: `sha256:${sha256Of(content)}` },
  budgets: simpleProfile.budgets,
  provider_first_result_ms: simpleProfile.provider_first_result_ms,
  cancellation_grace_ms: simpleProfile.cancellation_grace_ms,
  provider_bindings: { stt: "test/ear", llm: "test/mind", tts: "test/voice" },
  edge_buffer_policies: Object.fromEntries(
    content.edges.map(({ edge_id, payload_kind }) => [edge_id, simpleProfile.edge_buffer_policies[payload_kind]])
  ),
  flow_control: simpleProfile.flow_control,
  allowed_adaptive_actions: [],
  recording_policy: simpleProfile.recording_policy,
  snapshot_outcomes: simpleProfile.snapshot_outcomes,
  session_config: config,
  sources: {}
})

/** The literal header that a test session is opened with. */
export const literalHeader = (
  pipeline: NormalizedPipeline = literalPipeline(),
  changes: Partial<TimelineHeader> = {}
): TimelineHeader => ({
  record: "header",
  schema_version: "v1.0",
  format_version: 2,
  rspp_version: "0.1.0",
  session_id: "s1",
  tenant_id: "t1",
  pipeline_version: pipeline.pipeline_version,
  behaviour_flags: Object.values(behaviourFlags),
  seed: 7,
  wall_clock_start_ms: 1_700_000_000_000,
  clock: "virtual",
  recording_level: pipeline.recording_policy.recording_level,
  session_config: pipeline.session_config,
  session_config_hash: sha256Of(pipeline.session_config),
  pipeline,
  provider_caps: { "test/ear": 4000 },
  not_captured: [],
  ...changes
})

/** Replaces parts of one snapshot's body. */
export type SnapshotChanges = { readonly [K in SnapshotKind]?: object }

/** The six snapshots that let a session of this header open turns. */
export const literalSnapshots = (header: TimelineHeader, changes: SnapshotChanges = {}): ReadonlyArray<Snapshot> => {
  const { pipeline } = header
  const bodies: Record<SnapshotKind, object> = {
    routing_view_snapshot: { placement_id: "here", authority_epoch: 1, endpoints: [] },
    admission_policy_snapshot: { max_turns_per_session: 1000, over_quota: "reject", reason: "quota_used_up" },
    abi_compatibility_snapshot: { contract_versions: ["v1.0"] },
    version_resolution_snapshot: {
      pipeline_version: pipeline.pipeline_version,
      graph_definition_ref: pipeline.graph.graph_definition_ref
    },
    policy_resolution_snapshot: {
      allowed_adaptive_actions: ["retry", "provider_switch", "degrade", "fallback"],
      max_recording_level: "L2",
      allowed_replay_modes: [
        "re_simulate_nodes",
        "playback_recorded_provider_outputs",
        "replay_decisions",
        "recompute_decisions"
      ]
    },
    provider_health_snapshot: { providers: {} }
  }
  return Object.entries(bodies).map(([kind, defaults]) => {
    const body = { ...defaults, ...changes[kind as SnapshotKind] }
    return {
      schema_version: "v1.0",
      snapshot_kind: kind,
      snapshot_id: `${kind}_1`,
      version: 1,
      issued_at_ms: 0,
      ttl_ms: 3_600_000,
      content_hash: sha256Of(body),
      body
    } as Snapshot
  })
}
