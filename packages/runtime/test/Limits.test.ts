// Holds I-BUDGET-NAMED, I-BUDGET-HELD, I-ADMIT-RESERVE, I-LANE-TELEMETRY, I-POOL-BOUND, I-POOL-FAIR.
import { assert, describe, it } from "@effect/vitest"
import type { NormalizedPipeline } from "@rspp/contracts/NormalizedPipeline"
import { AdmissionLedger } from "@rspp/runtime/limits/AdmissionLedger"
import { ExecutionPool, PoolLimits } from "@rspp/runtime/limits/ExecutionPool"
import { TokenBucket } from "@rspp/runtime/limits/TokenBucket"
import { Effect, Layer } from "effect"
import { KernelHarness, reply, silent, speech } from "./support/KernelHarness.ts"
import type { HarnessOptions } from "./support/KernelHarness.ts"
import { literalPipeline, segmentEdge, voiceEdge } from "./support/LiteralSession.ts"

const base = literalPipeline()
const withPipeline = (change: Partial<NormalizedPipeline>): Pick<HarnessOptions, "pipeline"> => ({
  pipeline: (own) => ({ ...own, ...change })
})
const turnOf = (options: HarnessOptions, ms = 20_000) => {
  const h = KernelHarness.ready(options)
  h.type()
  h.runFor(ms)
  return h
}
const budgets = (h: KernelHarness) =>
  h.signals.filter((name) => /^(?:budget|degrade|fallback|provider_|abort|commit)/u.test(name))

describe("the phases of a provider call", () => {
  const stalled = { ...speech(200), end: "never" as const }

  it("a voice that stalls after its first result is given up after 5 s", () => {
    const h = turnOf({ llm: () => reply(10), tts: () => stalled })
    assert.deepStrictEqual(budgets(h), [
      "budget_exhausted(between_chunks)",
      "provider_error(timeout)",
      "abort(provider_failure)"
    ])
    assert.strictEqual(h.invocations.find(({ modality }) => modality === "tts")?.outcome_class, "timeout")
    const at = h.signal("budget_exhausted")?.runtime_timestamp_ms ?? 0
    // The last chunk came 80 ms + 10 ms after the sentence.
    assert.strictEqual(at, 100 + 90 + 5000)
    h.hangUp()
  })

  it("the time between results is the pipeline's, and one timer serves all of them", () => {
    const slow = { results: Array.from({ length: 12 }, () => 1600), firstMs: 100, stepMs: 400, end: "success" as const }
    const told = (provider_between_chunks_ms: number) =>
      turnOf({ llm: () => reply(10), tts: () => slow, ...withPipeline({ provider_between_chunks_ms }) })
    const enough = told(500)
    assert.deepStrictEqual(budgets(enough), ["commit"])
    assert.isBelow(enough.commands("arm_timer").filter(({ timer }) => timer.startsWith("budget.phase:")).length, 15)
    enough.hangUp()
    const short = told(300)
    assert.include(budgets(short), "budget_exhausted(between_chunks)")
    short.hangUp()
  })

  it("a call that never stalls and never ends is given up in the end", () => {
    const endless = { ...speech(60_000), stepMs: 200, end: "never" as const }
    const h = turnOf({ llm: () => reply(10), tts: () => endless, ...withPipeline({ provider_total_ms: 3000 }) })
    assert.include(budgets(h), "budget_exhausted(total)")
    h.hangUp()
  })

  it("a model that stalls after it has begun ends the turn, or its reply where the plan allows to degrade", () => {
    const llm = () => ({ ...reply(10), end: "never" as const })
    const fails = turnOf({ llm })
    assert.include(budgets(fails), "abort(provider_failure)")
    fails.hangUp()
    const degrades = turnOf({ llm, ...withPipeline({ allowed_adaptive_actions: ["degrade"] }) })
    assert.deepStrictEqual(budgets(degrades).slice(-3), [
      "provider_error(timeout)",
      "degrade(reply_cut_short)",
      "commit"
    ])
    degrades.hangUp()
  })

  it("what is held on purpose has all the time that it is held", () => {
    // 20 s of speech, of which the edge holds 1 s: the voice is held for most of the time.
    const held = {
      ...withPipeline({
        provider_between_chunks_ms: 300,
        provider_total_ms: 4000,
        edge_buffer_policies: {
          ...base.edge_buffer_policies,
          [voiceEdge]: {
            ...(base.edge_buffer_policies[voiceEdge] as NonNullable<typeof base.edge_buffer_policies[string]>),
            watermarks: { queue_ms: { high: 1000, low: 200 } }
          }
        }
      }),
      llm: () => reply(10),
      tts: () => ({ ...speech(10_000), stepMs: 5 })
    }
    const h = turnOf(held)
    assert.isAtLeast(h.commands("pause_invocation").length, 3)
    assert.deepStrictEqual(budgets(h), ["commit"])
    h.hangUp()
  })

  it("is not limited in a session that was recorded before", () => {
    const h = turnOf({ llm: () => reply(10), tts: () => stalled, header: { behaviour_flags: [1] } })
    assert.deepStrictEqual(budgets(h), [])
    h.hangUp()
  })
})

describe("the turn's and the path's budget", () => {
  it("are warned of before they run out", () => {
    const h = turnOf({ llm: () => silent, header: { provider_caps: { "test/mind": 9000 } } })
    assert.deepStrictEqual(budgets(h), [
      "budget_warning(node_budget)",
      "budget_warning(turn_budget)",
      "budget_exhausted(turn_budget)",
      "budget_exhausted(path_budget)",
      "abort(turn_budget_exhausted)"
    ])
    h.hangUp()
  })

  it("another provider has a path's budget anew, and no more of the turn's", () => {
    const h = turnOf({
      llm: (_, call) => call === 1 ? silent : { ...reply(10), firstMs: 900 },
      ...withPipeline({
        allowed_adaptive_actions: ["provider_switch"],
        provider_bindings: { ...base.provider_bindings, "llm.fallback": "test/second" },
        budgets: { ...base.budgets, turn_budget_ms: 3000, path_budget_ms_default: 1500 }
      })
    })
    assert.include(h.signals, "provider_switch(timeout)")
    assert.notInclude(h.signals.join(), "budget_exhausted(path_budget)")
    assert.include(h.signals, "commit")
    h.hangUp()
  })

  it("a path that is too slow gives way to another, where the plan has one", () => {
    const slow = (actions: NormalizedPipeline["allowed_adaptive_actions"]) =>
      turnOf({
        llm: (_, call) => call === 1 ? silent : reply(10),
        ...withPipeline({
          allowed_adaptive_actions: actions,
          provider_bindings: { ...base.provider_bindings, "llm.fallback": "test/second" },
          budgets: { ...base.budgets, path_budget_ms_default: 500 }
        })
      })
    const other = slow(["fallback"])
    assert.deepStrictEqual(budgets(other), [
      "budget_warning(path_budget)",
      "budget_exhausted(path_budget)",
      "provider_error(timeout)",
      "fallback(timeout)",
      "commit"
    ])
    other.hangUp()
    const none = slow(["retry"])
    assert.include(budgets(none), "abort(turn_budget_exhausted)")
    none.hangUp()
  })
})

describe("an edge whose consumer is busy", () => {
  const busy = { llm: () => ({ ...reply(10, 10), stepMs: 200 }), tts: () => ({ ...speech(500), stepMs: 300 }) }

  it("is warned of for a sentence that comes while the voice speaks another, once", () => {
    const h = turnOf(busy)
    assert.deepStrictEqual(h.signals.filter((name) => name === "budget_warning(edge_budget)"), [
      "budget_warning(edge_budget)"
    ])
    h.hangUp()
  })

  it("sheds what has waited for as long as it may add, where the plan allows to degrade", () => {
    const late = (actions: NormalizedPipeline["allowed_adaptive_actions"]) => {
      const policy = base.edge_buffer_policies[segmentEdge] as NonNullable<typeof base.edge_buffer_policies[string]>
      return turnOf({
        ...busy,
        ...withPipeline({
          allowed_adaptive_actions: actions,
          edge_buffer_policies: {
            ...base.edge_buffer_policies,
            [segmentEdge]: { ...policy, max_latency_contribution_ms: 500 }
          }
        })
      })
    }
    const degraded = late(["degrade"])
    assert.includeMembers([...degraded.signals], [
      "budget_warning(edge_budget)",
      "budget_exhausted(edge_latency)",
      "degrade(edge_latency)",
      "shed(edge_latency)"
    ])
    assert.include(degraded.decisions, "shed/scheduling_point/edge_dequeue(edge_latency)")
    assert.match(degraded.signals.join(), /drop_notice\(too_late:text_/u)
    degraded.hangUp()
    const held = late([])
    assert.include(held.signals, "budget_exhausted(edge_latency)")
    assert.notInclude(held.signals.join(), "shed")
    assert.lengthOf(held.started("tts"), 2)
    held.hangUp()
  })
})

describe("admission", () => {
  const limited = (body: object, options: HarnessOptions = {}): HarnessOptions => ({
    ...options,
    snapshots: {
      admission_policy_snapshot: { max_turns_per_session: 100, over_quota: "reject", reason: "used_up", ...body }
    }
  })

  it("an intent over its quota cuts nothing", () => {
    const h = turnOf(limited({ max_turns_per_session: 1 }, { tts: () => speech(3000) }), 1000)
    h.forget()
    h.type()
    assert.deepStrictEqual([...h.signals], ["turn_open_proposed", "reject(used_up)"])
    h.runFor(8000)
    assert.include(h.signals, "commit")
    h.hangUp()
  })

  it("counts turns a minute on the inputs' own times", () => {
    const h = KernelHarness.ready(limited({ max_turns_per_minute: 2 }))
    for (const gap of [5000, 5000, 25_000, 5000]) {
      h.type()
      h.runFor(gap)
    }
    // Two at once, and one comes back each 30 s.
    assert.deepStrictEqual(h.signals.filter((name) => /^(?:turn_open$|reject)/u.test(name)), [
      "turn_open",
      "turn_open",
      "reject(turn_rate_exceeded)",
      "turn_open"
    ])
    h.hangUp()
  })

  it("a tenant's turn is reserved before it opens, and given back once", () => {
    const h = turnOf(limited({ max_concurrent_turns_per_tenant: 2 }), 9000)
    assert.deepStrictEqual(h.commands("reserve_turn").map(({ max_concurrent_turns }) => max_concurrent_turns), [2])
    assert.deepStrictEqual(h.commands("release_turn").map(({ reservation_id }) => reservation_id), ["reservation_1"])
    assert.include(h.signals, "commit")
    h.hangUp()
  })

  it("what the tenant has no room for is turned away, and the turn that is open goes on", () => {
    let calls = 0
    const h = KernelHarness.ready(limited({ max_concurrent_turns_per_tenant: 1 }, {
      tts: () => speech(3000),
      tenant: () => ({ granted: ++calls === 1, reason: "tenant_turns_in_use" })
    }))
    h.type()
    h.runFor(1000)
    h.forget()
    h.type()
    h.runFor(8000)
    assert.deepStrictEqual(h.signals.filter((name) => !/^(?:playback|output)/u.test(name)), [
      "turn_open_proposed",
      "reject(tenant_turns_in_use)",
      "commit",
      "close"
    ])
    h.hangUp()
  })

  it("a reservation that nobody waits for any more is given back", () => {
    const h = KernelHarness.ready(limited({ max_concurrent_turns_per_tenant: 1 }, { withhold: ["turn_reserved"] }))
    h.type()
    h.type()
    assert.include(h.signals, "reject(superseded)")
    h.release("turn_reserved")
    assert.lengthOf(h.commands("release_turn"), 1)
    h.runFor(9000)
    assert.lengthOf(h.signals.filter((name) => name === "turn_open"), 1)
    h.hangUp()
  })

  it("a session without a place among those of its tenant ends at once", () => {
    const h = new KernelHarness(limited({ max_sessions_per_tenant: 1 }, {
      tenant: () => ({ granted: false, reason: "tenant_sessions_in_use" })
    }))
    h.step({ type: "session_started" })
    h.snapshots()
    h.lease("issued", 1)
    h.runFor(10)
    assert.include(h.signals, "reject(tenant_sessions_in_use)")
    assert.include(h.decisions, "reject/pre_turn/tenant(tenant_sessions_in_use)")
    assert.deepStrictEqual(h.commands("end_session").map(({ reason }) => reason), ["tenant_sessions_in_use"])
  })

  it.effect("the ledger gives no place twice, and takes all of a session's back", () =>
    Effect.gen(function*() {
      const ledger = yield* AdmissionLedger
      const sessions = Array.from({ length: 50 }, (_, n) => ledger.open("t1", `s${n}`))
      const limits = { max_concurrent_turns: 7 }
      const granted = sessions.filter((session) => session.session(10).granted)
      assert.lengthOf(granted, 10)
      const turns = granted.filter((session) => session.turn("r1", limits, 0).granted)
      assert.lengthOf(turns, 7)
      assert.strictEqual(turns[0]?.turn("r2", limits, 0).granted, true, "its own turn makes way for its next")
      assert.deepStrictEqual(ledger.inUse("t1"), { sessions: 10, turns: 7 })
      for (const session of granted) session.close()
      assert.deepStrictEqual(ledger.inUse("t1"), { sessions: 0, turns: 0 })
      assert.strictEqual(ledger.open("t2", "s0").session(1).granted, true, "tenants do not share")
    }).pipe(Effect.provide(AdmissionLedger.layer)))

  it("a bucket gives back in whole parts of a minute", () => {
    const bucket = new TokenBucket()
    for (let n = 0; n < 3; n++) {
      assert.isTrue(bucket.has(3, 0))
      bucket.take(3, 0)
    }
    assert.isFalse(bucket.has(3, 19_999))
    assert.isTrue(bucket.has(3, 20_000))
  })
})

describe("the circuits of the providers that are bound", () => {
  it("tell when they open, half open and close, and no others do", () => {
    const h = KernelHarness.ready()
    for (const providers of [{ "test/mind": "open", "x/y": "open" }, { "test/mind": "half_open" }, {}, {}]) {
      h.snapshots({ provider_health_snapshot: { providers } })
    }
    assert.deepStrictEqual([...h.signals], [
      "circuit_event(open:test/mind)",
      "circuit_event(half_open:test/mind)",
      "circuit_event(closed:test/mind)"
    ])
    h.hangUp()
  })
})

describe("the execution pool", () => {
  const small = { running: 2, waiting: 6, waitMs: 100 }
  const layer = ExecutionPool.layer.pipe(
    Layer.provide(Layer.succeed(PoolLimits, { stt: small, llm: small, tts: small, external: small }))
  )

  it.effect("runs no more than its limit, and goes round by key", () =>
    Effect.gen(function*() {
      const pool = yield* ExecutionPool
      let now = 0
      const begun: Array<string> = []
      const enter = (fairnessKey: string, name: string) =>
        pool.enter({ kind: "llm", fairnessKey, nowMs: () => now, start: () => begun.push(name) })
      const places = ["a1", "a2", "a3", "a4", "a5", "b1", "c1", "c2"].map((name) => enter(name.slice(0, 1), name))
      assert.deepStrictEqual(begun, ["a1", "a2"])
      assert.strictEqual(enter("d", "d1").kind, "full")
      now = 40
      for (let n = 0; n < 8; n++) {
        const place = places[["a1", "a2", "a3", "a4", "a5", "b1", "c1", "c2"].indexOf(begun[n] ?? "")]
        if (place !== undefined && place.kind !== "full") {
          place.leave()
          place.leave()
        }
        assert.isAtMost(pool.stats("llm").running, 2)
      }
      assert.deepStrictEqual(begun, ["a1", "a2", "a3", "b1", "c1", "a4", "c2", "a5"])
      const stats = pool.stats("llm")
      assert.deepStrictEqual([stats.started, stats.ended, stats.shed, stats.running, stats.waiting], [8, 8, 1, 0, 0])
      assert.deepStrictEqual([stats.queueMs, stats.longestQueueMs, stats.runMs], [6 * 40, 40, 2 * 40])
    }).pipe(Effect.provide(layer)))

  it.effect("what has waited for too long is out, and what has begun is not", () =>
    Effect.gen(function*() {
      const pool = yield* ExecutionPool
      const enter = () => pool.enter({ kind: "tts", fairnessKey: "a", nowMs: () => 0, start: () => {} })
      const [first, , third] = [enter(), enter(), enter()]
      assert.strictEqual(first.kind !== "full" && first.expire(), false)
      assert.strictEqual(third?.kind === "waiting" && third.expire(), true)
      assert.deepStrictEqual([pool.stats("tts").waiting, pool.stats("tts").shed], [0, 1])
    }).pipe(Effect.provide(layer)))

  it("a call that the pool sheds is told at node_dispatch, and is an overload of its provider", () => {
    const h = KernelHarness.ready({ llm: () => silent, ...withPipeline({ allowed_adaptive_actions: [] }) })
    h.type()
    const id = h.started("llm")[0]?.provider_invocation_id ?? ""
    h.step({ type: "dispatch_shed", provider_invocation_id: id, reason: "pool_full" })
    h.step({
      type: "invocation_ended",
      provider_invocation_id: id,
      outcome_class: "overload",
      retryable: false,
      attempts: 1,
      late_outputs: 0
    })
    h.runFor(100)
    assert.include(h.decisions, "shed/scheduling_point/node_dispatch(pool_full)")
    assert.includeMembers([...h.signals], ["shed(pool_full)", "provider_error(overload)", "abort(provider_failure)"])
    h.hangUp()
  })
})
