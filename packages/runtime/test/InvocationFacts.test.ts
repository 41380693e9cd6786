// Holds I-INV-ONCE, I-INV-CANCEL: what is on record of each provider call, however it went.
import { assert, describe, it } from "@effect/vitest"
import type { InvocationFacts } from "@rspp/contracts/Invocation"
import type { NormalizedPipeline } from "@rspp/contracts/NormalizedPipeline"
import type { SessionInput } from "@rspp/contracts/SessionInput"
import { behaviourFlags } from "@rspp/contracts/Timeline"
import { failing, KernelHarness, reply, silent, speech } from "./support/KernelHarness.ts"
import type { HarnessOptions } from "./support/KernelHarness.ts"
import { edge, graphPipeline, node } from "./support/LiteralGraph.ts"

const allowing = (allowed_adaptive_actions: NormalizedPipeline["allowed_adaptive_actions"]): HarnessOptions => ({
  pipeline: (pipeline) => ({
    ...pipeline,
    allowed_adaptive_actions,
    provider_bindings: { ...pipeline.provider_bindings, "llm.fallback": "test/second" }
  })
})

const turn = (options: HarnessOptions): KernelHarness => {
  const h = KernelHarness.ready(options)
  h.type()
  return h
}

/** What every call has on record, whatever became of it. */
const complete = (h: KernelHarness): ReadonlyArray<InvocationFacts> => {
  for (const facts of h.invocations) {
    const about = JSON.stringify(facts)
    assert.isAtLeast(facts.attempts, 1, about)
    assert.isTrue(facts.late_outputs_dropped >= 0 && facts.total_latency_ms >= 0 && facts.final_latency_ms >= 0, about)
    assert.strictEqual(facts.cancel_sent_ms === undefined, facts.cancel_ack_ms === undefined, about)
    if (facts.cancel_sent_ms !== undefined) assert.isAtLeast(facts.cancel_ack_ms ?? -1, facts.cancel_sent_ms, about)
    if (facts.modality !== "stt") assert.isDefined(facts.turn_id, about)
  }
  assert.lengthOf(new Set(h.invocations.map((facts) => facts.provider_invocation_id)), h.invocations.length)
  return h.invocations
}

describe("the facts of a call", () => {
  it("say what its provider used, and how many requests its adapter made for it", () => {
    const usage = { input_tokens: 42, output_tokens: 7 }
    const h = turn({ llm: () => ({ ...reply(20), says: { attempts: 3, usage } }) })
    h.runFor(5000)
    const [model, voice] = complete(h)
    assert.deepInclude(model, { modality: "llm", attempts: 3, usage })
    assert.deepInclude(voice, { modality: "tts", attempts: 1 })
    assert.isFalse(voice !== undefined && "usage" in voice)
    h.hangUp()
  })

  it("that was hedged and then tried again count each request and each attempt", () => {
    const h = turn({
      ...allowing(["retry"]),
      llm: (_, call) =>
        call === 1
          ? failing("overload", { says: { attempts: 2, usage: { input_tokens: 5 } } })
          : { ...reply(10), says: { attempts: 2 } }
    })
    h.runFor(5000)
    assert.deepStrictEqual(
      complete(h).map(({ attempts, modality, outcome_class, retry_decision }) => [
        modality,
        outcome_class,
        attempts,
        retry_decision
      ]),
      [["llm", "overload", 2, "retry"], ["llm", "success", 3, "none"], ["tts", "success", 1, "none"]]
    )
    assert.deepStrictEqual(h.invocations[0]?.usage, { input_tokens: 5 })
    h.hangUp()
  })

  it.each(["provider_switch", "fallback"] as const)(
    "that made way by %s say so, and the spare begins at one",
    (action) => {
      const h = turn({ ...allowing([action]), llm: (_, call) => call === 1 ? failing("overload") : reply(10) })
      h.runFor(5000)
      const [first, second] = complete(h)
      assert.deepInclude(first, { provider_id: "test/mind", retry_decision: action, attempts: 1 })
      assert.deepInclude(second, { provider_id: "test/second", retry_decision: "none", attempts: 1 })
      assert.strictEqual(first?.idempotency_key, second?.idempotency_key)
      h.hangUp()
    }
  )

  it("that ran out of time have the cancel, its acknowledgement and what was decided", () => {
    const h = turn({ ...allowing(["retry"]), llm: (_, call) => call === 1 ? silent : reply(10), cancelAckMs: 12 })
    h.runFor(5000)
    assert.deepInclude(complete(h).find(({ outcome_class }) => outcome_class === "timeout"), {
      retryable: true,
      retry_decision: "retry",
      reason: "timeout",
      cancel_sent_ms: 1000,
      cancel_ack_ms: 1012
    })
    h.hangUp()
  })

  it("that were cancelled with their turn have both times, and nothing was decided", () => {
    const h = turn({ ...allowing(["retry"]), llm: () => silent, cancelAckMs: 30 })
    h.runFor(100)
    h.cancel()
    h.runFor(1000)
    assert.deepInclude(complete(h)[0], {
      outcome_class: "cancelled",
      retry_decision: "none",
      cancel_sent_ms: 100,
      cancel_ack_ms: 130,
      late_outputs_dropped: 0
    })
    h.hangUp()
  })
})

describe("what a call gives after its cancel is counted", () => {
  const epoch = { authority_epoch: 1 } as const
  /** Cancels the turn, has the input come after it, and gives the facts of its call. */
  const after = (h: KernelHarness, id: string, late: ReadonlyArray<SessionInput>) => {
    h.withhold("invocation_ended")
    h.cancel()
    for (const input of late) h.step(input)
    h.release("invocation_ended")
    h.runFor(1000)
    const facts = complete(h).find((one) => one.provider_invocation_id === id)
    h.hangUp()
    return facts
  }

  it("of a model: text and sentences", () => {
    const h = turn({ llm: () => silent })
    h.runFor(100)
    const about = { provider_invocation_id: "inv_1", ...epoch }
    const facts = after(h, "inv_1", [
      { type: "text_delta", ...about, handle: h.text(4) },
      { type: "segment", ...about, handle: h.text(9) }
    ])
    assert.deepInclude(facts, { modality: "llm", outcome_class: "cancelled", late_outputs_dropped: 2 })
  })

  it("of a voice: its chunks", () => {
    const h = turn({ llm: () => reply(40), tts: () => ({ ...speech(2000), stepMs: 500 }) })
    h.runFor(900)
    const [start] = h.started("tts")
    const id = start?.provider_invocation_id ?? ""
    const about = { provider_invocation_id: id, ...epoch }
    const facts = after(h, id, [1, 2, 3].map(() => ({ type: "voice_chunk", ...about, handle: h.voice(1600) })))
    // Those that had not come yet are the port's to count.
    assert.strictEqual(facts?.modality, "tts")
    assert.isAtLeast(facts?.late_outputs_dropped ?? 0, 3)
  })

  it("of a node: its items", () => {
    const h = turn({
      pipeline: graphPipeline({
        nodes: [
          node("llm", "language_model", { provider_id: "test/mind" }),
          node("sentences", "sentence_segmenter"),
          node("filter", "text_filter"),
          node("tts", "text_to_speech", { provider_id: "test/voice" })
        ],
        edges: [
          edge("turn.transcript.llm"),
          edge("llm.text.sentences"),
          edge("sentences.segment.filter"),
          edge("filter.segment.tts"),
          edge("tts.voice.output")
        ]
      }),
      llm: () => reply(40),
      node: () => ({ ms: 10, gives: [], end: "never" })
    })
    h.runFor(300)
    const [start] = h.started("external")
    const about = { provider_invocation_id: start?.provider_invocation_id ?? "", ...epoch }
    const facts = after(h, about.provider_invocation_id, [
      { type: "node_item", ...about, payload_kind: "segment", handle: h.text(9) },
      { type: "item_done", ...about }
    ])
    assert.deepInclude(facts, { modality: "external", outcome_class: "cancelled", late_outputs_dropped: 1 })
  })

  it("of a recogniser: final and interim transcripts", () => {
    const listen = (header: HarnessOptions["header"] = {}) => {
      const h = KernelHarness.ready({ stt: () => ({ end: "never" }), header })
      h.runFor(50)
      h.edge("speech_started", 0)
      const [start] = h.started("stt")
      const id = start?.provider_invocation_id ?? ""
      h.withhold("invocation_ended")
      h.step({ type: "shutdown", reason: "by_test" })
      const about = { type: "transcript", provider_invocation_id: id, ...epoch } as const
      h.step({ ...about, finality: "partial", handle: h.text(4) })
      h.step({ ...about, finality: "partial", handle: h.text(9) })
      h.step({ ...about, finality: "final", pause_id: 1, handle: h.text(9) })
      h.step({
        type: "invocation_ended",
        provider_invocation_id: id,
        outcome_class: "cancelled",
        retryable: false,
        attempts: 1,
        late_outputs: 0
      })
      h.laws.finished()
      return complete(h)[0]
    }
    assert.deepInclude(listen(), { modality: "stt", outcome_class: "cancelled", late_outputs_dropped: 3 })
    const before = Object.values(behaviourFlags).filter((flag) => flag !== behaviourFlags.lateInterims)
    assert.deepInclude(listen({ behaviour_flags: before }), { late_outputs_dropped: 1 })
  })
})
