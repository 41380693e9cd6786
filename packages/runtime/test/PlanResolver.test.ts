// Holds I-PLAN-HASH, I-PLAN-LOCAL, I-PLAN-FROZEN.
import { assert, describe, it } from "@effect/vitest"
import type { NormalizedPipeline } from "@rspp/contracts/NormalizedPipeline"
import { snapshotKinds } from "@rspp/contracts/Snapshot"
import type { EdgeBufferPolicy, ResolvedTurnPlan } from "@rspp/contracts/TurnPlan"
import { failing, KernelHarness, reply, silent, speech } from "./support/KernelHarness.ts"
import type { HarnessOptions } from "./support/KernelHarness.ts"
import { literalPipeline, literalSnapshots, segmentEdge, sha256Of, voiceEdge } from "./support/LiteralSession.ts"

const planOf = (options: HarnessOptions = {}): ResolvedTurnPlan => {
  const h = KernelHarness.ready(options)
  h.type()
  const { plan } = h
  h.hangUp()
  return plan
}

/** The hash that anybody can compute: SHA-256 of the canonical JSON of every other field, by Node's own crypto. */
const expectedHash = (plan: ResolvedTurnPlan) => {
  const { plan_hash, ...rest } = plan
  assert.match(plan_hash, /^[0-9a-f]{64}$/u)
  return sha256Of(rest)
}

const withPipeline = (change: Partial<NormalizedPipeline>): HarnessOptions => ({
  pipeline: (base) => ({ ...base, ...change })
})
const base = literalPipeline()

describe("plan_hash", () => {
  it("is the SHA-256 of the canonical JSON of every other field, also of a JSON round trip", () => {
    const plan = planOf()
    assert.strictEqual(plan.plan_hash, expectedHash(plan))
    assert.strictEqual(plan.plan_hash, expectedHash(JSON.parse(JSON.stringify(plan)) as ResolvedTurnPlan))
  })

  it("is the same for the same inputs, and does not depend on the order of keys", () => {
    const reversed = <T>(value: T): T =>
      value !== null && typeof value === "object" && !Array.isArray(value)
        ? Object.fromEntries(Object.entries(value).reverse().map(([key, inner]) => [key, reversed(inner)])) as T
        : value
    assert.strictEqual(planOf().plan_hash, planOf().plan_hash)
    assert.strictEqual(planOf({ pipeline: reversed }).plan_hash, planOf().plan_hash)
  })

  it("changes with every field that the plan is made of", () => {
    const [policy] = Object.values(base.edge_buffer_policies)
    assert.ok(policy !== undefined)
    const variants: Record<string, HarnessOptions> = {
      budgets: withPipeline({ budgets: { ...base.budgets, turn_budget_ms: 2001 } }),
      edge_buffer_policies: withPipeline({
        edge_buffer_policies: { ...base.edge_buffer_policies, [voiceEdge]: { ...policy, max_queue_items: 51 } }
      }),
      provider_bindings: withPipeline({ provider_bindings: { ...base.provider_bindings, tts: "test/other" } }),
      flow_control: withPipeline({
        flow_control: {
          ...base.flow_control,
          mode_by_lane: { ...base.flow_control.mode_by_lane, TelemetryLane: "credit" }
        }
      }),
      allowed_adaptive_actions: withPipeline({ allowed_adaptive_actions: ["degrade"] }),
      recording_policy: withPipeline({ recording_policy: { ...base.recording_policy, recording_level: "L1" } }),
      execution_profile: withPipeline({ execution_profile: "simple/v2" }),
      determinism: { header: { seed: 8 } }
    }
    const hashes = new Set([planOf().plan_hash])
    for (const [field, options] of Object.entries(variants)) {
      const plan = planOf(options)
      assert.strictEqual(plan.plan_hash, expectedHash(plan), field)
      assert.notDeepEqual(
        plan[field as keyof ResolvedTurnPlan],
        planOf()[field as keyof ResolvedTurnPlan],
        `${field} shows in the plan`
      )
      hashes.add(plan.plan_hash)
    }
    assert.strictEqual(hashes.size, Object.keys(variants).length + 1)
  })

  it("changes with turn, epoch and snapshot ids", () => {
    const h = KernelHarness.ready({ llm: () => reply() })
    const open = () => {
      h.type()
      h.runFor(1000)
      return h.plan
    }
    const plans = [open(), open()]
    h.lease("rotated", 2)
    plans.push(open())
    for (const snapshot of literalSnapshots(h.header)) {
      h.step({ type: "snapshot", snapshot: { ...snapshot, version: 2, snapshot_id: `${snapshot.snapshot_kind}_2` } })
    }
    plans.push(open())
    assert.strictEqual(new Set(plans.map(({ plan_hash }) => plan_hash)).size, 4)
    for (const plan of plans) assert.strictEqual(plan.plan_hash, expectedHash(plan))
    assert.deepStrictEqual(plans.map(({ authority_epoch, turn_id }) => [turn_id, authority_epoch]), [
      ["turn_1", 1],
      ["turn_2", 1],
      ["turn_3", 2],
      ["turn_4", 2]
    ])
    h.hangUp()
  })
})

describe("the plan", () => {
  it("names the six snapshots that it was made from", () => {
    const plan = planOf()
    assert.deepStrictEqual(
      plan.snapshot_provenance,
      Object.fromEntries(snapshotKinds.map((kind) => [kind, `${kind}_1`])) as unknown as typeof plan.snapshot_provenance
    )
  })

  it("carries the graph, the version and the profile of the pipeline", () => {
    const plan = planOf()
    assert.deepStrictEqual(
      [plan.graph_definition_ref, plan.pipeline_version, plan.execution_profile],
      [base.graph.graph_definition_ref, "p1", "simple/v1"]
    )
  })

  it("allows an action only when the pipeline and policy both allow it", () => {
    const plan = planOf({
      pipeline: (pipeline) => ({ ...pipeline, allowed_adaptive_actions: ["retry", "degrade"] }),
      snapshots: { policy_resolution_snapshot: { allowed_adaptive_actions: ["degrade", "fallback"] } }
    })
    assert.deepStrictEqual([...plan.allowed_adaptive_actions], ["degrade"])
  })

  it.each([["L0", "L2", "L0"], ["L2", "L1", "L1"], ["L1", "L1", "L1"]] as const)(
    "records at the lower of what the pipeline asks (%s) and policy permits (%s): %s",
    (recording_level, max_recording_level, expected) => {
      const plan = planOf({
        pipeline: (pipeline) => ({
          ...pipeline,
          recording_policy: { ...pipeline.recording_policy, recording_level }
        }),
        snapshots: { policy_resolution_snapshot: { max_recording_level } }
      })
      assert.strictEqual(plan.recording_policy.recording_level, expected)
    }
  )

  it("permits only the replay modes that policy permits", () => {
    const plan = planOf({ snapshots: { policy_resolution_snapshot: { allowed_replay_modes: ["replay_decisions"] } } })
    assert.deepStrictEqual([...plan.recording_policy.allowed_replay_modes], ["replay_decisions"])
  })

  it("declares each provider call as a nondeterministic input with its evidence", () => {
    const plan = planOf()
    // In the order of the modalities' names, whatever order the keys came in.
    assert.deepStrictEqual(
      plan.determinism.nondeterministic_inputs.map((input) => [input.input_key, input.source, input.evidence_ref]),
      [
        ["llm", "external_call", "provider:test/mind"],
        ["stt", "external_call", "provider:test/ear"],
        ["tts", "external_call", "provider:test/voice"]
      ]
    )
    assert.deepStrictEqual([plan.determinism.seed, plan.determinism.merge_rule_id], [7, "control-first-arrival"])
  })

  it("is frozen for its turn: snapshots that come later change the next one only", () => {
    const h = KernelHarness.ready({
      ...withPipeline({ allowed_adaptive_actions: ["retry"] }),
      llm: () => failing("overload")
    })
    h.type()
    for (
      const snapshot of literalSnapshots(h.header, { policy_resolution_snapshot: { allowed_adaptive_actions: [] } })
    ) {
      h.step({ type: "snapshot", snapshot: { ...snapshot, version: 2 } })
    }
    h.runFor(2000)
    assert.strictEqual(h.started("llm").length, 3)
    h.forget()
    h.type()
    h.runFor(2000)
    assert.strictEqual(h.started("llm").length, 1)
    h.hangUp()
  })
})

describe("a provider's health", () => {
  const bindings = { ...base.provider_bindings, "llm.fallback": "test/second" }
  const health = (providers: Record<string, string>): HarnessOptions => ({
    ...withPipeline({ provider_bindings: bindings }),
    snapshots: { provider_health_snapshot: { providers } }
  })

  it("binds the fallback while the provider's circuit is open", () => {
    assert.strictEqual(planOf(health({ "test/mind": "open" })).provider_bindings["llm"], "test/second")
  })

  it.each(["closed", "half_open"])("keeps the provider whose circuit is %s", (state) => {
    assert.strictEqual(planOf(health({ "test/mind": state })).provider_bindings["llm"], "test/mind")
  })

  it("leaves out a fallback that is down; the healthy provider works on", () => {
    const { provider_bindings } = planOf(health({ "test/second": "open" }))
    assert.deepStrictEqual([provider_bindings["llm"], provider_bindings["llm.fallback"]], ["test/mind", undefined])
  })

  it("defers when both are down", () => {
    const h = KernelHarness.ready(health({ "test/mind": "open", "test/second": "open" }))
    h.type()
    assert.deepStrictEqual([...h.signals], ["turn_open_proposed", "defer(provider_unhealthy:test/mind)"])
    h.hangUp()
  })
})

/** STYLE 11: a setting is executed, or it does not exist. One test per field in which changing it changes behaviour. */
describe("each executed field of the plan", () => {
  const budget = (change: Partial<NormalizedPipeline["budgets"]>) =>
    withPipeline({ budgets: { ...base.budgets, ...change } })
  const endOf = (options: HarnessOptions): ReadonlyArray<string> => {
    const h = KernelHarness.ready({ llm: () => silent, ...options })
    h.type()
    h.runFor(10_000)
    const { signals } = h
    h.hangUp()
    return signals.filter((name) => !name.startsWith("turn_open") && !name.startsWith("playback"))
  }

  it("budgets.turn_budget_ms: when the turn is given up", () => {
    assert.include(endOf(budget({ turn_budget_ms: 500 })), "budget_exhausted(turn_budget)")
    assert.notInclude(endOf({}), "budget_exhausted(turn_budget)")
  })

  it("budgets.path_budget_ms_default: the same for the path", () => {
    assert.include(endOf(budget({ path_budget_ms_default: 500 })), "budget_exhausted(path_budget)")
    assert.notInclude(endOf({}), "budget_exhausted(path_budget)")
  })

  it("budgets.node_budget_ms_default: when a slow node is warned of", () => {
    assert.include(endOf(budget({ node_budget_ms_default: 300 })), "budget_warning(node_budget)")
    assert.notInclude(endOf(budget({ node_budget_ms_default: 1000 })), "budget_warning(node_budget)")
  })

  it("budgets.edge_budget_ms_default: when a sentence that waits is warned of", () => {
    const slow = { llm: () => reply(10, 10, 10), tts: () => ({ ...speech(300), stepMs: 120 }) }
    assert.include(endOf({ ...slow, ...budget({ edge_budget_ms_default: 150 }) }), "budget_warning(edge_budget)")
    assert.notInclude(endOf({ ...slow, ...budget({ edge_budget_ms_default: 5000 }) }), "budget_warning(edge_budget)")
  })

  it("provider_bindings: which provider is called", () => {
    const h = KernelHarness.ready(withPipeline({ provider_bindings: { stt: "a/ear", llm: "a/mind", tts: "a/voice" } }))
    h.speak(500)
    h.runFor(2000)
    assert.deepStrictEqual(
      [h.started("stt")[0]?.provider_id, h.started("llm")[0]?.provider_id, h.started("tts")[0]?.provider_id],
      ["a/ear", "a/mind", "a/voice"]
    )
    h.hangUp()
  })

  it("authority_epoch: the epoch that output and calls carry", () => {
    for (const epoch of [1, 5]) {
      const h = KernelHarness.ready()
      h.lease("rotated", epoch)
      h.type()
      h.runFor(1000)
      assert.deepStrictEqual(
        [h.commands("enqueue_output")[0]?.authority_epoch, h.started("llm")[0]?.authority_epoch],
        [epoch, epoch]
      )
      h.hangUp()
    }
  })

  it("turn_id: what everything of the turn is called", () => {
    const h = KernelHarness.ready()
    h.type()
    h.runFor(1000)
    assert.deepStrictEqual(
      [h.commands("enqueue_output")[0]?.turn_id, h.commands("enqueue_output")[0]?.segment_id, h.plan.turn_id],
      ["turn_1", "turn_1_seg_1", "turn_1"]
    )
    h.hangUp()
  })

  const edge = (edgeId: string, change: object, flow: object = {}): HarnessOptions => ({
    pipeline: (pipeline) => {
      const policy = pipeline.edge_buffer_policies[edgeId]
      if (policy === undefined) throw new Error(edgeId)
      return {
        ...pipeline,
        edge_buffer_policies: { ...pipeline.edge_buffer_policies, [edgeId]: { ...policy, ...change } },
        flow_control: { ...pipeline.flow_control, ...flow }
      }
    }
  })
  /** The strategy, and with it what the edge does with its data lane. */
  const acting = (strategy: EdgeBufferPolicy["strategy"]) => ({
    strategy,
    lane_handling: { DataLane: strategy, ControlLane: "non_blocking_priority", TelemetryLane: "drop" }
  })
  const one = { max_queue_items: 1, watermarks: { queue_items: { high: 9, low: 0 } } }
  const five = { llm: () => reply(10, 10, 10, 10, 10), tts: () => ({ ...speech(400), firstMs: 600 }) }

  it("edge_buffer_policies.strategy and max_queue_items: what becomes of a sentence without room", () => {
    assert.notInclude(endOf(five), "shed")
    assert.include(
      endOf({ ...five, ...edge(segmentEdge, { ...one, ...acting("drop") }) }).join(),
      "drop_notice(edge_full"
    )
    assert.include(
      endOf({ ...five, ...edge(segmentEdge, { ...one, ...acting("latest_only") }) }).join(),
      "drop_notice(latest_only"
    )
    assert.include(endOf({ ...five, ...edge(segmentEdge, { ...one, ...acting("sample") }) }).join(), "drop_notice(")
    assert.notInclude(endOf({ ...five, ...edge(segmentEdge, { ...one, ...acting("merge") }) }).join(), "drop_notice(")
    assert.include(endOf({ ...five, ...edge(segmentEdge, one) }).join(), "shed(block_time:drop)")
  })

  it("edge_buffer_policies.max_queue_bytes: the same by size", () => {
    assert.include(
      endOf({ ...five, ...edge(segmentEdge, { ...acting("drop"), max_queue_bytes: 15 }) }).join(),
      "drop_notice(edge_full"
    )
  })

  it("edge_buffer_policies.max_queue_ms: the same by duration, on the edge of speech", () => {
    assert.include(
      endOf({
        llm: () => reply(10),
        tts: () => speech(2000),
        ...edge(voiceEdge, { ...acting("drop"), max_queue_ms: 300 })
      })
        .join(),
      "drop_notice(edge_full"
    )
  })

  it("edge_buffer_policies.max_block_time_ms: how long a sentence may wait for room", () => {
    const shedAt = (max_block_time_ms: number) => {
      const h = KernelHarness.ready({ ...five, ...edge(segmentEdge, { ...one, max_block_time_ms }) })
      h.type()
      while (h.signal("shed") === undefined && h.now < 3000) h.runFor(1)
      const at = h.signal("shed")?.runtime_timestamp_ms
      h.hangUp()
      return at
    }
    const [early, late] = [shedAt(50), shedAt(150)]
    assert.strictEqual((late ?? 0) - (early ?? 0), 100)
  })

  it("edge_buffer_policies.watermarks: when pressure is told and the producer held", () => {
    const low = edge(segmentEdge, { watermarks: { queue_items: { high: 2, low: 0 } } })
    assert.includeMembers([...endOf({ ...five, ...low })], ["watermark(high)", "flow_xoff(high_watermark)", "flow_xon"])
    assert.notInclude(endOf(five), "watermark(high)")
  })

  it("edge_buffer_policies.sync_drop_policy: a loss at the door is a discontinuity of its domain", () => {
    const id = "input.caller_audio.stt"
    const lose = (options: HarnessOptions) => {
      const h = KernelHarness.ready(options)
      h.step({ type: "media_loss", edge_id: id, count: 3, first: 100, last: 102 })
      const { signals } = h
      h.hangUp()
      return signals
    }
    assert.deepStrictEqual([...lose({})], ["drop_notice(ingress_full)"])
    const sync = { policy: "drop_with_discontinuity", scope: "edge_local", group_by: "sync_id", sync_domain: "call" }
    assert.deepStrictEqual([...lose(edge(id, { sync_drop_policy: sync }))], [
      "drop_notice(ingress_full)",
      "discontinuity(ingress_full)"
    ])
  })

  it("flow_control.mode_by_lane.DataLane: signals, credits or both", () => {
    const pressed = (DataLane: "signal" | "credit" | "hybrid") =>
      endOf({
        ...five,
        ...edge(segmentEdge, { watermarks: { queue_items: { high: 2, low: 0 } } }, {
          mode_by_lane: { ...base.flow_control.mode_by_lane, DataLane }
        })
      }).filter((name) => name.startsWith("flow_") || name === "credit_grant")
    assert.deepStrictEqual([...new Set(pressed("signal"))], ["flow_xoff(high_watermark)", "flow_xon"])
    assert.deepStrictEqual([...new Set(pressed("credit"))], ["credit_grant"])
    assert.deepStrictEqual([...new Set(pressed("hybrid"))], ["flow_xoff(high_watermark)", "credit_grant", "flow_xon"])
  })

  it("flow_control.watermarks.DataLane: when the lane as a whole is told to be full", () => {
    const lane = (high: number): HarnessOptions => ({
      pipeline: (pipeline) => ({
        ...pipeline,
        flow_control: {
          ...pipeline.flow_control,
          watermarks: { ...pipeline.flow_control.watermarks, DataLane: { high, low: 0 } }
        }
      })
    })
    assert.include(endOf({ ...five, ...lane(3) }), "watermark(lane_high)")
    assert.notInclude(endOf({ ...five, ...lane(200) }), "watermark(lane_high)")
  })

  it("flow_control.shedding_strategy_by_lane.DataLane: what is shed when a block has lasted too long", () => {
    const shed = (DataLane: "drop" | "merge" | "latest_only" | "degrade" | "fallback") =>
      endOf({
        ...five,
        ...edge(segmentEdge, one, {
          shedding_strategy_by_lane: { ...base.flow_control.shedding_strategy_by_lane, DataLane }
        })
      }).map((name) => name.replace(/:text_\d+/u, ""))
    const told = new Set(
      (["drop", "merge", "latest_only", "degrade", "fallback"] as const).map((strategy) => shed(strategy).join())
    )
    assert.strictEqual(told.size, 5)
    assert.include(shed("degrade"), "degrade(edge_pressure)")
    assert.include(shed("fallback"), "fallback(edge_pressure)")
    assert.notInclude(shed("merge").join(), "drop_notice")
    assert.include(shed("drop").join(), "drop_notice(edge_full")
  })

  it("allowed_adaptive_actions: what may be done about a failure", () => {
    const spare = { ...base.provider_bindings, "llm.fallback": "test/second", "tts.fallback": "test/second_voice" }
    const failed = (actions: NormalizedPipeline["allowed_adaptive_actions"], at: "llm" | "tts" = "llm") => {
      const h = KernelHarness.ready({
        ...withPipeline({ allowed_adaptive_actions: actions, provider_bindings: spare }),
        ...(at === "llm"
          ? { llm: (_, call) => call === 1 ? failing("overload") : reply(10) }
          : { llm: () => reply(10), tts: (_, call) => call === 1 ? failing("overload") : speech(300) })
      })
      h.type()
      h.runFor(5000)
      const told = h.signals.filter((name) => !/^(turn_open|playback|output)/u.test(name))
      const calls = h.started(at).map(({ provider_id }) => provider_id)
      const decided = h.invocations.find((facts) => facts.outcome_class === "overload")?.retry_decision
      h.hangUp()
      return [told, calls, decided]
    }
    assert.deepStrictEqual(failed([]), [
      ["provider_error(overload)", "abort(provider_failure)", "close"],
      ["test/mind"],
      "none"
    ])
    assert.deepStrictEqual(failed(["retry"]), [
      ["provider_error(overload)", "commit", "close"],
      ["test/mind", "test/mind"],
      "retry"
    ])
    assert.deepStrictEqual(failed(["provider_switch"]), [
      ["provider_error(overload)", "provider_switch(overload)", "commit", "close"],
      ["test/mind", "test/second"],
      "provider_switch"
    ])
    assert.deepStrictEqual(failed(["fallback"]), [
      ["provider_error(overload)", "fallback(overload)", "commit", "close"],
      ["test/mind", "test/second"],
      "fallback"
    ])
    assert.deepStrictEqual(failed(["degrade"], "tts"), [
      ["provider_error(overload)", "degrade(speech_unavailable)", "commit", "close"],
      ["test/voice"],
      "none"
    ])
  })

  it("a retry is made twice, keeps its idempotency key, and only while nothing has been said", () => {
    const h = KernelHarness.ready({
      ...withPipeline({ allowed_adaptive_actions: ["retry"] }),
      llm: () => failing("overload")
    })
    h.type()
    h.runFor(3000)
    const calls = h.started("llm")
    assert.strictEqual(calls.length, 3)
    assert.strictEqual(calls[0]?.idempotency_key, calls[1]?.idempotency_key)
    assert.include(h.signals, "abort(provider_failure)")
    h.hangUp()
    const said = KernelHarness.ready({
      ...withPipeline({ allowed_adaptive_actions: ["retry"] }),
      llm: () => failing("overload", { results: [10] })
    })
    said.type()
    said.runFor(3000)
    assert.strictEqual(said.started("llm").length, 1)
    said.hangUp()
  })

  it("a switch is made once, and never to the provider that failed", () => {
    const failAll = (spare: string) => {
      const h = KernelHarness.ready({
        ...withPipeline({
          allowed_adaptive_actions: ["provider_switch"],
          provider_bindings: { ...base.provider_bindings, "llm.fallback": spare }
        }),
        llm: () => failing("overload")
      })
      h.type()
      h.runFor(3000)
      assert.include(h.signals, "abort(provider_failure)")
      const calls = h.started("llm").map(({ provider_id }) => provider_id)
      h.hangUp()
      return calls
    }
    assert.deepStrictEqual(failAll("test/second"), ["test/mind", "test/second"])
    assert.deepStrictEqual(failAll("test/mind"), ["test/mind"])
  })

  it("what cannot be retried is not retried", () => {
    const h = KernelHarness.ready({
      ...withPipeline({ allowed_adaptive_actions: ["retry"] }),
      llm: () => failing("blocked", { retryable: false })
    })
    h.type()
    h.runFor(3000)
    assert.strictEqual(h.started("llm").length, 1)
    h.hangUp()
  })
})
