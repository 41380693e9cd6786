// Holds I-ID-STABLE, I-IDEMPOTENT.
import { assert, describe, it } from "@effect/vitest"
import { Identity, rememberedKeys } from "@rspp/runtime/events/Identity"
import { Effect } from "effect"
import { KernelHarness, openKernel, reply, speech } from "./support/KernelHarness.ts"

const identity = Effect.runSync(Effect.provide(Identity, Identity.layer))

describe("ids", () => {
  it("are functions of counters: a second session of the same inputs has the same ones", () => {
    const live = () => {
      const h = KernelHarness.ready()
      h.speak(700)
      h.runFor(1500)
      h.speak(900)
      h.runFor(5000)
      h.hangUp()
      return h.outputs
    }
    assert.deepStrictEqual(live(), live())
  })

  it("do not depend on the session: only idempotency keys name it", () => {
    const live = (session_id: string) => {
      const h = KernelHarness.ready({ header: { session_id } })
      h.type()
      h.runFor(3000)
      h.hangUp()
      return JSON.stringify(h.outputs)
    }
    assert.strictEqual(live("s1").replaceAll("s1", "?"), live("s2").replaceAll("s2", "?"))
    assert.notStrictEqual(live("s1"), live("s2"))
  })

  it("of events name what caused them: the input of the step", () => {
    const h = KernelHarness.ready()
    const before = h.session.nextSequence()
    h.type()
    for (const output of h.since) {
      if (output.record === "signal") assert.strictEqual(output.signal.causal_parent_id, `evt_${before}`)
    }
    h.hangUp()
  })

  it("of calls, segments and turns are unique in a session", () => {
    const h = KernelHarness.ready({ llm: () => reply(5, 5, 5), tts: () => speech(100) })
    for (let i = 0; i < 5; i++) {
      h.type()
      h.runFor(3000)
    }
    const calls = h.commands("start_invocation").map((start) => start.provider_invocation_id)
    const segments = h.commands("end_segment").map((end) => end.segment_id)
    assert.strictEqual(new Set(calls).size, calls.length)
    assert.strictEqual(new Set(segments).size, 15)
    h.hangUp()
  })
})

describe("idempotency", () => {
  it("applies an input that repeats a key once", () => {
    const h = KernelHarness.ready()
    const handle = h.text(5)
    h.step({ type: "typed_text", handle })
    h.step({ type: "typed_text", handle })
    assert.deepStrictEqual([...h.signals], ["turn_open_proposed", "turn_open"])
    h.hangUp()
  })

  it("a stale cancel does not use up its key", () => {
    const h = KernelHarness.ready()
    h.type()
    h.forget()
    h.cancel({ idempotency_key: "k", authority_epoch: 0 })
    h.cancel({ idempotency_key: "k", authority_epoch: 1 })
    assert.deepStrictEqual([...h.signals], ["stale_epoch_reject(input_of_another_epoch)", "cancel(by_test)"])
    h.hangUp()
  })

  it("remembers a bounded number of keys, the oldest forgotten first", () => {
    const keys = identity.openKeys()
    assert.isTrue(keys.firstTime("first"))
    for (let i = 0; i < rememberedKeys - 1; i++) assert.isTrue(keys.firstTime(`k${i}`))
    assert.isFalse(keys.firstTime("first"))
    assert.isTrue(keys.firstTime("one more"))
    assert.isTrue(keys.firstTime("first"))
    assert.isFalse(keys.firstTime("one more"))
  })

  it("without a key nothing is a repetition", () => {
    const keys = identity.openKeys()
    assert.deepStrictEqual([keys.firstTime(undefined), keys.firstTime(undefined)], [true, true])
  })

  it("the key of a call names the work, not the attempt", () => {
    assert.strictEqual(identity.invocationKey("s", "w"), identity.invocationKey("s", "w"))
    assert.notStrictEqual(identity.invocationKey("s", "w"), identity.invocationKey("s", "v"))
    assert.notStrictEqual(identity.invocationKey("s", "w"), identity.invocationKey("t", "w"))
  })
})

describe("two sessions of one kernel", () => {
  it("share nothing", () => {
    const alone = KernelHarness.ready()
    alone.type()
    alone.runFor(3000)
    const a = KernelHarness.ready()
    const other = openKernel(a.header)
    a.type()
    other.step({ type: "connection", state: "connected" }, 5)
    other.step({ type: "shutdown", reason: "stop" }, 6)
    a.runFor(3000)
    assert.deepStrictEqual(a.outputs, alone.outputs)
    a.hangUp()
    alone.hangUp()
  })
})
