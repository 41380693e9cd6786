// Holds I-EDGE-BOUND.
import { assert, describe, it } from "@effect/vitest"
import type { EdgeBufferPolicy } from "@rspp/contracts/TurnPlan"
import { EdgeAccount } from "@rspp/runtime/flow/EdgeBuffer"
import { Watermarks } from "@rspp/runtime/flow/Watermarks"
import { Effect } from "effect"
import { ended, KernelHarness, reply, silent, speech } from "./support/KernelHarness.ts"
import type { HarnessOptions } from "./support/KernelHarness.ts"
import { literalPipeline, segmentEdge, voiceEdge } from "./support/LiteralSession.ts"
import { Dice } from "./support/RandomWorld.ts"

const policyOf = (edgeId: string, change: Partial<EdgeBufferPolicy> = {}): EdgeBufferPolicy => {
  const policy = literalPipeline().edge_buffer_policies[edgeId]
  if (policy === undefined) throw new Error(edgeId)
  return { ...policy, ...change }
}

const edge = (edgeId: string, change: Partial<EdgeBufferPolicy>): HarnessOptions => ({
  pipeline: (pipeline) => ({
    ...pipeline,
    edge_buffer_policies: { ...pipeline.edge_buffer_policies, [edgeId]: policyOf(edgeId, change) }
  })
})

const never = { queue_items: { high: 1000, low: 0 } }

describe("the books of an edge", () => {
  it("stay within items, bytes and milliseconds under each strategy, whatever is offered and taken", () => {
    for (const strategy of ["block", "drop", "merge", "sample", "latest_only"] as const) {
      for (let seed = 1; seed <= 200; seed++) {
        const dice = new Dice(seed)
        const policy = policyOf(voiceEdge, { strategy, max_queue_items: 5, max_queue_bytes: 1000, max_queue_ms: 400 })
        const account = new EdgeAccount(voiceEdge, policy)
        for (let i = 0; i < 60; i++) {
          if (dice.chance(0.6)) account.offer(dice.below(1300), dice.below(500))
          else account.take(dice.below(3), dice.below(400), dice.below(200))
          const { bytes, items, ms } = account.fill
          assert.isTrue(
            items >= 0 && bytes >= 0 && ms >= 0 && items <= 5 && bytes <= 1000 && ms <= 400,
            `${strategy}, seed ${seed}: ${items} items, ${bytes} bytes, ${ms} ms`
          )
        }
      }
    }
  })

  it("never forget what waits where nothing can take its place, under any strategy", () => {
    for (const strategy of ["block", "drop", "sample", "latest_only"] as const) {
      const account = new EdgeAccount(voiceEdge, policyOf(voiceEdge, { strategy, max_queue_items: 3 }))
      let waiting = 0
      for (let i = 0; i < 20; i++) {
        const offer = account.offer(10, 1, true)
        if (offer === "accepted") waiting += 1
        assert.notStrictEqual(offer, "replace", strategy)
        assert.strictEqual(account.fill.items, waiting, strategy)
      }
      assert.strictEqual(waiting, 3, strategy)
    }
  })

  it("take an item that just fits, to the last byte and millisecond", () => {
    const account = new EdgeAccount(
      voiceEdge,
      policyOf(voiceEdge, { max_queue_items: 2, max_queue_bytes: 10, max_queue_ms: 10 })
    )
    assert.deepStrictEqual([account.offer(6, 6), account.offer(4, 4), account.offer(0, 0)], [
      "accepted",
      "accepted",
      "block"
    ])
  })

  it("never make an item wait that could not fit even when the edge is empty", () => {
    const account = new EdgeAccount(voiceEdge, policyOf(voiceEdge, { max_queue_bytes: 10, max_queue_ms: 10 }))
    assert.deepStrictEqual([account.offer(11, 1), account.offer(1, 11)], ["drop", "drop"])
    assert.deepStrictEqual(account.fill, { items: 0, bytes: 0, ms: 0 })
  })
})

describe("watermarks", () => {
  const watermarks = Effect.runSync(Effect.provide(Watermarks, Watermarks.layer))
  const fill = (items: number, ms = 0) => ({ items, bytes: 0, ms })

  it("have hysteresis: after high only low can come", () => {
    const gauge = watermarks.open({ queue_items: { high: 3, low: 1 } })
    const seen = [1, 2, 3, 4, 2, 3, 1, 0, 2, 3].map((items) => gauge.observe(fill(items)))
    assert.deepStrictEqual(seen, [
      undefined,
      undefined,
      "high",
      undefined,
      undefined,
      undefined,
      "low",
      undefined,
      undefined,
      "high"
    ])
  })

  it("are high when either measure is, and low only when both are", () => {
    const gauge = watermarks.open({ queue_items: { high: 3, low: 1 }, queue_ms: { high: 100, low: 50 } })
    assert.deepStrictEqual(
      [gauge.observe(fill(1, 100)), gauge.observe(fill(2, 0)), gauge.observe(fill(1, 60)), gauge.observe(fill(1, 50))],
      ["high", undefined, undefined, "low"]
    )
  })
})

describe("speech is held, never shed", () => {
  it("a voice far ahead of playback is paused at the high mark and goes on at the low one", () => {
    const h = KernelHarness.ready({ llm: () => reply(40), tts: () => speech(30_000) })
    h.type()
    h.runFor(60_000)
    assert.includeMembers([...h.signals], [
      "watermark(high)",
      "flow_xoff(high_watermark)",
      "watermark(low)",
      "flow_xon"
    ])
    assert.isAtLeast(h.commands("pause_invocation").length, 1)
    assert.strictEqual(h.commands("enqueue_output").length, 300)
    assert.include(h.signals, "commit")
    h.hangUp()
  })

  it("at most what the edge may hold waits before egress, however fast the voice is", () => {
    const h = KernelHarness.ready({ llm: () => reply(40), tts: () => ({ ...speech(60_000), stepMs: 0 }) })
    h.type()
    let worst = 0
    for (let i = 0; i < 700; i++) {
      h.runFor(100)
      const enqueued = h.commands("enqueue_output").length
      const dequeued = h.inputs.filter(({ input }) => input.type === "egress_dequeued").length
      worst = Math.max(worst, (enqueued - dequeued) * 100)
    }
    assert.isAbove(worst, 10_000)
    assert.isAtMost(worst, 20_000)
    h.hangUp()
  })

  it("at most what the edge may hold waits before egress where the policy keeps the latest, or samples, too", () => {
    for (const strategy of ["latest_only", "sample", "drop"] as const) {
      const h = KernelHarness.ready({
        llm: () => reply(40),
        tts: () => ({ ...speech(10_000), stepMs: 30 }),
        ...edge(voiceEdge, { strategy, max_queue_items: 4, watermarks: never })
      })
      h.type()
      let worst = 0
      for (let i = 0; i < 200; i++) {
        h.runFor(20)
        const enqueued = h.commands("enqueue_output").length
        worst = Math.max(worst, enqueued - h.inputs.filter(({ input }) => input.type === "egress_dequeued").length)
      }
      assert.strictEqual(worst, 4, strategy)
      h.hangUp()
    }
  })

  it("a chunk that finds no room holds its producer at once, below the high mark too; nothing is lost", () => {
    const h = KernelHarness.ready({
      llm: () => reply(40),
      tts: () => ({ results: [8000, 8000, 8000, 8000, 8000, 8000], firstMs: 50, stepMs: 5, end: "success" }),
      ...edge(voiceEdge, { max_queue_ms: 1200, watermarks: { queue_ms: { high: 1190, low: 100 } } })
    })
    h.type()
    h.runFor(20_000)
    assert.isAtLeast(h.commands("pause_invocation").length, 1)
    assert.strictEqual(h.commands("pause_invocation").length, h.commands("resume_invocation").length)
    assert.strictEqual(h.commands("enqueue_output").length, 6)
    assert.include(h.signals, "flow_xoff(edge_full)")
    assert.notInclude(h.signals.join(), "drop_notice")
    assert.include(h.signals, "commit")
    h.hangUp()
  })

  it("a chunk longer than the edge may ever hold is lost with a notice; the turn goes on", () => {
    const h = KernelHarness.ready({
      llm: () => reply(40),
      tts: () => ({ results: [1600, 160_000, 1600], firstMs: 50, stepMs: 5, end: "success" }),
      ...edge(voiceEdge, { max_queue_ms: 2000 })
    })
    h.type()
    h.runFor(5000)
    assert.include(h.signals.join(), "drop_notice(edge_full:voice_")
    assert.strictEqual(h.signal("drop_notice")?.edge_id, voiceEdge)
    assert.strictEqual(h.commands("enqueue_output").length, 2)
    assert.include(h.signals, "commit")
    h.hangUp()
  })

  it("a segment ends after its last chunk, also when its call ended while chunks waited for room", () => {
    const h = KernelHarness.ready({
      llm: () => reply(40),
      tts: () => silent,
      ...edge(voiceEdge, { max_queue_ms: 700, watermarks: never })
    })
    h.type()
    h.runFor(300)
    for (let i = 0; i < 4; i++) {
      h.step({ type: "voice_chunk", provider_invocation_id: "inv_2", authority_epoch: 1, handle: h.voice(8000) })
    }
    h.step(ended("inv_2", "success"))
    assert.deepStrictEqual([h.commands("enqueue_output").length, h.commands("end_segment").length], [1, 0])
    h.runFor(10_000)
    assert.deepStrictEqual([h.commands("enqueue_output").length, h.commands("end_segment").length], [4, 1])
    assert.include(h.signals, "commit")
    h.hangUp()
  })

  it("no further sentence is synthesised while the edge is past its high mark", () => {
    const h = KernelHarness.ready({
      llm: () => reply(10, 10),
      tts: (_, call) => call === 1 ? silent : speech(500),
      ...edge(voiceEdge, { max_queue_ms: 4000, watermarks: { queue_ms: { high: 1500, low: 500 } } })
    })
    h.type()
    h.runFor(300)
    // The call is held at the high mark; its end was on the way already.
    for (let i = 0; i < 4; i++) {
      h.step({ type: "voice_chunk", provider_invocation_id: "inv_2", authority_epoch: 1, handle: h.voice(8000) })
    }
    h.step(ended("inv_2", "success"))
    assert.include(h.signals, "flow_xoff(high_watermark)")
    assert.strictEqual(h.started("tts").length, 1)
    h.runFor(15_000)
    assert.strictEqual(h.started("tts").length, 2)
    assert.include(h.signals, "commit")
    h.hangUp()
  })

  it("while the caller is listened to (paused output) the voice waits as well", () => {
    const h = KernelHarness.ready({
      llm: () => reply(40),
      tts: () => ({ ...speech(30_000), stepMs: 20 }),
      stt: () => ({ end: "never" })
    })
    h.type()
    h.runFor(1000)
    h.edge("speech_started", h.now)
    h.runFor(100)
    h.edge("speech_ended", h.now)
    h.runFor(30_000)
    assert.strictEqual(h.commands("enqueue_output").length, 300)
    h.runFor(20_000)
    assert.include(h.signals, "commit")
    h.hangUp()
  })
})

describe("sentences", () => {
  const slow = { tts: () => ({ ...speech(400), firstMs: 600 }) }

  it("keep their order: a short one does not overtake a long one that waits for room", () => {
    const h = KernelHarness.ready({
      llm: () => silent,
      ...slow,
      ...edge(segmentEdge, { max_queue_bytes: 100, max_block_time_ms: 10_000, watermarks: never })
    })
    h.type()
    h.runFor(100)
    // The model is held as soon as one finds no room; what it had said by then still comes.
    for (const length of [10, 80, 90, 5]) {
      h.step({ type: "segment", provider_invocation_id: "inv_1", authority_epoch: 1, handle: h.text(length) })
    }
    assert.strictEqual(h.commands("pause_invocation").length, 1)
    h.step(ended("inv_1", "success"))
    h.runFor(10_000)
    assert.deepStrictEqual(h.started("tts").map((start) => start.text?.length), [10, 80, 90, 5])
    assert.include(h.signals, "commit")
    h.hangUp()
  })

  it("one that waited for room comes onto the edge after the one before it has left", () => {
    const h = KernelHarness.ready({
      llm: () => silent,
      ...slow,
      ...edge(segmentEdge, { max_queue_bytes: 60, max_block_time_ms: 10_000, watermarks: never })
    })
    h.type()
    h.runFor(100)
    for (const length of [22, 31, 32]) {
      h.step({ type: "segment", provider_invocation_id: "inv_1", authority_epoch: 1, handle: h.text(length) })
    }
    h.forget()
    h.runFor(1500)
    const places = h.since.flatMap((output) =>
      output.record === "event" && output.event.edge_id === segmentEdge
        ? ["queued"]
        : output.record === "command" && output.command.type === "start_invocation"
        ? ["started"]
        : []
    )
    assert.deepStrictEqual(places.slice(0, 2), ["started", "queued"])
    h.hangUp()
  })

  it("each that is lost has a notice with its handle", () => {
    const h = KernelHarness.ready({
      llm: () => ({ ...reply(10, 10, 10, 10), stepMs: 5 }),
      ...slow,
      ...edge(segmentEdge, { strategy: "drop", max_queue_items: 1, watermarks: never })
    })
    h.type()
    h.runFor(10_000)
    const lost = h.signals.filter((name) => name.startsWith("drop_notice(edge_full:text_"))
    assert.strictEqual(h.started("tts").length + lost.length, 4)
    assert.isAtLeast(lost.length, 1)
    assert.strictEqual(h.signal("drop_notice")?.target_lane, "DataLane")
    h.hangUp()
  })

  it("the timer of a block does not outlive its turn: it sheds nothing of the next one", () => {
    const h = KernelHarness.ready({
      llm: (_, call) => call === 1 ? { ...reply(10, 10, 10, 10), stepMs: 5 } : silent,
      ...slow,
      ...edge(segmentEdge, { max_queue_items: 1, max_block_time_ms: 700, watermarks: never })
    })
    h.type()
    h.runFor(300)
    h.cancel()
    h.settle()
    assert.notInclude(h.signals.join(), "shed")
    h.type()
    h.runFor(10_000)
    assert.notInclude(h.signals.join(), "shed")
    h.hangUp()
  })

  it("no shed is ever told of the control lane", () => {
    const h = KernelHarness.ready({
      llm: () => ({ ...reply(10, 10, 10, 10), stepMs: 5 }),
      ...slow,
      ...edge(segmentEdge, { max_queue_items: 1, watermarks: never })
    })
    h.type()
    h.runFor(10_000)
    for (const output of h.since) {
      if (output.record === "signal" && output.signal.target_lane !== undefined) {
        assert.strictEqual(output.signal.target_lane, "DataLane")
      }
    }
    assert.include(h.decisions, "shed/scheduling_point/edge_enqueue(block_time:drop)")
    h.hangUp()
  })
})
