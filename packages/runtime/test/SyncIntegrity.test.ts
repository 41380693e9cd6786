import { assert, describe, it } from "@effect/vitest"
import type { EdgeBufferPolicy } from "@rspp/contracts/TurnPlan"
import { KernelHarness, reply, speech } from "./support/KernelHarness.ts"
import { edge, graphPipeline, node } from "./support/LiteralGraph.ts"

type Sync = NonNullable<EdgeBufferPolicy["sync_drop_policy"]>

const tight = {
  strategy: "drop",
  lane_handling: { DataLane: "drop", ControlLane: "non_blocking_priority", TelemetryLane: "drop" },
  max_queue_items: 2,
  watermarks: { queue_items: { high: 1000, low: 0 } }
} as const
const nodes = [
  node("llm", "language_model", { provider_id: "test/mind" }),
  node("sentences", "sentence_segmenter"),
  node("tts", "text_to_speech", { provider_id: "test/voice" }),
  node("watch", "custom", { provider_id: "test/watch" })
]
const edges = [
  edge("turn.transcript.llm"),
  edge("llm.text.sentences"),
  edge("sentences.segment.tts"),
  edge("sentences.segment.watch"),
  edge("tts.voice.output")
]

/** Speech comes much faster than it plays, and its edge has room for two chunks. */
const overflowing = (sync: Sync | undefined) => {
  const harness = KernelHarness.ready({
    llm: () => reply(40),
    tts: () => ({ ...speech(3000), stepMs: 30 }),
    pipeline: graphPipeline({
      nodes,
      edges,
      policies: { "tts.voice.output": { ...tight, ...(sync === undefined ? {} : { sync_drop_policy: sync }) } }
    })
  })
  harness.type(7)
  harness.runFor(9000)
  return harness
}
const notices = (harness: KernelHarness) => harness.signals.filter((signal) => signal.startsWith("drop_notice"))
const gaps = (harness: KernelHarness) => harness.signals.filter((signal) => signal.startsWith("discontinuity"))

describe("what belongs together (F5)", () => {
  it("is left as it is without a policy, or with no_sync: gaps in speech", () => {
    for (const sync of [undefined, { policy: "no_sync", scope: "edge_local" } as const]) {
      const harness = overflowing(sync)
      assert.isAbove(notices(harness).length, 0)
      assert.deepStrictEqual(gaps(harness), [])
      // Later chunks of the same sentence were heard again.
      const lastDrop = harness.since.findLastIndex((output) =>
        output.record === "signal" && output.signal.signal === "drop_notice"
      )
      const lastSent = harness.since.findLastIndex((output) =>
        output.record === "command" && output.command.type === "enqueue_output"
      )
      assert.isAbove(lastSent, 0)
      assert.isAbove(lastDrop, 0)
      harness.hangUp()
    }
  })

  it("is told as a discontinuity of its domain with each loss, where the policy says so", () => {
    const harness = overflowing({
      policy: "drop_with_discontinuity",
      scope: "edge_local",
      group_by: "sync_id",
      sync_domain: "reply"
    })
    assert.strictEqual(gaps(harness).length, notices(harness).length)
    assert.strictEqual(harness.signal("discontinuity")?.sync_domain, "reply")
    const ids = harness.since.flatMap((output) =>
      output.record === "signal" && output.signal.signal === "discontinuity" ? [output.signal.discontinuity_id] : []
    )
    assert.strictEqual(new Set(ids).size, ids.length)
    harness.hangUp()
  })

  it("is lost as a whole with atomic_drop: after the first lost chunk of a sentence no other is heard", () => {
    const harness = overflowing({
      policy: "atomic_drop",
      scope: "edge_local",
      group_by: "sync_id",
      sync_domain: "reply"
    })
    const firstDrop = harness.since.findIndex((output) =>
      output.record === "signal" && output.signal.signal === "drop_notice"
    )
    assert.isAbove(firstDrop, 0)
    const after = harness.since.slice(firstDrop).filter((output) =>
      output.record === "command" && output.command.type === "enqueue_output"
    )
    assert.deepStrictEqual(after, [])
    assert.isAbove(notices(harness).filter((notice) => notice.includes("sync_group")).length, 5)
    // The first chunks had been heard: the sentence is not whole, and that is told once.
    assert.deepStrictEqual(gaps(harness), ["discontinuity(partly_delivered:edge_full)"])
    assert.include(harness.signals, "commit")
    harness.hangUp()
  })

  it("is by item with event_id: each loss stands for itself", () => {
    const harness = overflowing({ policy: "atomic_drop", scope: "edge_local", group_by: "event_id" })
    assert.deepStrictEqual(notices(harness).filter((notice) => notice.includes("sync_group")), [])
    harness.hangUp()
  })

  it("goes with its copies on the other edges of the domain, where the scope is plan_wide", () => {
    const policy = { policy: "atomic_drop", scope: "plan_wide", group_by: "sync_id", sync_domain: "reply" } as const
    const spoken = (scope: "plan_wide" | "edge_local") => {
      const sync = { ...policy, scope }
      const harness = KernelHarness.ready({
        // All sentences at once: the edge to the voice has room for two that wait, the other for all.
        llm: () => ({ ...reply(10, 11, 12, 13, 14), stepMs: 0 }),
        tts: () => speech(500),
        node: () => ({ ms: 60, gives: [] }),
        pipeline: graphPipeline({
          nodes,
          edges,
          policies: {
            "sentences.segment.tts": { ...tight, sync_drop_policy: sync },
            "sentences.segment.watch": { sync_drop_policy: sync }
          }
        })
      })
      harness.type(7)
      harness.runFor(9000)
      const watched = harness.commands("push_item").map(({ handle }) => handle.length)
      const heard = harness.started("tts").map(({ text }) => text?.length)
      harness.hangUp()
      return { heard, watched }
    }
    assert.deepStrictEqual(spoken("edge_local"), { heard: [10, 11, 12], watched: [10, 11, 12, 13, 14] })
    assert.deepStrictEqual(spoken("plan_wide"), { heard: [10, 11, 12], watched: [10, 11, 12] })
  })
})
