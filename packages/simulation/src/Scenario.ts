import type { Modality } from "@rspp/contracts/Invocation"
import { adaptiveActions, recordingLevels } from "@rspp/contracts/TurnPlan"
import type { AdaptiveAction, EdgeBufferPolicy, RecordingLevel } from "@rspp/contracts/TurnPlan"
import type { PoolLimit } from "@rspp/runtime/limits/ExecutionPool"
import type { FaultPlan } from "./Faults.ts"
import { drawGraph, edgeId, graphed } from "./Graphs.ts"
import type { SpecGraph } from "./Graphs.ts"
import { recognisers, models, voices } from "./Latency.ts"
import type { Published } from "./Latency.ts"
import type { RandomStream, RandomStreams } from "./RandomStreams.ts"
import type { ScriptedEvent, ScriptedReply } from "./Script.ts"
import { drawTurnTaking, laidOver, withSigns } from "./TurnTaking.ts"

/** When the caller does the next thing. It does it in any case once `patienceMs` have passed. */
export interface When {
  /**
   * `previous` counts from the end of the action before, `reply` from the end of the agent's speech after it,
   * `reply_start` from its beginning.
   */
  readonly after: "previous" | "reply" | "reply_start"
  readonly delayMs: number
  readonly patienceMs: number
}

/** What the caller does, one after the other. Plain data, so that a failing call can be made shorter. */
export type CallerAction =
  & { readonly when: When }
  & (
    /** Speaks: one entry a word, its duration in ms; a negative entry is a pause. A `sign` means no more than "I listen". */
    | { readonly does: "say"; readonly words: ReadonlyArray<number>; readonly final?: boolean; readonly sign?: boolean }
    /** Types messages, all in one instant. */
    | { readonly does: "type"; readonly words: number; readonly messages: number }
    | { readonly does: "noise"; readonly ms: number }
  )

/** What a session opens when it starts, and the error that it fails with where that cannot be opened. */
export const startParts = {
  /** A plan names a provider that the runtime lacks. */
  provider: "ProviderMissing",
  /** The transport's queue has no room for a frame. */
  transport: "TransportFailure",
  /** There is no place to record to. */
  recorder: "RecorderFailure",
  /** The models of voice activity cannot be loaded. */
  voice_activity: "ProviderFailure",
  /** Another placement has the session. */
  lease: "ControlPlaneFailure"
} as const
export type StartPart = keyof typeof startParts

/** The edge of the usual graph on which sentences wait for a voice. */
export const segmentEdge = "sentences.segment.tts"

/** Everything about one simulated call that is decided before it begins. */
export interface Scenario {
  readonly sessionId: string
  /** What the author of the pipeline wrote. */
  readonly spec: Record<string, unknown>
  /** Providers that stand in, by `<modality>.fallback`. */
  readonly fallbacks: Readonly<Record<string, string>>
  readonly actions: ReadonlyArray<CallerAction>
  /** The caller hangs up at the latest then, in ms from the start. */
  readonly hangUpMs: number
  /** How the call ends: the caller hangs up (in the middle of whatever is going on, or when all is said), or the process stops. */
  readonly ending: "all_said" | "hang_up" | "shutdown"
  /** Until when faults are on. What follows is the second phase. */
  readonly faultsUntilMs: number
  readonly faults: FaultPlan
  readonly latencies: {
    readonly stt: Published
    readonly llm: Published & { readonly perTokenMs: number }
    readonly tts: Published
  }
  /** Capacity of the transport's output queue, in ms (20 to 200). */
  readonly outputQueueMs: number
  /** Time that a result of voice activity takes, in ms. */
  readonly voiceActivityMs: number
  readonly leaseTtlMs: number
  readonly snapshotTtlMs: number
  /** Operations between two pre-emptions, on average. */
  readonly preemptOps: number
  /** Sentences of a reply: at least 1, at most this. */
  readonly replySentences: number
  /** What cannot be opened when the session starts, so that it fails at once. */
  readonly refused?: StartPart
  /** How little the process runs at one time, by kind of work; generous otherwise. */
  readonly pool?: Readonly<Partial<Record<Modality, PoolLimit>>>
  /** What the operator's policy allows; all that the pipeline asks for otherwise. */
  readonly policy?: {
    readonly allowed_adaptive_actions?: ReadonlyArray<AdaptiveAction>
    readonly max_recording_level?: RecordingLevel
  }
  /** What happens besides, at pinned moments. */
  readonly script?: ReadonlyArray<ScriptedEvent>
  /** Every reply, where it is not to be drawn. */
  readonly reply?: ScriptedReply
}

export interface ScenarioOptions {
  /** Turns that the caller takes; the seed decides by default. */
  readonly turns?: number
  readonly ending?: Scenario["ending"]
  /** `false`: the plain pipeline. By default the seed also draws a graph, speculation and what goes together on edges. */
  readonly graph?: boolean
  /** Whether the seed also draws limits that are soon reached; it does by default. */
  readonly limits?: boolean
}

/** Words last 160 to 520 ms (120 to 200 words a minute). */
const wordMs = (stream: RandomStream) => stream.between(8, 26) * 20

const utterance = (stream: RandomStream): ReadonlyArray<number> => {
  const words: Array<number> = []
  const count = stream.chance(0.1) ? stream.between(15, 40) : stream.between(1, 9)
  for (let i = 0; i < count; i++) {
    words.push(wordMs(stream))
    // Thinking pauses: below, around and above the endpointing times.
    if (i < count - 1 && stream.chance(0.15)) words.push(-stream.between(5, 60) * 20)
  }
  return words
}

const when = (stream: RandomStream): When => {
  const kind = stream.below(10)
  const patienceMs = stream.between(2000, 9000)
  if (kind < 7) return { after: "reply", delayMs: stream.between(0, 75) * 20, patienceMs }
  if (kind < 9) return { after: "reply_start", delayMs: stream.between(0, 100) * 20, patienceMs }
  return { after: "previous", delayMs: stream.between(0, 150) * 20, patienceMs }
}

const actionsOf = (stream: RandomStream, turns: number): ReadonlyArray<CallerAction> => {
  const actions: Array<CallerAction> = []
  for (let turn = 0; turn < turns; turn++) {
    const at: When = turn === 0
      ? { after: "previous", delayMs: stream.between(0, 80) * 20, patienceMs: 0 }
      : when(stream)
    const kind = stream.below(20)
    if (kind === 0) actions.push({ does: "noise", ms: stream.between(2, 40) * 20, when: at })
    else if (kind === 5) {
      actions.push({ does: "noise", ms: stream.between(2, 40) * 20, when: { ...at, after: "reply_start" } })
    } else if (kind <= 2) {
      actions.push({ does: "type", words: stream.between(1, 12), messages: stream.pick([1, 1, 2, 3]), when: at })
    } // A sign of attention while the agent speaks.
    else if (kind <= 4) {
      actions.push({ does: "say", words: [stream.between(4, 20) * 20], when: { ...at, after: "reply_start" } })
    } else actions.push({ does: "say", words: utterance(stream), when: at })
  }
  return actions
}

/** Makes up a call. `faults` decides what goes wrong in it and is drawn apart. */
export const drawScenario = (
  streams: RandomStreams,
  faults: (untilMs: number) => FaultPlan,
  options: ScenarioOptions = {}
): Scenario => {
  const stream = streams.of("scenario/call")
  const turns = options.turns ?? (stream.chance(0.1) ? stream.between(9, 20) : stream.between(1, 8))
  const actions = withSigns(actionsOf(streams.of("scenario/caller"), turns), streams.of("scenario/signs"))
  const faultsUntilMs = 4000 + turns * stream.between(3000, 9000)
  const plan = faults(faultsUntilMs)
  const ending = options.ending ?? (["all_said", "all_said", "all_said", "hang_up", "hang_up", "shutdown"] as const)[
    stream.below(6)
  ] ?? "all_said"
  const provider = streams.of("scenario/latency")
  const timing = streams.of("scenario/timing")
  const refused = refusedPart(streams.of("scenario/start"), plan)
  // Drawn in any case: a kind of fault that is taken away must not shift what is drawn after it.
  const endsEarly = timing.unit()
  const limits = streams.of("scenario/limits")
  const pool = options.limits === false ? undefined : drawPool(limits)
  const unlimited = specOf(streams.of("scenario/spec"), plan)
  const written = options.limits === false ? unlimited : limited(unlimited, limits)
  const policy = options.limits === false ? undefined : drawPolicy(streams.of("scenario/policy"))
  const spoken = withTurnTaking(written, streams.of("scenario/turn_taking"))
  const plain = atLevel(spoken, streams.of("scenario/level"), plan)
  return {
    sessionId: `ses_${streams.of("scenario/id").hex(12)}`,
    spec: options.graph === false ? plain : graphedSpec(plain, streams),
    fallbacks: {
      ...fallbacksOf(streams.of("scenario/fallbacks")),
      ...(refused === "provider" ? { "llm.fallback": "sim/none" } : {})
    },
    actions,
    ending,
    faultsUntilMs,
    hangUpMs: ending === "all_said"
      ? faultsUntilMs + 60_000
      : Math.round(500 + (faultsUntilMs + 8000) * endsEarly),
    faults: plan,
    latencies: { stt: provider.pick(recognisers), llm: provider.pick(models), tts: provider.pick(voices) },
    outputQueueMs: outputQueue(timing, refused),
    voiceActivityMs: timing.pick([0, 0, 16, 40]),
    leaseTtlMs: timing.pick([1000, 4000, 10_000, 10_000]),
    snapshotTtlMs: snapshotTtl(timing, plan),
    preemptOps: plan.rates["runtime.preempt"] === undefined
      ? 2048
      : Math.round(6 / Math.max(0.005, plan.rates["runtime.preempt"])),
    ...(refused === undefined ? {} : { refused }),
    ...(pool === undefined ? {} : { pool }),
    ...(policy === undefined ? {} : { policy }),
    // Edges are full only where there is something to fill them.
    replySentences: timing.pick(plan.rates["runtime.full_edge"] === undefined ? [1, 1, 2, 3, 6] : [3, 4, 6, 6, 8])
  }
}

/** Where a recorder may come under pressure there is mostly something that it can leave out. */
const atLevel = (spec: Record<string, unknown>, stream: RandomStream, plan: FaultPlan): Record<string, unknown> => {
  const recording_level = stream.pick<RecordingLevel>(["L2", "L2", "L2", "L1"])
  const high = stream.chance(0.85)
  const pressed = plan.rates["recorder.stalled"] !== undefined || plan.rates["store.behind"] !== undefined
  return pressed && high ? { ...spec, recording_policy: { recording_level } } : spec
}

/** What the operator allows, where that is less than what pipelines ask for. */
const drawPolicy = (stream: RandomStream): Scenario["policy"] => {
  const narrows = stream.chance(0.15)
  const allowed = adaptiveActions.filter(() => stream.chance(0.5))
  const level = stream.pick(recordingLevels)
  return narrows ? { allowed_adaptive_actions: allowed, max_recording_level: level } : undefined
}

const refusedPart = (stream: RandomStream, plan: FaultPlan): StartPart | undefined => {
  const part = stream.pick<StartPart>(["provider", "transport", "recorder", "voice_activity", "lease"])
  return stream.chance(plan.rates["start.refused"] ?? 0) ? part : undefined
}

/** What a plain pipeline becomes with a drawn graph, speculation and policies of what goes together. */
const graphedSpec = (spec: Record<string, unknown>, streams: RandomStreams): Record<string, unknown> => {
  const graph = drawGraph(streams.of("scenario/graph"))
  const own = graphed(ahead(spec, streams.of("scenario/speculation")), graph)
  return withSync(own, graph, streams.of("scenario/sync"))
}

/** Too short for a frame where the transport is to be refused. */
const outputQueue = (stream: RandomStream, refused: StartPart | undefined): number => {
  const ms = stream.pick([20, 60, 100, 200, 200])
  return refused === "transport" ? 10 : ms
}

/** The pipeline, with the turn taking that its author might want. */
const withTurnTaking = (spec: Record<string, unknown>, stream: RandomStream): Record<string, unknown> => ({
  ...spec,
  session_config: laidOver(spec["session_config"] as Record<string, unknown>, drawTurnTaking(stream))
})

/** Short where snapshots may fail to come again. */
const snapshotTtl = (stream: RandomStream, plan: FaultPlan): number => {
  const short = stream.pick([2000, 4000, 20_000])
  return plan.rates["control.stale_snapshots"] === undefined ? 600_000 : short
}

const fallbacksOf = (stream: RandomStream): Readonly<Record<string, string>> => ({
  ...(stream.chance(0.4) ? { "llm.fallback": "sim/llm-b" } : {}),
  ...(stream.chance(0.4) ? { "tts.fallback": "sim/tts-b" } : {})
})

/** The pipeline: mostly the defaults, here and there what an author might write. */
const specOf = (stream: RandomStream, faults: FaultPlan): Record<string, unknown> => {
  const some = <A>(p: number, make: () => A): A | undefined => stream.chance(p) ? make() : undefined
  const config = {
    voice_activity: some(0.4, () => ({
      min_speech_ms: stream.pick([20, 50, 100, 250]),
      min_silence_ms: stream.pick([100, 250, 400, 700]),
      prefix_ms: stream.pick([0, 200, 500, 1000])
    })),
    recognition: some(0.3, () => ({
      partial_interval_ms: stream.pick([100, 250, 500, 1000]),
      max_utterance_ms: stream.pick([1500, 4000, 20_000])
    })),
    endpointing: some(0.5, () => {
      const min = stream.pick([0, 100, 300, 700])
      const unfinished = min + stream.pick([0, 200, 900])
      return { min_ms: min, unfinished_ms: unfinished, max_ms: unfinished + stream.pick([0, 500, 2500]) }
    }),
    barge_in: some(0.5, () => ({
      enabled: stream.chance(0.85),
      min_ms: stream.pick([0, 200, 500, 1000]),
      false_alarm_ms: stream.pick([0, 500, 2000, 5000])
    })),
    late_event_policy: stream.pick(["drop", "remap", "diagnostics"])
  }
  const actions = ["retry", "provider_switch", "degrade", "fallback"].filter(() => stream.chance(0.5))
  const budgets = some(0.25, () => ({
    turn_budget_ms: stream.pick([800, 2000, 5000]),
    path_budget_ms_default: stream.pick([800, 2000, 5000]),
    node_budget_ms_default: stream.pick([100, 800, 2000]),
    edge_budget_ms_default: stream.pick([20, 200, 1000])
  }))
  const mode = stream.pick(["signal", "signal", "credit", "hybrid"])
  const shedding = stream.pick(["drop", "merge", "latest_only", "degrade", "fallback"])
  const level = stream.pick(["L0", "L0", "L0", "L1", "L2"])
  const quota = streamedQuota(stream, faults)
  const policies = edgePolicies(stream, faults)
  const defined = Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined))
  return {
    schema_version: "v1.0",
    pipeline_id: "simulated",
    pipeline_version: "simulated-1",
    providers: { stt: "sim/stt", llm: "sim/llm", tts: "sim/tts" },
    session_config: defined,
    allowed_adaptive_actions: actions,
    flow_control: {
      mode_by_lane: { DataLane: mode },
      shedding_strategy_by_lane: { DataLane: shedding }
    },
    recording_policy: { recording_level: level },
    ...(budgets === undefined ? {} : { budgets }),
    ...(quota === undefined ? {} : { admission: { max_turns_per_session: quota } }),
    ...(policies === undefined ? {} : { edge_buffer_policies: policies })
  }
}

/** What goes together on an edge, here and there: sentences into the voice, their speech, and what else the graph has. */
const withSync = (
  spec: Record<string, unknown>,
  graph: SpecGraph | undefined,
  stream: RandomStream
): Record<string, unknown> => {
  const own = graph?.edges.map(edgeId) ?? [segmentEdge, "tts.voice.output"]
  const policies = { ...(spec["edge_buffer_policies"] ?? {}) as Record<string, object> }
  const some = stream.chance(0.35)
  let any = false
  for (const id of own.filter((edge) => /\.(segment|voice|transcript)\./u.test(edge) && !edge.startsWith("stt."))) {
    const [policy, scope] = stream.pick([
      ["drop_with_discontinuity", "edge_local"],
      ["atomic_drop", "edge_local"],
      ["atomic_drop", "plan_wide"],
      ["no_sync", "edge_local"]
    ])
    const group_by = stream.pick(["sync_id", "sync_id", "event_id", "custom"])
    if (!stream.chance(0.6) || !some) continue
    any = true
    policies[id] = { ...policies[id], sync_drop_policy: { policy, scope, group_by, sync_domain: "reply" } }
  }
  return any ? { ...spec, edge_buffer_policies: policies } : spec
}

/** A pool that is soon full: one call of a kind at a time, or none at all. */
const drawPool = (stream: RandomStream): Scenario["pool"] => {
  const tight = stream.chance(0.12)
  const kind = stream.pick<Modality>(["stt", "llm", "tts", "external"])
  const limit = { running: stream.pick([1, 1, 0]), waiting: stream.pick([0, 1]), waitMs: stream.pick([20, 300]) }
  return tight ? { [kind]: limit } : undefined
}

/** Limits that are soon reached, here and there: marks of the lanes, phases of calls, latency of an edge, admission. */
const limited = (spec: Record<string, unknown>, stream: RandomStream): Record<string, unknown> => {
  const lane = (p: number, least: number, most: number) => {
    const own = stream.chance(p)
    const mark = { high: stream.between(least, most), low: stream.between(0, least - 1) }
    const mode = stream.pick(["signal", "credit", "hybrid"])
    return own ? { mark, mode } : undefined
  }
  const telemetry = lane(0.15, 1, 3)
  const control = lane(0.2, 2, 16)
  const sampled = stream.pick(["drop", "sample"])
  const flow = (spec["flow_control"] ?? {}) as Record<string, Record<string, unknown>>
  const marks = {
    ...(telemetry === undefined ? {} : { TelemetryLane: telemetry.mark }),
    ...(control === undefined ? {} : { ControlLane: control.mark })
  }
  const phases = stream.chance(0.2)
  const between = stream.pick([100, 300, 1000])
  const total = stream.pick([1000, 4000, 60_000])
  const late = stream.chance(0.2)
  const latency = stream.pick([50, 200, 600])
  const policies = (spec["edge_buffer_policies"] ?? {}) as Record<string, Record<string, unknown>>
  const admission = (spec["admission"] ?? {}) as Record<string, unknown>
  const quota = stream.below(12)
  const perMinute = stream.pick([1, 2, 6])
  const limits = {
    ...(quota === 0 ? { max_turns_per_minute: perMinute } : {}),
    ...(quota === 1 ? { max_turns_per_minute_per_tenant: perMinute } : {}),
    ...(quota === 2 || quota === 1 ? { max_concurrent_turns_per_tenant: 1 } : {}),
    ...(quota === 3 ? { max_sessions_per_tenant: 1 } : {})
  }
  return {
    ...spec,
    flow_control: {
      ...flow,
      mode_by_lane: {
        ...flow["mode_by_lane"],
        ...(telemetry === undefined ? {} : { TelemetryLane: telemetry.mode }),
        ...(control === undefined ? {} : { ControlLane: control.mode })
      },
      shedding_strategy_by_lane: { ...flow["shedding_strategy_by_lane"], TelemetryLane: sampled },
      ...(Object.keys(marks).length === 0 ? {} : { watermarks: marks })
    },
    ...(phases ? { provider_between_chunks_ms: between, provider_total_ms: total } : {}),
    ...(late
      ? {
        edge_buffer_policies: {
          ...policies,
          [segmentEdge]: { ...policies[segmentEdge], max_latency_contribution_ms: latency }
        }
      }
      : {}),
    ...(Object.keys(limits).length === 0 ? {} : { admission: { ...admission, ...limits } })
  }
}

/** Some let the model start before the endpoint. */
const ahead = (spec: Record<string, unknown>, stream: RandomStream): Record<string, unknown> =>
  stream.chance(0.3)
    ? { ...spec, session_config: { ...(spec["session_config"] as object), speculation: { preemptive: true } } }
    : spec

const streamedQuota = (stream: RandomStream, faults: FaultPlan): number | undefined => {
  const quota = stream.between(0, 3)
  return faults.rates["control.quota"] === undefined ? undefined : quota
}

type Strategies = readonly [EdgeBufferPolicy["strategy"], ...ReadonlyArray<EdgeBufferPolicy["strategy"]>]
const strategies: Strategies = ["block", "drop", "merge", "sample", "latest_only"]

/** Edges that are soon full. */
const edgePolicies = (stream: RandomStream, faults: FaultPlan): Record<string, unknown> | undefined => {
  const policy = (items: number, ms: number, bytes: number, of = strategies) => {
    const strategy = stream.pick(of)
    return {
      strategy,
      max_queue_items: items,
      max_queue_ms: ms,
      max_queue_bytes: bytes,
      ...(strategy === "block" ? { max_block_time_ms: stream.pick([1, 50, 200, 1000]) } : {})
    }
  }
  // Mostly block: what is held for too long is shed, in one of five ways.
  const segment = policy(stream.between(1, 3), 1000, stream.pick([60, 300, 65_536]), ["block", "block", ...strategies])
  const voice = policy(stream.between(1, 4), stream.pick([100, 300, 1000]), stream.pick([6400, 20_000, 1_048_576]))
  const audio = policy(stream.between(1, 10), 1000, stream.pick([640, 6400, 65_536]))
  if (faults.rates["runtime.full_edge"] === undefined) return undefined
  const which = stream.between(1, 7)
  return {
    ...(which & 1 ? { [segmentEdge]: segment } : {}),
    ...(which & 2 ? { "tts.voice.output": voice } : {}),
    ...(which & 4 ? { "input.caller_audio.stt": audio } : {})
  }
}
