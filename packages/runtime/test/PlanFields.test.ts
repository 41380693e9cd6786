// Every field of the plan acts: changing it changes what the kernel puts out, or what it puts on record.
import { assert, describe, it } from "@effect/vitest"
import type { NormalizedPipeline } from "@rspp/contracts/NormalizedPipeline"
import { jsonSchemaText } from "@rspp/contracts/JsonSchema"
import { mergeRule } from "@rspp/runtime/plan/PlanResolver"
import { failing, KernelHarness, reply, silent, speech } from "./support/KernelHarness.ts"
import type { HarnessOptions } from "./support/KernelHarness.ts"
import { literalPipeline, segmentEdge, voiceEdge } from "./support/LiteralSession.ts"

const base = literalPipeline()
const audioEdge = "input.caller_audio.stt"

/** Everything that came out, the plan left out: what the session does. */
const storyOf = (h: KernelHarness): string => JSON.stringify(h.since.filter((output) => output.record !== "plan"))

const typed = (options: HarnessOptions): string => {
  const h = KernelHarness.ready(options)
  h.type()
  h.runFor(8000)
  const story = storyOf(h)
  h.hangUp()
  return story
}

/** A caller's frames are lost, three times in one instant. */
const lossy = (options: HarnessOptions): string => {
  const h = KernelHarness.ready(options)
  for (let n = 0; n < 6; n++) h.step({ type: "media_loss", edge_id: audioEdge, count: 1, first: n, last: n })
  h.runFor(100)
  h.step({ type: "audio_ended" })
  const story = storyOf(h)
  h.hangUp()
  return story
}

/** A cut voice goes on speaking: each chunk is telemetry of its edge; and a key that is none is telemetry of no edge. */
const babbling = (options: HarnessOptions): string => {
  const h = KernelHarness.ready({
    ...options,
    cancelAckMs: 3000,
    tts: () => ({ ...speech(5000), stepMs: 100 })
  })
  h.type()
  h.runFor(600)
  const [call] = h.started("tts")
  h.cancel()
  h.runFor(100)
  for (let n = 0; n < 12; n++) {
    h.step({ type: "push_to_talk", state: "pressed" })
    h.step({
      type: "voice_chunk",
      provider_invocation_id: call?.provider_invocation_id ?? "",
      authority_epoch: 1,
      handle: h.voice(1600)
    })
  }
  h.runFor(1000)
  h.step({ type: "audio_ended" })
  const story = storyOf(h)
  h.hangUp()
  return story
}

/** What is on record of the plan. */
const hashed = (options: HarnessOptions): string => {
  const h = KernelHarness.ready(options)
  h.type()
  const { plan_hash } = h.plan
  h.hangUp()
  return plan_hash
}

const pipeline = (change: Partial<NormalizedPipeline>): HarnessOptions => ({
  pipeline: (own) => ({ ...own, ...change })
})
const budget = (change: Partial<NormalizedPipeline["budgets"]>) => pipeline({ budgets: { ...base.budgets, ...change } })

type Json = { readonly [key: string]: unknown }
const laid = (value: unknown, change: unknown): unknown => {
  if (typeof change !== "object" || change === null || Array.isArray(change)) return change
  const merged: Record<string, unknown> = { ...(value as Json | undefined) }
  for (const [key, inner] of Object.entries(change)) merged[key] = laid(merged[key], inner)
  return merged
}
const edge = (edgeId: string, change: Json): HarnessOptions => ({
  pipeline: (own) => laid(own, { edge_buffer_policies: { [edgeId]: change } }) as NormalizedPipeline
})
const flow = (change: Json, also: Json = {}): HarnessOptions => ({
  pipeline: (own) => laid(own, { flow_control: change, edge_buffer_policies: also }) as NormalizedPipeline
})

const five = { llm: () => reply(10, 10, 10, 10, 10), tts: () => ({ ...speech(400), firstMs: 600 }) }
const long = { llm: () => reply(10), tts: () => speech(2000) }
const narrow = { max_queue_items: 1, watermarks: { queue_items: { high: 9, low: 0 } } }
const dropping = { strategy: "drop", lane_handling: { DataLane: "drop" } }
const tight = { TelemetryLane: { high: 4, low: 1 }, ControlLane: { high: 3, low: 1 } }
const pressed = (mode: string, lane: string) => flow({ watermarks: tight, mode_by_lane: { [lane]: mode } })
const sync = { policy: "drop_with_discontinuity", scope: "edge_local", group_by: "sync_id", sync_domain: "call" }
const atomic = { ...sync, policy: "atomic_drop" }

/** Speech loses a part of a sentence, which is one group with the sentence itself. */
const together = (scope: string): Json => ({
  [segmentEdge]: { sync_drop_policy: { ...atomic, scope } },
  [voiceEdge]: { ...dropping, max_queue_ms: 300, sync_drop_policy: { ...atomic, scope } }
})

/** Two settings that differ in one field, and where the difference is to be seen. */
interface Field {
  readonly see: (options: HarnessOptions) => string
  readonly one: HarnessOptions
  readonly other: HarnessOptions
}
const field = (see: Field["see"], one: HarnessOptions, other: HarnessOptions): Field => ({ see, one, other })
const of = (run: HarnessOptions, settings: HarnessOptions): HarnessOptions => ({ ...run, ...settings })

/** What the runtime itself decides, so that nobody can change it: the value is that of the rule which acts. */
const fixed: Readonly<Record<string, unknown>> = {
  "determinism.ordering_markers": ["runtime_sequence"],
  "determinism.ordering_marker": undefined,
  "determinism.merge_rule_id": mergeRule.id,
  "determinism.merge_rule_version": mergeRule.version,
  "edge_buffer_policies.*.lane_handling.ControlLane": "non_blocking_priority",
  "flow_control.shedding_strategy_by_lane.ControlLane": "none",
  "snapshot_provenance.routing_view_snapshot": "routing_view_snapshot_1",
  "snapshot_provenance.admission_policy_snapshot": "admission_policy_snapshot_1",
  "snapshot_provenance.abi_compatibility_snapshot": "abi_compatibility_snapshot_1",
  "snapshot_provenance.version_resolution_snapshot": "version_resolution_snapshot_1",
  "snapshot_provenance.policy_resolution_snapshot": "policy_resolution_snapshot_1",
  "snapshot_provenance.provider_health_snapshot": "provider_health_snapshot_1",
  "determinism.nondeterministic_inputs.[].source": "external_call"
}

const fields: Readonly<Record<string, Field>> = {
  turn_id: field(
    (options) => {
      const h = KernelHarness.ready()
      h.type()
      if (options.header !== undefined) {
        h.runFor(8000)
        h.type()
      }
      const { turn_id } = h.plan
      h.hangUp()
      return turn_id
    },
    {},
    { header: {} }
  ),
  pipeline_version: field(typed, {}, pipeline({ pipeline_version: "p2" })),
  plan_hash: field(hashed, {}, budget({ turn_budget_ms: 2001 })),
  graph_definition_ref: field(hashed, {}, pipeline({ graph: { ...base.graph, graph_definition_ref: "sha256:other" } })),
  execution_profile: field(hashed, {}, pipeline({ execution_profile: "simple/v2" })),
  authority_epoch: field(
    (options) => {
      const h = KernelHarness.ready()
      if (options.header !== undefined) h.lease("rotated", 4)
      h.type()
      const [start] = h.started("llm")
      h.hangUp()
      return String(start?.authority_epoch)
    },
    {},
    { header: {} }
  ),
  "budgets.turn_budget_ms": field(
    typed,
    { llm: () => silent },
    of({ llm: () => silent }, budget({ turn_budget_ms: 500 }))
  ),
  "budgets.node_budget_ms_default": field(typed, five, of(five, budget({ node_budget_ms_default: 300 }))),
  "budgets.path_budget_ms_default": field(
    typed,
    { llm: () => silent },
    of({ llm: () => silent }, budget({ path_budget_ms_default: 500 }))
  ),
  "budgets.edge_budget_ms_default": field(typed, five, of(five, budget({ edge_budget_ms_default: 20 }))),
  "provider_bindings.*": field(
    typed,
    {},
    pipeline({ provider_bindings: { ...base.provider_bindings, llm: "a/mind" } })
  ),
  // What the data lane does is what the strategy resolved to; the strategy itself is on record.
  "edge_buffer_policies.*.strategy": field(hashed, {}, edge(segmentEdge, { strategy: "drop" })),
  "edge_buffer_policies.*.max_queue_items": field(typed, five, of(five, edge(segmentEdge, narrow))),
  "edge_buffer_policies.*.max_queue_ms": field(
    typed,
    of(long, edge(voiceEdge, dropping)),
    of(long, edge(voiceEdge, { ...dropping, max_queue_ms: 300 }))
  ),
  "edge_buffer_policies.*.max_queue_bytes": field(
    typed,
    of(five, edge(segmentEdge, dropping)),
    of(five, edge(segmentEdge, { ...dropping, max_queue_bytes: 15 }))
  ),
  "edge_buffer_policies.*.max_latency_contribution_ms": field(
    typed,
    of(five, edge(segmentEdge, { max_latency_contribution_ms: 5000 })),
    of(five, edge(segmentEdge, { max_latency_contribution_ms: 400 }))
  ),
  "edge_buffer_policies.*.max_block_time_ms": field(
    typed,
    of(five, edge(segmentEdge, { ...narrow, max_block_time_ms: 50 })),
    of(five, edge(segmentEdge, { ...narrow, max_block_time_ms: 150 }))
  ),
  "edge_buffer_policies.*.watermarks.queue_items.high": field(
    typed,
    five,
    of(five, edge(segmentEdge, { watermarks: { queue_items: { high: 2, low: 0 } } }))
  ),
  "edge_buffer_policies.*.watermarks.queue_items.low": field(
    typed,
    of(five, edge(segmentEdge, { watermarks: { queue_items: { high: 3, low: 0 } } })),
    of(five, edge(segmentEdge, { watermarks: { queue_items: { high: 3, low: 2 } } }))
  ),
  "edge_buffer_policies.*.watermarks.queue_ms.high": field(
    typed,
    of(long, edge(voiceEdge, { watermarks: { queue_ms: { high: 15_000, low: 100 } } })),
    of(long, edge(voiceEdge, { watermarks: { queue_ms: { high: 500, low: 100 } } }))
  ),
  "edge_buffer_policies.*.watermarks.queue_ms.low": field(
    typed,
    of(long, edge(voiceEdge, { watermarks: { queue_ms: { high: 500, low: 100 } } })),
    of(long, edge(voiceEdge, { watermarks: { queue_ms: { high: 500, low: 400 } } }))
  ),
  "edge_buffer_policies.*.lane_handling.DataLane": field(
    typed,
    of(five, edge(segmentEdge, narrow)),
    of(five, edge(segmentEdge, { ...narrow, lane_handling: { DataLane: "latest_only" } }))
  ),
  "edge_buffer_policies.*.lane_handling.TelemetryLane": field(
    babbling,
    flow({ watermarks: tight }, { [voiceEdge]: { lane_handling: { TelemetryLane: "drop" } } }),
    flow({ watermarks: tight }, { [voiceEdge]: { lane_handling: { TelemetryLane: "sample" } } })
  ),
  "edge_buffer_policies.*.defaulting_source": field(
    hashed,
    {},
    edge(segmentEdge, { defaulting_source: "explicit_edge_config" })
  ),
  "edge_buffer_policies.*.fairness_key": field(typed, {}, edge(segmentEdge, { fairness_key: "gold" })),
  "edge_buffer_policies.*.sync_drop_policy.policy": field(
    lossy,
    edge(audioEdge, { sync_drop_policy: sync }),
    edge(audioEdge, { sync_drop_policy: atomic })
  ),
  "edge_buffer_policies.*.sync_drop_policy.scope": field(
    typed,
    of(long, flow({}, together("edge_local"))),
    of(long, flow({}, together("plan_wide")))
  ),
  "edge_buffer_policies.*.sync_drop_policy.group_by": field(
    typed,
    of(long, edge(voiceEdge, { ...dropping, max_queue_ms: 300, sync_drop_policy: atomic })),
    of(long, edge(voiceEdge, { ...dropping, max_queue_ms: 300, sync_drop_policy: { ...atomic, group_by: "event_id" } }))
  ),
  "edge_buffer_policies.*.sync_drop_policy.sync_domain": field(
    lossy,
    edge(audioEdge, { sync_drop_policy: sync }),
    edge(audioEdge, { sync_drop_policy: { ...sync, sync_domain: "other" } })
  ),
  "flow_control.mode_by_lane.DataLane": field(
    typed,
    of(
      five,
      flow({ mode_by_lane: { DataLane: "signal" } }, {
        [segmentEdge]: { watermarks: { queue_items: { high: 2, low: 0 } } }
      })
    ),
    of(
      five,
      flow({ mode_by_lane: { DataLane: "credit" } }, {
        [segmentEdge]: { watermarks: { queue_items: { high: 2, low: 0 } } }
      })
    )
  ),
  "flow_control.mode_by_lane.ControlLane": field(
    lossy,
    pressed("signal", "ControlLane"),
    pressed("credit", "ControlLane")
  ),
  "flow_control.mode_by_lane.TelemetryLane": field(
    babbling,
    pressed("signal", "TelemetryLane"),
    pressed("hybrid", "TelemetryLane")
  ),
  "flow_control.watermarks.DataLane.high": field(
    typed,
    of(five, flow({ watermarks: { DataLane: { high: 200, low: 0 } } })),
    of(five, flow({ watermarks: { DataLane: { high: 3, low: 0 } } }))
  ),
  "flow_control.watermarks.DataLane.low": field(
    typed,
    of(five, flow({ watermarks: { DataLane: { high: 3, low: 0 } } })),
    of(five, flow({ watermarks: { DataLane: { high: 3, low: 2 } } }))
  ),
  "flow_control.watermarks.ControlLane.high": field(
    lossy,
    flow({ watermarks: { ControlLane: { high: 200, low: 1 } } }),
    flow({ watermarks: { ControlLane: { high: 3, low: 1 } } })
  ),
  "flow_control.watermarks.ControlLane.low": field(
    (options) => {
      const h = KernelHarness.ready(options)
      for (let n = 0; n < 6; n++) {
        for (const first of [n, n + 1]) h.step({ type: "media_loss", edge_id: audioEdge, count: 1, first, last: first })
        h.runFor(3)
      }
      const story = storyOf(h)
      h.hangUp()
      return story
    },
    flow({ watermarks: { ControlLane: { high: 2, low: 0 } } }),
    flow({ watermarks: { ControlLane: { high: 2, low: 1 } } })
  ),
  "flow_control.watermarks.TelemetryLane.high": field(
    babbling,
    flow({ watermarks: { TelemetryLane: { high: 200, low: 1 } } }),
    flow({ watermarks: { TelemetryLane: { high: 4, low: 1 } } })
  ),
  "flow_control.watermarks.TelemetryLane.low": field(
    babbling,
    flow({ watermarks: { TelemetryLane: { high: 4, low: 0 } } }),
    flow({ watermarks: { TelemetryLane: { high: 4, low: 4 } } })
  ),
  "flow_control.shedding_strategy_by_lane.DataLane": field(
    typed,
    of(five, flow({ shedding_strategy_by_lane: { DataLane: "drop" } }, { [segmentEdge]: narrow })),
    of(five, flow({ shedding_strategy_by_lane: { DataLane: "merge" } }, { [segmentEdge]: narrow }))
  ),
  "flow_control.shedding_strategy_by_lane.TelemetryLane": field(
    babbling,
    flow({ watermarks: tight, shedding_strategy_by_lane: { TelemetryLane: "drop" } }),
    flow({ watermarks: tight, shedding_strategy_by_lane: { TelemetryLane: "sample" } })
  ),
  allowed_adaptive_actions: field(
    typed,
    { llm: () => failing("overload") },
    of({ llm: () => failing("overload") }, pipeline({ allowed_adaptive_actions: ["retry"] }))
  ),
  "recording_policy.recording_level": field(
    hashed,
    {},
    pipeline({ recording_policy: { ...base.recording_policy, recording_level: "L1" } })
  ),
  "recording_policy.allowed_replay_modes": field(
    hashed,
    {},
    pipeline({ recording_policy: { ...base.recording_policy, allowed_replay_modes: ["replay_decisions"] } })
  ),
  "determinism.seed": field(hashed, {}, { header: { seed: 8 } }),
  "determinism.nondeterministic_inputs.[].input_key": field(
    hashed,
    {},
    pipeline({ provider_bindings: { ...base.provider_bindings, "llm.fallback": "test/second" } })
  ),
  "determinism.nondeterministic_inputs.[].evidence_ref": field(
    hashed,
    {},
    pipeline({ provider_bindings: { ...base.provider_bindings, llm: "a/mind" } })
  )
}

interface Node {
  readonly $ref?: string
  readonly allOf?: ReadonlyArray<Node>
  readonly type?: string
  readonly properties?: Readonly<Record<string, Node>>
  readonly additionalProperties?: Node | boolean
  readonly items?: Node
}

/** The leaves of the plan's own schema. */
const leaves = (): ReadonlyArray<string> => {
  const schema = JSON.parse(jsonSchemaText("resolved_turn_plan")) as Node & { readonly $defs?: Record<string, Node> }
  const found: Array<string> = []
  const walk = (node: Node, path: ReadonlyArray<string>): void => {
    const named = node.$ref === undefined ? undefined : schema.$defs?.[node.$ref.split("/").at(-1) ?? ""]
    const at = named ?? node
    if (at.properties !== undefined) {
      for (const [key, inner] of Object.entries(at.properties)) walk(inner, [...path, key])
    } else if (typeof at.additionalProperties === "object") walk(at.additionalProperties, [...path, "*"])
    else if (at.allOf !== undefined) { for (const inner of at.allOf) walk(inner, path) }
    else if (at.items?.properties !== undefined) walk(at.items, [...path, "[]"])
    else found.push(path.join("."))
  }
  walk(schema, [])
  return found
}

describe("each field of the plan", () => {
  it("has a test here, and nothing else has", () => {
    assert.deepStrictEqual([...Object.keys(fields), ...Object.keys(fixed)].sort(), [...leaves()].sort())
  })

  for (const [name, { one, other, see }] of Object.entries(fields)) {
    it(`${name}: changing it changes what happens`, () => {
      assert.strictEqual(see(one), see(one), "and nothing else does")
      assert.notStrictEqual(see(other), see(one))
    })
  }

  it("what nobody can change is what the runtime does", () => {
    const h = KernelHarness.ready()
    h.type()
    const { plan } = h
    h.hangUp()
    for (const [name, value] of Object.entries(fixed)) {
      const [first, ...rest] = name.split(".")
      let at: unknown = plan[first as keyof typeof plan]
      for (const key of rest) {
        at = key === "*" || key === "[]" ? Object.values(at as Json)[0] : (at as Json)[key]
      }
      assert.deepStrictEqual(at, value, name)
    }
  })
})
