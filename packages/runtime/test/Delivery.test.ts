// Holds I-PLAY-ID, I-PLAY-ONCE.
import { assert, describe, it } from "@effect/vitest"
import type { InputOf } from "@rspp/contracts/SessionInput"
import { KernelHarness, reply, speech } from "./support/KernelHarness.ts"
import type { HarnessOptions } from "./support/KernelHarness.ts"

/** A turn of two sentences, of which egress has told nothing yet. */
const enqueued = (options: HarnessOptions = {}): KernelHarness => {
  const h = KernelHarness.ready({
    llm: () => reply(20, 30),
    tts: () => speech(400),
    withhold: [
      "egress_dequeued",
      "output_accepted",
      "playback_started",
      "playback_completed",
      "playback_cancelled",
      "egress_fenced"
    ],
    ...options
  })
  h.type()
  h.runFor(900)
  assert.strictEqual(h.commands("end_output").length, 1)
  h.forget()
  return h
}

const report = (
  h: KernelHarness,
  type: "output_accepted" | "playback_started" | "playback_completed",
  segment: number,
  samples = 6400
) => {
  const about = { turn_id: "turn_1", segment_id: `turn_1_seg_${segment}` } as const
  h.step(type === "playback_started" ? { type, ...about } : { type, ...about, samples })
}

describe("delivery", () => {
  it("is told by segment, with the call that made its speech", () => {
    const h = enqueued()
    report(h, "output_accepted", 1)
    report(h, "playback_started", 1)
    report(h, "playback_completed", 1)
    assert.deepStrictEqual([...h.signals], ["output_accepted", "playback_started", "playback_completed"])
    assert.deepStrictEqual(
      [h.signal("playback_started")?.provider_invocation_id, h.signal("playback_started")?.emitted_by],
      ["inv_2", "RK-22"]
    )
    h.release("egress_fenced")
    h.hangUp()
  })

  it("matches by id: a lost report of one segment does not shift the others", () => {
    const h = enqueued()
    report(h, "output_accepted", 2)
    report(h, "playback_completed", 2)
    assert.deepStrictEqual([...h.signals], ["output_accepted", "playback_completed"])
    assert.strictEqual(h.signal("playback_completed")?.provider_invocation_id, "inv_3")
    assert.deepStrictEqual(h.commands("append_evidence"), [])
    report(h, "output_accepted", 1)
    assert.strictEqual(h.commands("append_evidence").length, 1)
    h.hangUp()
  })

  it("a repeated report, or one of an unknown turn or segment, is told to nobody", () => {
    const h = enqueued()
    for (const type of ["output_accepted", "playback_started", "playback_completed"] as const) {
      report(h, type, 1)
      report(h, type, 1)
      report(h, type, 9)
      h.step({ type: "playback_started", turn_id: "turn_9", segment_id: "turn_9_seg_1" })
    }
    assert.deepStrictEqual([...h.signals], ["output_accepted", "playback_started", "playback_completed"])
    h.hangUp()
  })

  it("of a segment that was cut: it neither completes nor starts any more", () => {
    const h = enqueued()
    report(h, "playback_started", 1)
    h.cancel()
    h.step({ type: "playback_cancelled", turn_id: "turn_1", segment_id: "turn_1_seg_1", samples: 100 })
    report(h, "playback_completed", 1)
    report(h, "playback_started", 1)
    assert.deepStrictEqual([...h.signals], ["playback_started", "cancel(by_test)", "playback_cancelled"])
    h.release("egress_fenced")
    h.hangUp()
  })

  it("acceptance that was on its way when the fence went up is told to nobody, and commits nothing", () => {
    const h = enqueued()
    h.cancel()
    report(h, "output_accepted", 1)
    report(h, "output_accepted", 2)
    assert.deepStrictEqual([...h.signals], ["cancel(by_test)"])
    assert.deepStrictEqual(h.commands("append_evidence"), [])
    h.release("egress_fenced")
    assert.deepStrictEqual(h.signals.slice(-2), ["abort(cancelled)", "close"])
    report(h, "output_accepted", 1)
    assert.strictEqual(h.signals.at(-1), "close")
    h.hangUp()
  })

  it("such an acceptance was told by kernels of before: a replay of theirs tells it", () => {
    const h = enqueued({ header: { behaviour_flags: [] } })
    h.cancel()
    report(h, "output_accepted", 1)
    assert.deepStrictEqual([...h.signals], ["cancel(by_test)", "output_accepted"])
    h.release("egress_fenced")
    h.hangUp()
  })

  it("goes on after the close, and opens nothing again", () => {
    const h = enqueued()
    report(h, "output_accepted", 1)
    report(h, "output_accepted", 2)
    h.settle()
    assert.include(h.signals, "close")
    h.forget()
    report(h, "playback_started", 2)
    report(h, "playback_completed", 2)
    assert.deepStrictEqual([...h.signals], ["playback_started", "playback_completed"])
    assert.deepStrictEqual([...h.transitions], [])
    h.hangUp()
  })

  it("follows the last four closed turns; what is older is forgotten, not mixed up", () => {
    const h = KernelHarness.ready({ llm: () => reply(10), tts: () => speech(200), withhold: ["playback_completed"] })
    for (let i = 0; i < 6; i++) {
      h.type()
      h.runFor(2000)
      h.cancel({ idempotency_key: `${i}` })
      h.runFor(100)
    }
    h.forget()
    h.release("playback_completed")
    for (const signal of h.signals) assert.match(signal, /^playback/u)
    h.hangUp()
  })
})

describe("the conversation remembers what was heard", () => {
  const lines = (h: KernelHarness) =>
    h.started("llm").at(-1)?.conversation?.map(({ parts, role }) =>
      `${role}:${parts.map(({ chars }) => chars).join("+")}`
    )
  const cut = (samples: number): InputOf<"playback_cancelled"> => ({
    type: "playback_cancelled",
    turn_id: "turn_1",
    segment_id: "turn_1_seg_1",
    samples
  })

  it("all of it, once all of it was played", () => {
    const h = KernelHarness.ready({ llm: () => reply(20, 30), tts: () => speech(400) })
    h.type(7)
    h.runFor(4000)
    h.type(3)
    assert.deepStrictEqual(lines(h), ["user:7", "assistant:20+30", "user:3"])
    h.hangUp()
  })

  it("of a reply that was cut: as much as was heard, in proportion to its samples", () => {
    const h = enqueued({ llm: () => reply(40) })
    report(h, "playback_started", 1)
    h.cancel()
    h.step(cut(1600))
    h.release("egress_fenced")
    h.type(3)
    // 1600 of 6400 samples: a quarter of 40 characters.
    assert.deepStrictEqual(lines(h), ["user:5", "assistant:10", "user:3"])
    h.hangUp()
  })

  it("also when the cut is reported after the fence: the next line knows", () => {
    const h = enqueued({ llm: () => reply(40) })
    report(h, "playback_started", 1)
    h.cancel()
    h.release("egress_fenced")
    h.step(cut(3200))
    h.type(3)
    assert.deepStrictEqual(lines(h), ["user:5", "assistant:20", "user:3"])
    h.hangUp()
  })

  it("of a reply that superseded words cut: the model that answers them is told what was heard", () => {
    const h = KernelHarness.ready({ llm: () => reply(40), tts: () => speech(4000) })
    h.type(5)
    h.runFor(1180)
    h.type(3)
    h.settle()
    // 1000 of 4000 ms were played.
    assert.deepStrictEqual(lines(h), ["user:5", "assistant:10", "user:3"])
    h.hangUp()
  })

  it("nothing of a reply of which nothing was heard", () => {
    const h = enqueued({ llm: () => reply(40) })
    h.cancel()
    h.release("egress_fenced")
    h.type(3)
    assert.deepStrictEqual(lines(h), ["user:5", "user:3"])
    h.hangUp()
  })

  it("never more than was said, whatever egress claims", () => {
    const h = enqueued({ llm: () => reply(40) })
    h.cancel()
    h.step(cut(9_999_999))
    h.release("egress_fenced")
    h.type(3)
    assert.deepStrictEqual(lines(h), ["user:5", "assistant:40", "user:3"])
    h.hangUp()
  })
})
