import { modalities, outcomeClasses } from "@rspp/contracts/Invocation"
import { pathStages } from "@rspp/contracts/ReplayExpectation"

/** What a metric counts or measures; a gauge is what it was last. */
export type MetricKind = "counter" | "gauge" | "histogram"

/** One metric: what it is called, everywhere that it is shown, and what it says. */
export interface MetricEntry {
  readonly name: string
  readonly kind: MetricKind
  /** In UCUM, as OTLP has it: `ms`, or what is counted, in braces; `1` is a share. */
  readonly unit: string
  /**
   * Labels, each with the values that it takes; `undefined`: those of the pipelines that run (providers, edges), or the
   * reasons of the contract. Ids of sessions, tenants and turns are in none. A label that has taken
   * {@link maxLabelValues} values in a process takes {@link otherLabel} from then on.
   */
  readonly labels: Readonly<Record<string, ReadonlyArray<string> | undefined>>
  readonly meaning: string
  /** Upper bounds of the buckets of a histogram, in its unit, rising; the last bucket has none. */
  readonly boundaries?: ReadonlyArray<number>
}

/** Values that a label without a list of its own may take in one process: as many series as that, and not more. */
export const maxLabelValues = 64

/** What a label says that has taken {@link maxLabelValues} others. */
export const otherLabel = "other"

// The bounds of the gates are bounds of buckets: 120, 150, 1500 and 2000 ms, so that a share of what keeps them is exact.
const fastMs = [1, 2, 5, 10, 20, 35, 50, 75, 100, 120, 150, 200, 300, 500, 1000, 2000]
const slowMs = [
  ...[10, 25, 50, 100, 150, 200, 300, 400, 500, 650, 800, 1000],
  ...[1250, 1500, 1750, 2000, 2500, 3000, 4000, 5000, 7500, 10_000, 20_000]
]

/**
 * Every metric of the runtime, by what it is in code. The names are those of `/metrics`, of OTLP and of the dashboard;
 * they do not change without a word in the changelog. The control plane has those of its HTTP interface besides.
 */
export const metricCatalog = {
  sessionsOpen: {
    name: "rspp_sessions_open",
    kind: "gauge",
    unit: "{session}",
    labels: {},
    meaning: "Sessions that run in this process now"
  },
  sessions: {
    name: "rspp_sessions_total",
    kind: "counter",
    unit: "{session}",
    labels: { outcome: ["ended", "interrupted", "failed"] },
    meaning: "Sessions that are over: the caller or the pipeline ended them, the program was stopped, or they failed"
  },
  turns: {
    name: "rspp_turns_total",
    kind: "counter",
    unit: "{turn}",
    labels: { outcome: ["committed", "aborted"], reason: undefined },
    meaning: "Turns that have their terminal; a turn that was committed has reason none"
  },
  turnsRefused: {
    name: "rspp_turns_refused_total",
    kind: "counter",
    unit: "{turn}",
    labels: { outcome: ["reject", "defer"], reason: undefined },
    meaning: "Turns that were proposed and not opened"
  },
  turnOpenLatency: {
    name: "rspp_turn_open_latency_ms",
    kind: "histogram",
    unit: "ms",
    labels: {},
    boundaries: fastMs,
    meaning: "From a turn's proposal to its opening (gate turn_open_ms)"
  },
  firstOutputLatency: {
    name: "rspp_first_output_latency_ms",
    kind: "histogram",
    unit: "ms",
    labels: {},
    boundaries: slowMs,
    meaning: "From a turn's opening to its first output on the data lane (gate first_output_ms)"
  },
  cancelLatency: {
    name: "rspp_cancel_latency_ms",
    kind: "histogram",
    unit: "ms",
    labels: {},
    boundaries: fastMs,
    meaning: "From the acceptance of a turn's cancel to its fence at egress (gate cancel_fence_ms)"
  },
  responseLatency: {
    name: "rspp_response_latency_ms",
    kind: "histogram",
    unit: "ms",
    labels: {},
    boundaries: slowMs,
    meaning: "From the caller's last speech to the start of the reply's playback (gate response_ms)"
  },
  stageLatency: {
    name: "rspp_stage_latency_ms",
    kind: "histogram",
    unit: "ms",
    labels: { stage: pathStages },
    boundaries: [0, 1, 2, 5, ...slowMs],
    meaning: "A stage's own part of a turn's critical path"
  },
  kernelOverhead: {
    name: "rspp_kernel_overhead_ms",
    kind: "histogram",
    unit: "ms",
    labels: {},
    boundaries: [0, ...fastMs],
    meaning: "The runtime's own time in a turn's critical path: what no provider, no endpointing and no playback took"
  },
  providerRtt: {
    name: "rspp_provider_rtt_ms",
    kind: "histogram",
    unit: "ms",
    labels: { modality: modalities, provider: undefined },
    boundaries: slowMs,
    meaning: "From the start of a provider's call to its first useful output"
  },
  providerCalls: {
    name: "rspp_provider_calls_total",
    kind: "counter",
    unit: "{call}",
    labels: { modality: modalities, provider: undefined, outcome: outcomeClasses },
    meaning: "Provider calls that have ended"
  },
  providerRetries: {
    name: "rspp_provider_retries_total",
    kind: "counter",
    unit: "{call}",
    labels: { modality: modalities, provider: undefined, decision: ["retry", "provider_switch", "fallback"] },
    meaning: "Provider calls after which another was made in their place"
  },
  providerUsage: {
    name: "rspp_provider_usage_total",
    kind: "counter",
    unit: "{unit}",
    labels: {
      modality: modalities,
      provider: undefined,
      unit: ["input_tokens", "output_tokens", "characters", "audio_ms"]
    },
    meaning: "What provider calls have used, in the label's unit, as far as the provider says"
  },
  queueDepth: {
    name: "rspp_queue_depth",
    kind: "gauge",
    unit: "{item}",
    labels: {
      queue: [
        "session_control",
        "session_data",
        "session_audio",
        "recorder_bytes",
        "telemetry_spans",
        "telemetry_logs",
        "telemetry_requests"
      ]
    },
    meaning: "What waits in a queue, over all sessions of the process, when it is asked for; recorder_bytes in bytes"
  },
  drops: {
    name: "rspp_drops_total",
    kind: "counter",
    unit: "{item}",
    labels: { queue: undefined, reason: undefined },
    meaning: "Items that were dropped or merged away for lack of room or time, by edge"
  },
  sheds: {
    name: "rspp_sheds_total",
    kind: "counter",
    unit: "{decision}",
    labels: { reason: undefined },
    meaning: "Work that was shed at a scheduling point"
  },
  shedRate: {
    name: "rspp_shed_rate",
    kind: "gauge",
    unit: "1",
    labels: {},
    meaning: "Share of the admission decisions of the last minute that refused a turn or shed work, 0 to 1"
  },
  lateOutputsDropped: {
    name: "rspp_late_outputs_dropped_total",
    kind: "counter",
    unit: "{output}",
    labels: {},
    meaning: "Outputs of providers that came after their cancel, and went no further"
  },
  staleEpoch: {
    name: "rspp_stale_epoch_total",
    kind: "counter",
    unit: "{rejection}",
    labels: { where: ["ingress", "egress"] },
    meaning: "What was rejected since its authority epoch was not the session's"
  },
  staleEpochAccepted: {
    name: "rspp_stale_epoch_outputs_accepted_total",
    kind: "counter",
    unit: "{output}",
    labels: {},
    meaning:
      "Outputs of another epoch than the session's that egress took; must stay 0 (gate stale_epoch_outputs_accepted)"
  },
  evidenceIncomplete: {
    name: "rspp_evidence_incomplete_total",
    kind: "counter",
    unit: "{turn}",
    labels: {},
    meaning: "Turns whose evidence the recorder could not take (gate evidence_complete)"
  },
  recordingDowngrades: {
    name: "rspp_recording_downgrades_total",
    kind: "counter",
    unit: "{change}",
    labels: { level: ["L0", "L1"] },
    meaning: "Times that a recording went down to a level under pressure"
  },
  recordingFailures: {
    name: "rspp_recording_failures_total",
    kind: "counter",
    unit: "{failure}",
    labels: {},
    meaning: "Sessions whose recording could not be kept: not even the baseline evidence of a turn"
  },
  authorityChanges: {
    name: "rspp_authority_changes_total",
    kind: "counter",
    unit: "{change}",
    labels: {
      signal: [
        "lease_issued",
        "lease_rotated",
        "migration_start",
        "migration_finish",
        "session_handoff",
        "deauthorized_drain"
      ]
    },
    meaning: "Changes of who has the authority over a session"
  },
  breakerChanges: {
    name: "rspp_breaker_changes_total",
    kind: "counter",
    unit: "{change}",
    labels: { provider: undefined, state: ["open", "half_open", "closed"] },
    meaning: "Changes of a provider's circuit, as sessions saw them"
  },
  telemetryDropped: {
    name: "rspp_telemetry_dropped_total",
    kind: "counter",
    unit: "{record}",
    labels: { signal: ["spans", "metrics", "logs"] },
    meaning: "Telemetry that was lost: no room in its queue, or the collector did not take it"
  },
  loopDelay: {
    name: "rspp_loop_delay_ms",
    kind: "histogram",
    unit: "ms",
    labels: {},
    boundaries: fastMs,
    meaning: "How late the process's event loop came back to a timer of 100 ms"
  }
} as const satisfies Readonly<Record<string, MetricEntry>>

export type MetricKey = keyof typeof metricCatalog

/** The catalogue as a list, in its order. */
export const metricEntries: ReadonlyArray<MetricEntry> = Object.values(metricCatalog)
