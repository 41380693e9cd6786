import { assert, describe, it } from "@effect/vitest"
import { failing, KernelHarness, reply } from "./support/KernelHarness.ts"
import type { HarnessOptions } from "./support/KernelHarness.ts"

/** The final text is there 40 ms after the pause is noticed, the endpoint passes 1 s after the last word. */
const patient = { endpointing: { min_ms: 1000, unfinished_ms: 1000, max_ms: 1000 } }
const eager = (options: HarnessOptions = {}) =>
  KernelHarness.ready({ config: { ...patient, speculation: { preemptive: true } }, ...options })

const told = (harness: KernelHarness) =>
  harness.events.flatMap(({ reason }) => reason?.startsWith("speculation") === true ? [reason] : [])

describe("speculation", () => {
  it("is off unless it is asked for", () => {
    const harness = KernelHarness.ready({ config: patient })
    harness.speak(800)
    harness.runFor(400)
    assert.deepStrictEqual(harness.started("llm"), [])
    harness.hangUp()
  })

  it("starts the model in the pause, and nothing of it leaves before the turn is open (I-AHEAD-SILENT)", () => {
    const harness = eager()
    harness.speak(800)
    harness.runFor(500)
    assert.strictEqual(harness.started("llm").length, 1)
    assert.deepStrictEqual(harness.started("tts"), [])
    assert.notInclude(harness.signals, "turn_open")
    harness.runFor(6000)
    assert.strictEqual(harness.started("llm").length, 1, "the turn takes over what was begun")
    assert.deepStrictEqual(told(harness), ["speculation_started", "speculation_promoted"])
    // Both sentences were there: the first is spoken in the instant in which the turn opens.
    assert.deepStrictEqual(harness.started("tts").map(({ text }) => text?.length), [20, 30])
    const open = harness.signal("turn_open")?.runtime_timestamp_ms
    const voice = harness.outputs.find((output) =>
      output.record === "command" && output.command.type === "start_invocation" && output.command.modality === "tts"
    )
    assert.strictEqual(voice?.record === "command" ? voice.runtime_timestamp_ms : undefined, open)
    assert.include(harness.signals, "commit")
    const [facts] = harness.invocations.filter(({ modality }) => modality === "llm")
    assert.strictEqual(facts?.turn_id, "turn_1", "its facts are the turn's")
    assert.isBelow(facts?.total_latency_ms ?? 9999, 300)
    harness.hangUp()
  })

  it("gives up when the caller goes on, and answers what was said in the end (S07)", () => {
    const harness = eager()
    harness.speak(800)
    harness.runFor(200)
    assert.strictEqual(harness.started("llm").length, 1)
    harness.speak(600)
    harness.runFor(9000)
    assert.include(told(harness), "speculation_withdrawn:caller_went_on")
    assert.strictEqual(harness.started("llm").length, 2)
    const replies = harness.invocations.filter(({ modality }) => modality === "llm")
    assert.deepStrictEqual(replies.map(({ outcome_class, turn_id }) => [outcome_class, turn_id]), [
      ["success", undefined],
      ["success", "turn_1"]
    ])
    // What the first had said is not among what is spoken: two sentences, not four.
    assert.strictEqual(harness.started("tts").length, 2)
    harness.hangUp()
  })

  it("begins anew when the words or the conversation have changed meanwhile (I-AHEAD-CAS)", () => {
    const harness = eager()
    harness.speak(800)
    harness.runFor(200)
    harness.type(9)
    harness.runFor(100)
    assert.include(told(harness), "speculation_withdrawn:words_changed")
    assert.strictEqual(harness.started("llm").length, 2)
    harness.hangUp()
  })

  it("is as if it had not been, when it fails", () => {
    const harness = eager({ llm: (_, call) => call === 1 ? failing("overload") : reply(20) })
    harness.speak(800)
    harness.runFor(6000)
    assert.deepStrictEqual(told(harness), ["speculation_started", "speculation_withdrawn:failed"])
    assert.include(harness.signals, "commit")
    assert.strictEqual(harness.started("llm").length, 2)
    harness.hangUp()
  })

  it("is withdrawn with the authority, and when the call ends; nothing is left", () => {
    const harness = eager({ llm: () => reply(20, 30, 40) })
    harness.speak(800)
    harness.runFor(200)
    harness.lease("rotated", 2)
    assert.include(told(harness), "speculation_withdrawn:authority_lost")
    const other = eager()
    other.speak(800)
    other.runFor(500)
    other.hangUp()
    assert.include(told(other), "speculation_withdrawn:session_ended")
    assert.strictEqual(other.invocations.filter(({ modality }) => modality === "llm").length, 1)
    harness.hangUp()
  })

  it("holds a model that says much before anybody wants it (I-EDGE-BOUND)", () => {
    const harness = eager({
      config: {
        endpointing: { min_ms: 5000, unfinished_ms: 5000, max_ms: 5000 },
        speculation: { preemptive: true }
      },
      llm: () => ({ ...reply(...Array.from({ length: 100 }, () => 10)), stepMs: 20 })
    })
    harness.speak(800)
    harness.runFor(4000)
    assert.strictEqual(harness.commands("pause_invocation").length, 1)
    harness.runFor(1000)
    assert.strictEqual(harness.commands("resume_invocation").length, 1)
    harness.hangUp()
  })

  it("keeps its name when it is the turn's and is tried again (I-INV-ONCE)", () => {
    const harness = eager({
      pipeline: (pipeline) => ({ ...pipeline, allowed_adaptive_actions: ["retry"] }),
      llm: (_, call) => call === 1 ? failing("overload", { firstMs: 980 }) : reply(20)
    })
    harness.speak(800)
    harness.runFor(6000)
    assert.deepStrictEqual(told(harness), ["speculation_started", "speculation_promoted"])
    const keys = harness.started("llm").map(({ idempotency_key }) => idempotency_key)
    assert.strictEqual(keys.length, 2)
    assert.strictEqual(new Set(keys).size, 1)
    const attempts = harness.invocations.filter(({ modality }) => modality === "llm").map((facts) => facts.attempts)
    assert.deepStrictEqual(attempts, [1, 2])
    harness.hangUp()
  })

  it("holds nobody who has given everything already (I-EDGE-BOUND)", () => {
    const harness = eager({
      pipeline: (pipeline) => ({
        ...pipeline,
        edge_buffer_policies: {
          ...pipeline.edge_buffer_policies,
          "sentences.segment.tts": { ...pipeline.edge_buffer_policies["sentences.segment.tts"]!, max_queue_items: 1 }
        }
      }),
      llm: () => reply(20, 30, 40, 50)
    })
    harness.speak(800)
    harness.runFor(1100)
    assert.include(told(harness), "speculation_promoted")
    assert.deepStrictEqual(
      harness.commands("pause_invocation").map(({ provider_invocation_id }) =>
        harness.started("llm").some((start) => start.provider_invocation_id === provider_invocation_id)
      ).filter((held) => held),
      []
    )
    harness.hangUp()
  })
})
