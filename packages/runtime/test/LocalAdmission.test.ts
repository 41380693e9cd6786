// Holds I-ADMIT-LOCAL, I-ADMIT-RESERVE.
import { assert, describe, it } from "@effect/vitest"
import { KernelHarness, reply } from "./support/KernelHarness.ts"

describe("a session's quota", () => {
  it.each([1, 2, 5])("of %i turns admits exactly that many, each decision on record", (max_turns_per_session) => {
    const h = KernelHarness.ready({
      llm: () => reply(),
      snapshots: { admission_policy_snapshot: { max_turns_per_session } }
    })
    for (let i = 0; i < 7; i++) {
      h.type()
      h.runFor(1000)
    }
    assert.strictEqual(h.signals.filter((name) => name === "turn_open").length, max_turns_per_session)
    assert.deepStrictEqual(h.decisions, [
      ...Array.from({ length: max_turns_per_session }, () => "admit/pre_turn/turn(within_quota)"),
      ...Array.from({ length: 7 - max_turns_per_session }, () => "reject/pre_turn/turn(quota_used_up)")
    ])
    h.hangUp()
  })

  it("counts accepted turns only: an intent that was turned away uses nothing up", () => {
    const h = KernelHarness.ready({
      llm: () => reply(),
      snapshots: { admission_policy_snapshot: { max_turns_per_session: 1 } }
    })
    h.type(5, 9)
    h.type(5, 9)
    h.forget()
    h.type()
    assert.deepStrictEqual([...h.signals], ["turn_open_proposed", "turn_open"])
    h.hangUp()
  })

  it("counts a turn that was aborted: reserved before it opened", () => {
    const h = KernelHarness.ready({ snapshots: { admission_policy_snapshot: { max_turns_per_session: 1 } } })
    h.type()
    h.cancel()
    h.runFor(100)
    h.forget()
    h.type()
    assert.deepStrictEqual([...h.signals], ["turn_open_proposed", "reject(quota_used_up)"])
    h.hangUp()
  })

  it("of a burst in one instant admits no more than the quota", () => {
    const h = KernelHarness.ready({ snapshots: { admission_policy_snapshot: { max_turns_per_session: 2 } } })
    for (let i = 0; i < 20; i++) {
      h.type()
      h.settle()
    }
    assert.strictEqual(h.signals.filter((name) => name === "turn_open").length, 2)
    h.hangUp()
  })

  it("can be raised and lowered while the session runs", () => {
    const h = KernelHarness.ready({
      llm: () => reply(),
      snapshots: { admission_policy_snapshot: { max_turns_per_session: 1 } }
    })
    const tries = (expected: string) => {
      h.forget()
      h.type()
      h.runFor(1000)
      assert.strictEqual(h.signals[1], expected)
    }
    tries("turn_open")
    tries("reject(quota_used_up)")
    h.snapshots({ admission_policy_snapshot: { max_turns_per_session: 2, over_quota: "defer", reason: "busy" } })
    tries("turn_open")
    tries("defer(busy)")
    h.snapshots({ admission_policy_snapshot: { max_turns_per_session: 0 } })
    tries("reject(quota_used_up)")
    h.hangUp()
  })
})
