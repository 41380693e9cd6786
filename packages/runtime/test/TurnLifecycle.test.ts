// Holds I-TURN-LEGAL, I-TURN-ORDER, I-TURN-PRECEDENCE, I-TURN-ONE, I-TURN-CLOSE, I-FENCE-FIRST, I-EVIDENCE-FIRST,
// I-CANCEL-FENCE, I-CANCEL-ONCE, I-EPOCH-MONOTONE, I-SNAP-MONOTONE, I-BUDGET-NAMED, I-INV-CANCEL.
import { assert, describe, it } from "@effect/vitest"
import { failing, KernelHarness, reply, silent, speech } from "./support/KernelHarness.ts"
import type { HarnessOptions } from "./support/KernelHarness.ts"
import type { Partially } from "./support/LiteralSession.ts"
import { literalSnapshots } from "./support/LiteralSession.ts"
import type { SessionConfig } from "@rspp/contracts/SessionConfig"

/** The row's whole story in control signals: nothing else of the lifecycle may appear. */
const signals = (h: KernelHarness, expected: ReadonlyArray<string>) =>
  assert.deepStrictEqual([...h.signals], [...expected])

const opened = ["Idle -turn_open_proposed-> Opening", "Opening -turn_open-> Active"]
const aborted = ["Active -abort-> Terminal", "Terminal -close-> Closed"]
const committed = ["Active -commit-> Terminal", "Terminal -close-> Closed"]
const path = (h: KernelHarness, turn: string, expected: ReadonlyArray<string>) =>
  assert.deepStrictEqual([...h.transitions], expected.map((step) => `${turn}: ${step}`))

/** A session in which a turn was opened just now, by typed text. */
const active = (options: HarnessOptions = {}): KernelHarness => {
  const h = KernelHarness.ready(options)
  h.type()
  assert.deepStrictEqual([...h.signals], ["turn_open_proposed", "turn_open"])
  h.forget()
  return h
}

/** The same, some of its speech already heard. */
const speaking = (options: HarnessOptions = {}): KernelHarness => {
  const h = active({ llm: () => reply(40), tts: () => speech(3000), ...options })
  h.runFor(1000)
  assert.deepStrictEqual([...h.signals], ["playback_started"])
  h.forget()
  return h
}

/** A turn that did not open leaves the session able to open the next one. */
const thenOpens = (h: KernelHarness) => {
  h.forget()
  h.type()
  signals(h, ["turn_open_proposed", "turn_open"])
  h.hangUp()
}

describe("T1: a turn intent arrives", () => {
  it("is proposed in session scope and begins arbitration, before anything else", () => {
    const h = KernelHarness.ready()
    h.type()
    assert.deepStrictEqual(h.story.slice(0, 2), ["turn_open_proposed", "transition"])
    assert.strictEqual(h.transitions[0], "turn_1: Idle -turn_open_proposed-> Opening")
    const proposed = h.signal("turn_open_proposed")
    assert.deepStrictEqual([proposed?.event_scope, proposed?.turn_id, proposed?.emitted_by], [
      "session",
      undefined,
      "RK-02"
    ])
    h.hangUp()
  })
})

describe("T2: a snapshot or admission says no", () => {
  const refused = (h: KernelHarness, outcome: "reject" | "defer", reason: string) => {
    signals(h, ["turn_open_proposed", `${outcome}(${reason})`])
    path(h, "turn_1", ["Idle -turn_open_proposed-> Opening", `Opening -${outcome}-> Idle`])
    assert.deepStrictEqual([...h.decisions], [`${outcome}/pre_turn/turn(${reason})`])
    const signal = h.signal(outcome)
    assert.deepStrictEqual([signal?.event_scope, signal?.turn_id, signal?.emitted_by], ["session", "turn_1", "RK-25"])
    assert.deepStrictEqual(h.story.filter((word) => word === "plan" || word === "!start_invocation"), [])
  }

  it("defers on a stale snapshot, and opens once it is fresh", () => {
    const h = KernelHarness.ready()
    h.runFor(3_600_001)
    h.type()
    refused(h, "defer", "snapshot_stale:routing_view_snapshot")
    h.snapshots()
    thenOpens(h)
  })

  it("counts a snapshot as fresh up to and including its TTL", () => {
    const h = KernelHarness.ready()
    h.runFor(3_600_000)
    h.type()
    signals(h, ["turn_open_proposed", "turn_open"])
    h.hangUp()
  })

  for (const kind of literalSnapshots(new KernelHarness().header).map((snapshot) => snapshot.snapshot_kind)) {
    it(`rejects when ${kind} is missing`, () => {
      const h = new KernelHarness()
      for (const snapshot of literalSnapshots(h.header)) {
        if (snapshot.snapshot_kind !== kind) h.step({ type: "snapshot", snapshot })
      }
      h.lease("issued", 1)
      h.forget()
      h.type()
      refused(h, "reject", `snapshot_missing:${kind}`)
      h.snapshots()
      thenOpens(h)
    })
  }

  it.each([
    ["the contract version", { abi_compatibility_snapshot: { contract_versions: ["v9.0"] } }],
    ["the pipeline version", { version_resolution_snapshot: { pipeline_version: "p2" } }],
    ["the graph", { version_resolution_snapshot: { graph_definition_ref: `sha256:${"0".repeat(64)}` } }]
  ])("rejects when %s is not the session's", (_, snapshots) => {
    const h = KernelHarness.ready({ snapshots })
    h.type()
    refused(h, "reject", "snapshot_incompatible")
    h.hangUp()
  })

  it("lets the pipeline's profile choose reject or defer for each of the three", () => {
    const other = { stale: "reject", missing: "defer", incompatible: "defer" } as const
    const pipeline: HarnessOptions["pipeline"] = (base) => ({ ...base, snapshot_outcomes: other })
    const stale = KernelHarness.ready({ pipeline })
    stale.runFor(3_600_001)
    stale.type()
    refused(stale, "reject", "snapshot_stale:routing_view_snapshot")
    const missing = new KernelHarness({ pipeline })
    missing.type()
    refused(missing, "defer", "snapshot_missing:routing_view_snapshot")
    const foreign = KernelHarness.ready({
      pipeline,
      snapshots: { version_resolution_snapshot: { pipeline_version: "p2" } }
    })
    foreign.type()
    refused(foreign, "defer", "snapshot_incompatible")
  })

  for (const over_quota of ["reject", "defer"] as const) {
    it(`answers ${over_quota} when the quota is used up, as the admission policy says`, () => {
      const h = KernelHarness.ready({
        snapshots: { admission_policy_snapshot: { max_turns_per_session: 0, over_quota, reason: "no_more" } }
      })
      h.type()
      refused(h, over_quota, "no_more")
      h.snapshots({})
      thenOpens(h)
    })
  }

  it("an older version of a snapshot does not replace a newer one", () => {
    const h = KernelHarness.ready()
    const [old] = literalSnapshots(h.header, { routing_view_snapshot: {} })
    assert.ok(old !== undefined)
    for (const snapshot of literalSnapshots(h.header, { admission_policy_snapshot: { max_turns_per_session: 0 } })) {
      h.step({ type: "snapshot", snapshot: { ...snapshot, version: 0 } })
    }
    h.type()
    signals(h, ["turn_open_proposed", "turn_open"])
    h.hangUp()
  })
})

describe("T3: the epoch of the intent is not the session's", () => {
  it.each([0, 2, 99])("rejects an intent of epoch %i under epoch 1", (epoch) => {
    const h = KernelHarness.ready()
    h.type(5, epoch)
    signals(h, ["turn_open_proposed", "stale_epoch_reject(intent_of_another_epoch)"])
    path(h, "turn_1", ["Idle -turn_open_proposed-> Opening", "Opening -stale_epoch_reject-> Idle"])
    assert.deepStrictEqual([...h.decisions], ["stale_epoch_reject/pre_turn/turn(intent_of_another_epoch)"])
    assert.strictEqual(h.signal("stale_epoch_reject")?.authority_epoch, epoch)
    assert.strictEqual(h.signal("stale_epoch_reject")?.event_scope, "session")
    thenOpens(h)
  })

  it("leaves an open turn alone: only the stale intent is turned away (T12 changes no lifecycle)", () => {
    const h = speaking()
    h.type(5, 0)
    signals(h, ["turn_open_proposed", "stale_epoch_reject(intent_of_another_epoch)"])
    assert.deepStrictEqual(h.commands("fence_output"), [])
    h.runFor(5000)
    assert.deepStrictEqual([...h.signalsOf("turn_1")], ["output_accepted", "commit", "close", "playback_completed"])
    h.hangUp()
  })
})

describe("T4: authority was revoked", () => {
  it.each(["revoked", "expired"] as const)("drains an intent under a lease that was %s", (status) => {
    const h = KernelHarness.ready()
    h.lease(status, 1)
    h.type()
    signals(h, ["turn_open_proposed", "deauthorized_drain(authority_revoked)"])
    path(h, "turn_1", ["Idle -turn_open_proposed-> Opening", "Opening -deauthorized_drain-> Idle"])
    assert.deepStrictEqual([...h.decisions], ["deauthorized_drain/pre_turn/turn(authority_revoked)"])
    h.lease("issued", 2)
    thenOpens(h)
  })

  it.each(["renewed", "issued", "rotated"] as const)(
    "a late `%s` of the epoch that was revoked heals nothing",
    (status) => {
      const h = KernelHarness.ready()
      h.lease("revoked", 1)
      h.lease(status, 1)
      assert.deepStrictEqual([...h.signals], ["stale_epoch_reject(lease_of_a_lost_epoch)"])
      h.forget()
      h.type()
      signals(h, ["turn_open_proposed", "deauthorized_drain(authority_revoked)"])
      h.hangUp()
    }
  )

  it("drains before any lease was issued", () => {
    const h = new KernelHarness()
    h.snapshots()
    h.type()
    signals(h, ["turn_open_proposed", "deauthorized_drain(authority_revoked)"])
    h.hangUp()
  })
})

describe("T5: admitted, authorised, plan materialised", () => {
  it("opens with its plan, and starts work only then", () => {
    const h = KernelHarness.ready()
    h.type()
    signals(h, ["turn_open_proposed", "turn_open"])
    path(h, "turn_1", opened)
    assert.deepStrictEqual([...h.decisions], ["admit/pre_turn/turn(within_quota)"])
    const order = h.story.filter((word) => ["plan", "turn_open", "!start_invocation"].includes(word))
    assert.deepStrictEqual(order, ["plan", "turn_open", "!start_invocation"])
    const open = h.signal("turn_open")
    assert.deepStrictEqual([open?.event_scope, open?.turn_id, open?.authority_epoch], ["turn", "turn_1", 1])
    h.hangUp()
  })

  it("decides in the instant of the proposal", () => {
    const h = KernelHarness.ready()
    h.runFor(1234)
    h.type()
    assert.deepStrictEqual(
      [h.signal("turn_open_proposed")?.runtime_timestamp_ms, h.signal("turn_open")?.runtime_timestamp_ms],
      [1234, 1234]
    )
    h.hangUp()
  })
})

describe("T5a: the plan cannot be materialised", () => {
  it("defers while a bound provider's circuit is open and there is no fallback", () => {
    const h = KernelHarness.ready({ snapshots: { provider_health_snapshot: { providers: { "test/mind": "open" } } } })
    h.type()
    signals(h, ["turn_open_proposed", "defer(provider_unhealthy:test/mind)"])
    path(h, "turn_1", ["Idle -turn_open_proposed-> Opening", "Opening -defer-> Idle"])
    assert.deepStrictEqual([...h.decisions], ["defer/pre_turn/turn(provider_unhealthy:test/mind)"])
    h.snapshots({})
    thenOpens(h)
  })

  it("rejects when policy permits none of the pipeline's replay modes", () => {
    const h = KernelHarness.ready({
      snapshots: { policy_resolution_snapshot: { allowed_replay_modes: ["re_simulate_nodes"] } }
    })
    h.type()
    signals(h, ["turn_open_proposed", "reject(no_replay_mode_permitted)"])
    h.hangUp()
  })
})

describe("the order of checks before turn_open", () => {
  // All four stand against the turn; taking away the first one lets the next one show.
  const noQuota = { admission_policy_snapshot: { max_turns_per_session: 0 } }
  const noPlan = { provider_health_snapshot: { providers: { "test/mind": "open" } } }
  const verdict = (h: KernelHarness, epoch: number): string | undefined => {
    h.forget()
    h.type(5, epoch)
    return h.signals.at(-1)
  }

  it("is snapshots, admission, epoch, revocation, plan", () => {
    const h = new KernelHarness()
    h.lease("issued", 1)
    h.lease("revoked", 1)
    assert.strictEqual(verdict(h, 9), "reject(snapshot_missing:routing_view_snapshot)")
    h.snapshots({ ...noQuota, ...noPlan })
    assert.strictEqual(verdict(h, 9), "reject(quota_used_up)")
    h.snapshots(noPlan)
    assert.strictEqual(verdict(h, 9), "stale_epoch_reject(intent_of_another_epoch)")
    assert.strictEqual(verdict(h, 1), "deauthorized_drain(authority_revoked)")
    h.lease("issued", 2)
    assert.strictEqual(verdict(h, 2), "defer(provider_unhealthy:test/mind)")
    h.snapshots({})
    assert.strictEqual(verdict(h, 2), "turn_open")
    h.hangUp()
  })
})

describe("T6: generation is complete and its evidence is appended", () => {
  it("commits, then closes, after egress has accepted the last segment", () => {
    const h = active({ llm: () => reply(10), tts: () => speech(400) })
    h.runFor(3000)
    signals(h, ["playback_started", "output_accepted", "commit", "close", "playback_completed"])
    path(h, "turn_1", committed)
    const order = h.story.filter((word) => ["!append_evidence", "output_accepted", "commit"].includes(word))
    assert.deepStrictEqual(order, ["output_accepted", "!append_evidence", "commit"])
    h.hangUp()
  })

  it("commits while the last 200 ms are still playing", () => {
    const h = active({ llm: () => reply(10), tts: () => speech(1000) })
    h.runFor(5000)
    const commit = h.signal("commit")?.runtime_timestamp_ms ?? 0
    const completed = h.signal("playback_completed")?.runtime_timestamp_ms ?? 0
    assert.isAtMost(completed - commit, 200)
    assert.isAbove(completed, commit)
    h.hangUp()
  })

  it("does not commit before egress has accepted the last segment", () => {
    const h = active({ llm: () => reply(10), withhold: ["output_accepted", "playback_completed"] })
    h.runFor(5000)
    signals(h, ["playback_started"])
    assert.deepStrictEqual(h.commands("append_evidence"), [])
    h.release("output_accepted")
    h.settle()
    h.release("playback_completed")
    assert.deepStrictEqual(h.signals.slice(1), ["output_accepted", "commit", "close", "playback_completed"])
    h.hangUp()
  })

  it("does not commit before its evidence is appended", () => {
    const h = active({ llm: () => reply(10), withhold: ["evidence_appended"] })
    h.runFor(5000)
    signals(h, ["playback_started", "output_accepted", "playback_completed"])
    assert.strictEqual(h.commands("append_evidence").length, 1)
    h.release("evidence_appended")
    assert.deepStrictEqual(h.signals.slice(3), ["commit", "close"])
    h.hangUp()
  })

  it("is legal for a turn without any audio output", () => {
    const h = active({ llm: () => reply() })
    h.runFor(3000)
    signals(h, ["commit", "close"])
    path(h, "turn_1", committed)
    assert.strictEqual(h.commands("end_output").length, 1)
    assert.deepStrictEqual(h.commands("enqueue_output"), [])
    h.hangUp()
  })

  it("waits for every sentence, whatever the order of the reports", () => {
    const h = active({ llm: () => reply(10, 10, 10), tts: () => speech(300) })
    h.runFor(5000)
    assert.deepStrictEqual(h.signals.filter((name) => name === "output_accepted").length, 3)
    assert.isBelow(h.signals.lastIndexOf("output_accepted"), h.signals.indexOf("commit"))
    h.hangUp()
  })

  it("an append report of another turn, or one that was not asked for, commits nothing", () => {
    const h = speaking()
    h.step({ type: "evidence_appended", turn_id: "turn_1", result: "appended" })
    h.step({ type: "evidence_appended", turn_id: "turn_9", result: "appended" })
    signals(h, [])
    h.hangUp()
  })
})

describe("T7: a cancel is accepted", () => {
  it("fences in the same step, and aborts when egress has reported the fence", () => {
    const h = speaking({ withhold: ["egress_fenced"] })
    h.cancel()
    signals(h, ["cancel(by_test)"])
    assert.isBelow(h.story.indexOf("!fence_output"), h.story.indexOf("!cancel_invocation") >>> 0)
    h.settle()
    signals(h, ["cancel(by_test)", "playback_cancelled"])
    h.release("egress_fenced")
    signals(h, ["cancel(by_test)", "playback_cancelled", "abort(cancelled)", "close"])
    path(h, "turn_1", aborted)
    h.hangUp()
  })

  it("before the first sound: nothing was heard, nothing is reported as cut", () => {
    const h = active()
    h.runFor(50)
    h.cancel()
    h.runFor(3000)
    signals(h, ["cancel(by_test)", "abort(cancelled)", "close"])
    assert.deepStrictEqual(h.commands("enqueue_output"), [])
    h.hangUp()
  })

  it("is accepted once: a second cancel adds nothing", () => {
    const h = speaking({ withhold: ["egress_fenced"] })
    h.cancel()
    h.cancel({ scope: "session", reason: "again" })
    h.cancel({ turn_id: "turn_1", reason: "again" })
    h.release("egress_fenced")
    h.runFor(3000)
    assert.deepStrictEqual(h.signals.filter((name) => !name.startsWith("playback")), [
      "cancel(by_test)",
      "abort(cancelled)",
      "close"
    ])
    h.hangUp()
  })

  it("carries the scope that was asked for", () => {
    for (const scope of ["session", "turn"] as const) {
      const h = speaking()
      h.cancel({ scope })
      h.settle()
      assert.deepStrictEqual([h.signal("cancel")?.scope, h.signal("cancel")?.turn_id], [scope, "turn_1"])
      h.hangUp()
    }
  })

  it("of a node or of one provider call ends the turn that cannot go on without it", () => {
    for (const scope of ["node", "provider_invocation"] as const) {
      const h = active({ llm: () => silent })
      h.cancel(scope === "node" ? { scope, node_id: "llm" } : { scope, provider_invocation_id: "inv_1" })
      h.settle()
      signals(h, ["cancel(by_test)", "abort(cancelled)", "close"])
      assert.deepStrictEqual(
        [h.signal("cancel")?.scope, h.signal("cancel")?.node_id, h.signal("cancel")?.provider_invocation_id],
        [scope, "llm", "inv_1"]
      )
      h.hangUp()
    }
  })

  it("of something that does not run changes nothing", () => {
    const h = speaking()
    h.cancel({ turn_id: "turn_7" })
    h.cancel({ scope: "node", node_id: "nowhere" })
    h.cancel({ scope: "provider_invocation", provider_invocation_id: "inv_99" })
    signals(h, [])
    h.hangUp()
  })

  it("of another epoch is a stale diagnostic and cuts nothing (T12)", () => {
    const h = speaking()
    h.cancel({ authority_epoch: 0 })
    signals(h, ["stale_epoch_reject(input_of_another_epoch)"])
    assert.deepStrictEqual(h.commands("fence_output"), [])
    h.hangUp()
  })

  it("after the commit fences what still plays, and never aborts", () => {
    const h = active({ llm: () => reply(10), tts: () => speech(600) })
    while (h.signal("commit") === undefined) h.runFor(10)
    h.forget()
    h.cancel()
    h.runFor(3000)
    signals(h, ["cancel(by_test)", "playback_cancelled"])
    path(h, "turn_1", [])
    h.hangUp()
  })

  it("after everything was heard finds nothing to cut", () => {
    const h = active({ llm: () => reply(10), tts: () => speech(300) })
    h.runFor(3000)
    h.forget()
    h.cancel()
    h.cancel({ turn_id: "turn_1" })
    signals(h, [])
    h.hangUp()
  })

  it("of the same idempotency key is applied once, also to another turn", () => {
    const h = speaking()
    h.cancel({ idempotency_key: "k" })
    h.runFor(500)
    h.type()
    h.forget()
    h.cancel({ idempotency_key: "k" })
    signals(h, [])
    h.hangUp()
  })
})

describe("T8: authority is lost", () => {
  it.each([["revoked", 1], ["expired", 1], ["revoked", 2]] as const)(
    "%s at epoch %i: drains, aborts, closes",
    (status, epoch) => {
      const h = speaking()
      h.lease(status, epoch)
      h.settle()
      assert.deepStrictEqual(h.signals.filter((name) => !name.startsWith("playback")), [
        "deauthorized_drain(authority_lost)",
        "abort(authority_loss)",
        "close"
      ])
      path(h, "turn_1", aborted)
      assert.deepStrictEqual([...h.decisions], ["deauthorized_drain/active_turn/turn(authority_lost)"])
      h.hangUp()
    }
  )

  it("rotated to another epoch: the old epoch's turn ends, the next one opens under the new epoch", () => {
    const h = speaking()
    h.lease("rotated", 2)
    h.settle()
    signals(h, [
      "lease_rotated",
      "deauthorized_drain(authority_lost)",
      "playback_cancelled",
      "abort(authority_loss)",
      "close"
    ])
    assert.strictEqual(h.commands("fence_output")[0]?.authority_epoch, 1)
    h.forget()
    h.type()
    signals(h, ["turn_open_proposed", "turn_open"])
    assert.strictEqual(h.plan.authority_epoch, 2)
    h.hangUp()
  })

  it("noticed by egress, whose own clock saw the lease run out", () => {
    const h = speaking()
    h.step({
      type: "output_rejected",
      turn_id: "turn_1",
      authority_epoch: 1,
      reason: "lease_expired",
      samples: 320
    })
    h.settle()
    assert.deepStrictEqual(h.signals.filter((name) => !name.startsWith("playback")), [
      "deauthorized_drain(authority_lost)",
      "abort(authority_loss)",
      "close"
    ])
    h.forget()
    h.type()
    signals(h, ["turn_open_proposed", "deauthorized_drain(authority_revoked)"])
    h.hangUp()
  })

  it("a renewal, or a lease event of an older epoch, loses nothing", () => {
    const h = speaking()
    h.lease("renewed", 1)
    signals(h, [])
    h.lease("revoked", 0)
    signals(h, ["stale_epoch_reject(lease_of_an_older_epoch)"])
    h.forget()
    h.runFor(5000)
    assert.include(h.signals, "commit")
    h.hangUp()
  })

  it("after the commit silences what still plays: one voice at any instant", () => {
    const h = active({ llm: () => reply(10), tts: () => speech(600) })
    while (h.signal("commit") === undefined) h.runFor(10)
    h.forget()
    h.lease("rotated", 2)
    h.runFor(2000)
    signals(h, ["lease_rotated", "playback_cancelled"])
    path(h, "turn_1", [])
    h.hangUp()
  })
})

describe("T9: baseline evidence cannot be appended", () => {
  it("aborts and closes, and never commits", () => {
    const h = active({ llm: () => reply(10), tts: () => speech(300), evidence: "refused" })
    h.runFor(3000)
    assert.deepStrictEqual(h.signals.filter((name) => !name.startsWith("playback")), [
      "output_accepted",
      "abort(recording_evidence_unavailable)",
      "close"
    ])
    path(h, "turn_1", aborted)
    h.hangUp()
  })

  it("of a turn without audio as well", () => {
    const h = active({ llm: () => reply(), evidence: "refused" })
    h.runFor(3000)
    signals(h, ["abort(recording_evidence_unavailable)", "close"])
    h.hangUp()
  })
})

describe("T10: a failure without a legal way on", () => {
  it.each(["infrastructure_failure", "overload", "blocked", "timeout"] as const)("the model fails: %s", (outcome) => {
    const h = active({ llm: () => failing(outcome) })
    h.runFor(3000)
    signals(h, [`provider_error(${outcome})`, "abort(provider_failure)", "close"])
    path(h, "turn_1", aborted)
    assert.deepStrictEqual(h.invocations.map((facts) => facts.outcome_class), [outcome])
    h.hangUp()
  })

  it("the voice fails in the middle of a sentence", () => {
    const h = active({ llm: () => reply(10), tts: () => failing("infrastructure_failure", { results: [1600, 1600] }) })
    h.runFor(3000)
    assert.deepStrictEqual(h.signals.filter((name) => !name.startsWith("playback")), [
      "provider_error(infrastructure_failure)",
      "abort(provider_failure)",
      "close"
    ])
    h.hangUp()
  })

  it("no first result in time: warned at 800 ms, exhausted at 1000 ms, cancelled, recorded as a timeout", () => {
    const h = active({ llm: () => silent })
    h.runFor(3000)
    signals(h, [
      "budget_warning(node_budget)",
      "budget_exhausted(first_result)",
      "provider_error(timeout)",
      "abort(provider_failure)",
      "close"
    ])
    assert.deepStrictEqual(
      [h.signal("budget_warning")?.runtime_timestamp_ms, h.signal("budget_exhausted")?.runtime_timestamp_ms],
      [800, 1000]
    )
    assert.deepStrictEqual(h.invocations.map((facts) => [facts.outcome_class, facts.retryable]), [["timeout", true]])
    h.hangUp()
  })

  it("no first output within the turn's budget, although every provider answers", () => {
    const slow = { results: [10], firstMs: 990, stepMs: 990, end: "success" } as const
    const h = active({
      llm: () => slow,
      tts: () => ({ ...speech(300), firstMs: 999 }),
      pipeline: (base) => ({
        ...base,
        budgets: { ...base.budgets, turn_budget_ms: 1500 }
      })
    })
    h.runFor(3000)
    assert.deepStrictEqual(h.signals.filter((name) => !name.startsWith("budget_warning")), [
      "budget_exhausted(turn_budget)",
      "abort(turn_budget_exhausted)",
      "close"
    ])
    assert.strictEqual(h.signal("budget_exhausted")?.runtime_timestamp_ms, 1500)
    h.hangUp()
  })

  it("no first output within the path's budget", () => {
    const h = active({
      llm: () => ({ ...silent, results: [10], firstMs: 900 }),
      tts: () => silent,
      pipeline: (base) => ({ ...base, budgets: { ...base.budgets, path_budget_ms_default: 1200 } })
    })
    h.runFor(3000)
    assert.deepStrictEqual(h.signals.filter((name) => !name.startsWith("budget_warning")), [
      "budget_exhausted(path_budget)",
      "abort(turn_budget_exhausted)",
      "close"
    ])
    h.hangUp()
  })

  it("the budget ends with the first output: a long reply is not cut by it", () => {
    const h = active({ llm: () => reply(40), tts: () => speech(9000) })
    h.runFor(20_000)
    assert.deepStrictEqual([h.signals.at(-2), h.signals.includes("budget_exhausted(turn_budget)")], ["close", false])
    h.hangUp()
  })

  it.each(["disconnected", "stall"] as const)("the transport is %s", (state) => {
    const h = speaking()
    h.connection(state)
    h.settle()
    assert.deepStrictEqual(h.signals.filter((name) => !name.startsWith("playback")), [
      state,
      "abort(transport_disconnect_or_stall)",
      "close"
    ])
    h.hangUp()
  })

  it.each(["reconnecting", "silence", "connected"] as const)("%s is told and ends nothing", (state) => {
    const h = speaking()
    h.connection("silence")
    h.connection(state)
    h.forget()
    h.runFor(5000)
    assert.include(h.signals, "commit")
    h.hangUp()
  })

  it("a state that repeats is told once", () => {
    const h = KernelHarness.ready()
    for (const state of ["reconnecting", "reconnecting", "connected", "connected"] as const) h.connection(state)
    signals(h, ["reconnecting", "connected"])
    h.hangUp()
  })

  it("the caller hangs up: the turn ends, then the session", () => {
    const h = speaking()
    h.connection("ended")
    h.settle()
    assert.deepStrictEqual(h.signals.filter((name) => !name.startsWith("playback")), [
      "ended",
      "abort(transport_disconnect_or_stall)",
      "close"
    ])
    assert.deepStrictEqual(h.commands("end_session"), [])
    h.runFor(1000)
    assert.strictEqual(h.commands("end_session").length, 1)
    h.laws.finished()
  })

  it("the program stops: the open turn is cancelled in session scope", () => {
    const h = speaking()
    h.step({ type: "shutdown", reason: "interrupted" })
    h.runFor(1000)
    assert.deepStrictEqual(h.signals.filter((name) => !name.startsWith("playback")), [
      "cancel(shutdown)",
      "abort(cancelled)",
      "close"
    ])
    assert.strictEqual(h.signal("cancel")?.scope, "session")
    h.laws.finished()
  })
})

describe("the program stops while the last of a committed turn plays", () => {
  it("cuts it, and ends only when the cut has been reported", () => {
    const h = active({ llm: () => reply(10), tts: () => speech(600) })
    while (h.signal("commit") === undefined) h.runFor(10)
    h.runFor(100)
    h.forget()
    h.step({ type: "shutdown", reason: "interrupted" })
    assert.deepStrictEqual(h.commands("end_session"), [])
    h.settle()
    signals(h, ["cancel(shutdown)", "playback_cancelled"])
    assert.strictEqual(h.story.at(-1), "!end_session")
    h.laws.finished()
  })
})

describe("T11: a late event for a closed turn", () => {
  // The model was cancelled, but what it had said is still on its way.
  const late = (policy: SessionConfig["late_event_policy"]) => {
    const config: Partially<SessionConfig> = { late_event_policy: policy }
    const h = active({ config, llm: () => silent, withhold: ["invocation_ended"] })
    h.runFor(100)
    h.cancel()
    h.runFor(100)
    h.forget()
    return h
  }
  const chunk = (h: KernelHarness) =>
    h.step({ type: "segment", provider_invocation_id: "inv_1", authority_epoch: 1, handle: h.text(9) })

  it.each([["drop", "late_dropped"], ["diagnostics", "late_diagnostic"], ["remap", "late_dropped"]] as const)(
    "policy %s: one telemetry event, no signal, never reopened",
    (policy, reason) => {
      const h = late(policy)
      chunk(h)
      signals(h, [])
      path(h, "turn_1", [])
      assert.deepStrictEqual(
        h.events.map((event) => [event.lane, event.reason, event.turn_id, event.late_after_cancel]),
        [["TelemetryLane", reason, "turn_1", true]]
      )
      h.release("invocation_ended")
      assert.strictEqual(h.invocations[0]?.late_outputs_dropped, 2 - 1)
      h.hangUp()
    }
  )

  // The recogniser of a turn that has closed says something more.
  const lateFinal = (policy: SessionConfig["late_event_policy"]) => {
    const h = KernelHarness.ready({ config: { late_event_policy: policy }, withhold: ["invocation_ended"] })
    h.speak(800)
    h.runFor(1000)
    const [recognition] = h.started("stt")
    assert.ok(recognition !== undefined)
    h.cancel()
    h.settle()
    assert.include(h.signals, "close")
    h.forget()
    h.step({
      type: "transcript",
      provider_invocation_id: recognition.provider_invocation_id,
      finality: "final",
      pause_id: 2,
      authority_epoch: 1,
      handle: h.text(4)
    })
    return h
  }

  it.each([["drop", "late_dropped"], ["diagnostics", "late_diagnostic"]] as const)(
    "policy %s: a late final transcript opens nothing, and that is recorded",
    (policy, reason) => {
      const h = lateFinal(policy)
      signals(h, [])
      assert.deepStrictEqual(h.events.map((event) => [event.reason, event.turn_id]), [[reason, "turn_1"]])
      h.release("invocation_ended")
      h.hangUp()
    }
  )

  it("policy remap: a late final transcript becomes a new turn intent; the closed turn stays closed", () => {
    const h = lateFinal("remap")
    signals(h, ["turn_open_proposed", "turn_open"])
    path(h, "turn_2", opened)
    assert.deepStrictEqual(h.events[0]?.reason, "late_remapped")
    h.release("invocation_ended")
    h.hangUp()
  })

  it("epoch comes before the late policy: a late chunk of another epoch is rejected, not remapped", () => {
    const h = late("remap")
    h.lease("rotated", 2)
    h.forget()
    chunk(h)
    signals(h, ["stale_epoch_reject(input_of_another_epoch)"])
    assert.deepStrictEqual(h.events, [])
    h.release("invocation_ended")
    h.hangUp()
  })
})

describe("T12: something of another epoch", () => {
  it.each(["segment", "text_delta", "voice_chunk"] as const)("%s at ingress: rejected, nothing changes", (type) => {
    const h = speaking()
    h.step({ type, provider_invocation_id: "inv_2", authority_epoch: 0, handle: h.text(3) })
    signals(h, ["stale_epoch_reject(input_of_another_epoch)"])
    path(h, "turn_1", [])
    assert.deepStrictEqual([...h.decisions], [
      "stale_epoch_reject/scheduling_point/edge_enqueue(input_of_another_epoch)"
    ])
    assert.strictEqual(h.signal("stale_epoch_reject")?.authority_epoch, 0)
    assert.deepStrictEqual(h.commands("enqueue_output"), [])
    h.runFor(5000)
    assert.include(h.signals, "commit")
    h.hangUp()
  })

  it("a final transcript at ingress opens no turn", () => {
    const h = KernelHarness.ready({ stt: () => ({ end: "never" }) })
    h.speak(500)
    h.step({
      type: "transcript",
      provider_invocation_id: "inv_1",
      finality: "final",
      pause_id: 1,
      authority_epoch: 0,
      handle: h.text(3)
    })
    signals(h, ["stale_epoch_reject(input_of_another_epoch)"])
    h.hangUp()
  })

  it("at egress: the frame that was turned away is a diagnostic, the turn goes on", () => {
    const h = speaking()
    h.step({ type: "output_rejected", turn_id: "turn_1", authority_epoch: 0, reason: "stale_epoch", samples: 320 })
    signals(h, ["stale_epoch_reject(output_of_another_epoch)"])
    assert.deepStrictEqual([...h.decisions], [
      "stale_epoch_reject/scheduling_point/edge_dequeue(output_of_another_epoch)"
    ])
    path(h, "turn_1", [])
    h.runFor(5000)
    assert.include(h.signals, "commit")
    h.hangUp()
  })

  it("in the idle session: a diagnostic, no turn", () => {
    const h = KernelHarness.ready()
    h.step({ type: "segment", provider_invocation_id: "inv_77", authority_epoch: 5, handle: h.text(3) })
    signals(h, ["stale_epoch_reject(input_of_another_epoch)"])
    path(h, "", [])
    h.hangUp()
  })
})

describe("precedence: authority loss, accepted cancel, budget, failure, disconnect", () => {
  const causes = {
    authority: { rank: 0, reason: "authority_loss", signals: ["deauthorized_drain(authority_lost)"] },
    cancel: { rank: 1, reason: "cancelled", signals: ["cancel(by_test)"] },
    budget: { rank: 2, reason: "turn_budget_exhausted", signals: ["budget_exhausted(turn_budget)"] },
    failure: { rank: 3, reason: "provider_failure", signals: ["provider_error(overload)"] },
    disconnect: { rank: 4, reason: "transport_disconnect_or_stall", signals: ["disconnected"] }
  } as const
  type Cause = keyof typeof causes

  const bring = (h: KernelHarness, cause: Cause) => {
    switch (cause) {
      case "authority":
        return h.lease("revoked", 1)
      case "cancel":
        return h.cancel()
      case "budget": {
        const armed = h.outputs.flatMap((output) =>
          output.record === "command" && output.command.type === "arm_timer" &&
            output.command.timer === "budget.turn:turn_1"
            ? [output.command]
            : []
        )
        const generation = armed[0]?.generation ?? 0
        return void h.step({ type: "timer", timer: "budget.turn:turn_1", generation })
      }
      case "failure":
        return void h.step({
          type: "invocation_ended",
          provider_invocation_id: "inv_1",
          outcome_class: "overload",
          retryable: false,
          attempts: 1,
          late_outputs: 0
        })
      case "disconnect":
        return h.connection("disconnected")
    }
  }

  const names = Object.keys(causes) as ReadonlyArray<Cause>
  for (const first of names) {
    for (const second of names) {
      if (first === second) continue
      const wins = causes[second].rank < causes[first].rank ? second : first
      it(`${first}, then ${second} before the fence report: ${causes[wins].reason}`, () => {
        const h = active({ llm: () => silent, withhold: ["egress_fenced", "invocation_ended"] })
        bring(h, first)
        bring(h, second)
        h.release("egress_fenced")
        const expected = [
          ...causes[first].signals,
          ...causes[second].signals,
          `abort(${causes[wins].reason})`,
          "close"
        ]
        signals(h, expected)
        path(h, "turn_1", aborted)
        assert.strictEqual(h.commands("fence_output").length, 1)
        h.release("invocation_ended")
        h.hangUp()
      })
    }
  }

  it("evidence refused after a disconnect and before the fence report prevails over it", () => {
    const h = active({ llm: () => reply(), withhold: ["evidence_appended", "egress_fenced"] })
    h.runFor(500)
    h.connection("disconnected")
    h.step({ type: "evidence_appended", turn_id: "turn_1", result: "refused" })
    h.release("egress_fenced")
    signals(h, ["disconnected", "abort(recording_evidence_unavailable)", "close"])
    h.hangUp()
  })

  it("evidence refused counts as a failure: a cancel before the fence report prevails", () => {
    const h = active({ llm: () => reply(), evidence: "refused", withhold: ["egress_fenced"] })
    h.runFor(500)
    h.cancel()
    h.release("egress_fenced")
    signals(h, ["cancel(by_test)", "abort(cancelled)", "close"])
    h.hangUp()
  })

  it("a cancel between the append request and its answer wins over the commit", () => {
    const h = active({ llm: () => reply(), withhold: ["evidence_appended"] })
    h.runFor(500)
    h.cancel()
    h.release("evidence_appended")
    h.settle()
    signals(h, ["cancel(by_test)", "abort(cancelled)", "close"])
    h.hangUp()
  })

  it("after the terminal nothing can change it any more", () => {
    for (const cause of names) {
      const h = speaking()
      h.cancel()
      h.settle()
      h.forget()
      bring(h, cause)
      h.runFor(1000)
      path(h, "turn_1", [])
      assert.deepStrictEqual(h.signals.filter((name) => /^(commit|abort|close|turn_open)/u.test(name)), [])
      h.hangUp()
    }
  })
})

describe("one turn at a time", () => {
  it("a new intent cuts the open turn first, and opens in the step that closes it", () => {
    const h = speaking()
    h.type()
    h.settle()
    assert.deepStrictEqual(h.signals.filter((name) => !name.startsWith("playback")), [
      "turn_open_proposed",
      "cancel(superseded)",
      "abort(cancelled)",
      "close",
      "turn_open"
    ])
    assert.deepStrictEqual([...h.transitions], [
      ...aborted.map((step) => `turn_1: ${step}`),
      ...opened.map((step) => `turn_2: ${step}`)
    ])
    h.hangUp()
  })

  it("of several intents that wait only the last one opens; each of the others is rejected", () => {
    const h = speaking({ withhold: ["egress_fenced"] })
    h.type()
    h.type()
    h.type()
    h.release("egress_fenced")
    assert.deepStrictEqual(
      h.transitions.filter((step) => step.includes("Opening ->") || /-(reject|turn_open)->/u.test(step)),
      [
        "turn_2: Opening -reject-> Idle",
        "turn_3: Opening -reject-> Idle",
        "turn_4: Opening -turn_open-> Active"
      ]
    )
    h.hangUp()
  })

  it("an intent that waits does not open once the caller is gone", () => {
    for (const end of ["ended", "shutdown"] as const) {
      const h = speaking({ withhold: ["egress_fenced"] })
      h.type()
      if (end === "ended") h.connection("ended")
      else h.step({ type: "shutdown", reason: "stop" })
      h.release("egress_fenced")
      h.runFor(5000)
      assert.deepStrictEqual(h.signals.filter((name) => name === "turn_open"), [])
      assert.strictEqual(h.signals.filter((name) => name.startsWith("reject")).length, 1)
      h.laws.finished()
    }
  })

  it("nothing opens after the end, and nothing is listened to", () => {
    const h = speaking({ withhold: ["egress_fenced"] })
    h.connection("ended")
    h.type()
    h.speak(300)
    h.release("egress_fenced")
    h.runFor(5000)
    assert.deepStrictEqual(h.signals.filter((name) => name === "turn_open"), [])
    assert.deepStrictEqual(h.started("stt"), [])
    h.laws.finished()
  })

  it("a session without any turn ends at once", () => {
    const h = KernelHarness.ready()
    h.connection("ended")
    assert.deepStrictEqual(h.story, ["ended", "!end_session"])
    h.laws.finished()
  })
})
