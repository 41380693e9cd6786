import { assert, describe, it } from "@effect/vitest"
import { ended, failing, KernelHarness, reply, silent, speech } from "./support/KernelHarness.ts"

/** What users of this field reported (SCENARIOS.md), as far as the kernel alone can show it. */
describe("S01: a reply that is cut before its first frame played", () => {
  it("at any moment closes the turn once, and the next one plays to its end", () => {
    for (let at = 0; at <= 400; at += 7) {
      const h = KernelHarness.ready({ llm: () => reply(20, 20), tts: () => speech(300) })
      h.type()
      h.runFor(at)
      h.cancel()
      h.runFor(300)
      assert.deepStrictEqual(h.signalsOf("turn_1").filter((name) => /^(abort|commit|close)/u.test(name)), [
        "abort(cancelled)",
        "close"
      ])
      h.type()
      h.runFor(3000)
      assert.deepStrictEqual(h.signalsOf("turn_2"), [
        "turn_open",
        "playback_started",
        "output_accepted",
        "playback_completed",
        "playback_started",
        "output_accepted",
        "commit",
        "close",
        "playback_completed"
      ], `cut at ${at} ms`)
      assert.strictEqual(h.egress.afterFence, 0)
      h.hangUp()
    }
  })
})

describe("S02: the reply after a barge-in", () => {
  it("delivers all of its chunks, and completes only when all of it was accepted", () => {
    const h = KernelHarness.ready({ llm: () => reply(20), tts: () => speech(2000) })
    h.type()
    h.runFor(800)
    h.cancel()
    h.runFor(50)
    h.forget()
    h.type()
    h.runFor(6000)
    assert.strictEqual(h.commands("enqueue_output").length, 20)
    assert.isBelow(h.signals.indexOf("output_accepted"), h.signals.indexOf("playback_completed"))
    h.hangUp()
  })
})

describe("S03: a resume after a false interruption, and a clear", () => {
  it("nothing that was cleared returns, whichever way they are shifted", () => {
    for (let shift = -20; shift <= 20; shift++) {
      const h = KernelHarness.ready({
        llm: () => reply(20),
        tts: () => speech(4000),
        stt: () => ({ end: "never" }),
        config: { barge_in: { false_alarm_ms: 400 } }
      })
      h.type()
      h.runFor(800)
      h.edge("speech_started", h.now)
      h.runFor(100)
      h.edge("speech_ended", h.now)
      h.runFor(400 + shift)
      h.cancel()
      h.runFor(1000)
      // The laws of the harness hold every resume and every enqueue against the fence.
      assert.strictEqual(h.signals.filter((name) => name === "abort(cancelled)").length, 1)
      h.hangUp()
    }
  })
})

describe("S04: the transport's queue after a cut", () => {
  it("the fence is commanded in the step that accepts the cut, before anything else of it", () => {
    const h = KernelHarness.ready({ llm: () => reply(20), tts: () => speech(4000) })
    h.type()
    h.runFor(800)
    h.forget()
    h.cancel()
    assert.deepStrictEqual(h.story.slice(0, 2), ["cancel(by_test)", "!fence_output"])
    h.hangUp()
  })
})

describe("S05: last turn's sentence in this turn", () => {
  it("a chunk belongs to the turn of its call for ever: late sentences and speech never leave", () => {
    const h = KernelHarness.ready({
      llm: (_, call) => call === 1 ? silent : reply(20),
      tts: () => speech(300),
      withhold: ["invocation_ended"]
    })
    h.type()
    h.runFor(50)
    h.type()
    h.runFor(20)
    h.forget()
    h.step({ type: "segment", provider_invocation_id: "inv_1", authority_epoch: 1, handle: h.text(99) })
    h.step({ type: "voice_chunk", provider_invocation_id: "inv_1", authority_epoch: 1, handle: h.voice(9999) })
    h.release("invocation_ended")
    h.runFor(3000)
    assert.deepStrictEqual(h.started("tts").map((start) => [start.turn_id, start.text?.length]), [["turn_2", 20]])
    assert.deepStrictEqual([...new Set(h.commands("enqueue_output").map((command) => command.turn_id))], ["turn_2"])
    assert.strictEqual(h.events.filter((event) => event.reason === "late_dropped").length, 2)
    h.hangUp()
  })
})

describe("S06: clearing a finished segment", () => {
  it("does not touch a live one: the end of the first sentence's call and its playback leave the second alone", () => {
    const h = KernelHarness.ready({ llm: () => reply(20, 30), tts: () => speech(1000) })
    h.type()
    h.runFor(5000)
    assert.strictEqual(
      h.commands("enqueue_output").filter(({ segment_id }) => segment_id === "turn_1_seg_2").length,
      10
    )
    assert.strictEqual(h.signals.filter((name) => name === "playback_completed").length, 2)
    h.hangUp()
  })

  it("the fence of a turn that has played out does not touch the next one", () => {
    const h = KernelHarness.ready({ llm: () => reply(20), tts: () => speech(600) })
    h.type()
    while (h.signal("commit") === undefined) h.runFor(10)
    h.type()
    h.runFor(3000)
    assert.include(h.signalsOf("turn_2"), "playback_completed")
    h.hangUp()
  })
})

describe("S07: a reply that was never promoted", () => {
  it("no work is started and no output leaves before turn_open", () => {
    const h = KernelHarness.ready({ stt: () => ({ firstMs: 10 }) })
    h.speak(800)
    h.runFor(20)
    assert.deepStrictEqual(h.started("llm"), [])
    h.runFor(2000)
    assert.isBelow(h.story.indexOf("turn_open"), h.story.indexOf("!enqueue_output"))
    h.hangUp()
  })
})

describe("S08: several replies to one user turn", () => {
  it("one utterance gives one turn and one model call, also when its final is repeated", () => {
    const h = KernelHarness.ready({ llm: () => reply(10), tts: () => speech(200) })
    h.speak(800)
    h.runFor(40)
    for (const pause_id of [1, 1, 2]) {
      h.step({
        type: "transcript",
        provider_invocation_id: "inv_1",
        finality: "final",
        pause_id,
        authority_epoch: 1,
        handle: h.text(6)
      })
    }
    h.runFor(4000)
    assert.strictEqual(h.signals.filter((name) => name === "turn_open").length, 1)
    assert.strictEqual(h.started("llm").length, 1)
    h.hangUp()
  })
})

describe("S09: a late final transcript", () => {
  it.each([["drop", 1], ["diagnostics", 1], ["remap", 2]] as const)(
    "under policy %s: %i turns, and the decision is recorded",
    (policy, turns) => {
      const h = KernelHarness.ready({
        config: { late_event_policy: policy },
        llm: () => reply(),
        withhold: ["invocation_ended"]
      })
      h.speak(800)
      h.runFor(300)
      h.step({
        type: "transcript",
        provider_invocation_id: "inv_1",
        finality: "final",
        pause_id: 2,
        authority_epoch: 1,
        handle: h.text(6)
      })
      assert.strictEqual(h.signals.filter((name) => name === "turn_open_proposed").length, turns)
      assert.strictEqual(h.events.filter((event) => event.reason?.startsWith("late_")).length, 1)
      h.hangUp()
    }
  )
})

describe("S10: words that were never heard", () => {
  it("the next model call is told what was heard of a reply that the caller cut, no more", () => {
    const h = KernelHarness.ready({
      llm: () => reply(100, 100),
      tts: () => speech(2000),
      config: { barge_in: { min_ms: 200 } }
    })
    h.type()
    h.runFor(1180)
    h.speak(800)
    h.runFor(1000)
    const said = h.started("llm").at(-1)?.conversation?.find(({ role }) => role === "assistant")
    // Playback began at 180 ms and was paused at 1230 ms: 1050 of 2000 ms of the first sentence, nothing of the second.
    assert.deepStrictEqual(said?.parts.map(({ chars }) => chars), [52])
    h.hangUp()
  })
})

describe("S11: the last words before the caller hung up", () => {
  it("end in exactly one recorded outcome, whenever the line goes", () => {
    for (let at = 0; at < 1500; at += 50) {
      const h = KernelHarness.ready({ llm: () => reply(), stt: () => ({ firstMs: 120 }) })
      h.runFor(50)
      h.edge("speech_started", 0)
      if (at > 700) {
        h.runFor(700)
        h.edge("speech_ended", h.now - 250)
        h.runFor(at - 700)
      } else h.runFor(at)
      h.connection("ended")
      h.runFor(5000)
      const outcomes = h.signals.filter((name) => name === "turn_open" || name.startsWith("reject"))
      assert.strictEqual(outcomes.length, 1, `hung up after ${at} ms: ${h.signals.join()}`)
      h.laws.finished()
    }
  })
})

describe("S17: a model that is connected but silent", () => {
  it("is given up at its first-output budget, and that is recorded", () => {
    const h = KernelHarness.ready({ llm: () => silent })
    h.type()
    h.runFor(20_000)
    assert.include(h.signals, "budget_exhausted(first_result)")
    assert.include(h.signals, "abort(provider_failure)")
    assert.deepStrictEqual(
      h.invocations.map(({ outcome_class, total_latency_ms }) => [outcome_class, total_latency_ms]),
      [
        ["timeout", 1005]
      ]
    )
    h.hangUp()
  })

  it("is switched where the plan allows it, within the turn's own budget", () => {
    const h = KernelHarness.ready({
      llm: (_, call) => call === 1 ? silent : reply(10),
      tts: () => speech(200),
      pipeline: (base) => ({
        ...base,
        allowed_adaptive_actions: ["provider_switch"],
        provider_bindings: { ...base.provider_bindings, "llm.fallback": "test/second" }
      })
    })
    h.type()
    h.runFor(5000)
    assert.includeMembers([...h.signals], ["provider_switch(timeout)", "commit"])
    assert.deepStrictEqual(h.invocations.map(({ retry_decision }) => retry_decision), [
      "provider_switch",
      "none",
      "none"
    ])
    h.hangUp()
  })

  it("a call that declares its own cap has that one", () => {
    const h = KernelHarness.ready({ llm: () => silent, header: { provider_caps: { "test/mind": 300 } } })
    h.type()
    h.runFor(5000)
    assert.strictEqual(h.signal("budget_exhausted")?.runtime_timestamp_ms, 300)
    assert.strictEqual(h.started("llm")[0]?.cap_ms, 300)
    h.hangUp()
  })

  it("two silent calls and the turn's budget due in the same instant: the budget prevails", () => {
    const h = KernelHarness.ready({
      llm: () => silent,
      pipeline: (base) => ({ ...base, allowed_adaptive_actions: ["retry"] })
    })
    h.type()
    h.runFor(5000)
    assert.strictEqual(h.signal("abort")?.reason, "turn_budget_exhausted")
    assert.strictEqual(h.signal("abort")?.runtime_timestamp_ms, 2000)
    h.hangUp()
  })
})

describe("S21: one timebase", () => {
  it("times are whole, never negative, never mixed: session time and wall time differ by the start alone", () => {
    const h = KernelHarness.ready({
      llm: () => failing("overload"),
      header: { wall_clock_start_ms: 1_800_000_000_000 }
    })
    // The media clock is 200 s ahead of the session's.
    h.runFor(100)
    h.frame(200_000)
    h.step({ type: "voice_activity", edge: "speech_started", sample_index: 0 })
    h.runFor(600)
    h.step({ type: "voice_activity", edge: "speech_ended", sample_index: 100 })
    h.type()
    h.runFor(10_000)
    for (const output of h.outputs) {
      if (output.record === "signal") {
        assert.strictEqual(
          output.signal.wall_clock_timestamp_ms,
          1_800_000_000_000 + output.signal.runtime_timestamp_ms
        )
      }
      if (output.record === "invocation") {
        const { final_latency_ms, total_latency_ms } = output.invocation
        assert.isTrue(final_latency_ms >= 0 && total_latency_ms >= 0 && total_latency_ms < 60_000)
      }
      if (output.record === "command" && output.command.type === "arm_timer") {
        assert.isTrue(Number.isInteger(output.command.due_ms) && output.command.due_ms >= output.runtime_timestamp_ms)
      }
    }
    h.hangUp()
  })

  it("a call that ends in the instant in which it started has taken no time", () => {
    const h = KernelHarness.ready({ llm: () => silent })
    h.type()
    h.step(ended("inv_1", "success"))
    assert.deepStrictEqual(
      h.invocations.map(({ final_latency_ms, total_latency_ms }) => [final_latency_ms, total_latency_ms]),
      [
        [0, 0]
      ]
    )
    h.hangUp()
  })
})
