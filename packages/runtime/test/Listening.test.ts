// Holds I-LISTEN-ONE.
import { assert, describe, it } from "@effect/vitest"
import { ended, KernelHarness, reply, silent, speech } from "./support/KernelHarness.ts"
import type { HarnessOptions } from "./support/KernelHarness.ts"

/** A session whose replies are of no interest here. */
const listening = (options: HarnessOptions = {}): KernelHarness =>
  KernelHarness.ready({ llm: () => reply(), ...options })

const proposedMs = (h: KernelHarness) => h.signal("turn_open_proposed")?.runtime_timestamp_ms
const marks = (h: KernelHarness) => h.commands("mark_utterance").map(({ mark }) => mark)

describe("an utterance", () => {
  it("starts one recogniser call, from before its onset", () => {
    const h = listening()
    h.runFor(2000)
    h.speak(1000)
    const [start] = h.started("stt")
    assert.deepStrictEqual(
      [h.started("stt").length, start?.provider_id, start?.node_id, start?.from_sample, start?.cap_ms, start?.turn_id],
      [1, "test/ear", "stt", 1500 * 16, 4000, undefined]
    )
    h.hangUp()
  })

  it("reaches back no further than the start of the stream", () => {
    const h = listening()
    h.speak(300)
    assert.strictEqual(h.started("stt")[0]?.from_sample, 0)
    h.hangUp()
  })

  it("becomes one turn, and the turn adopts its recogniser call", () => {
    const h = listening()
    h.speak(1000)
    h.runFor(2000)
    assert.deepStrictEqual(h.signals.filter((name) => name.startsWith("turn_open")), [
      "turn_open_proposed",
      "turn_open"
    ])
    assert.strictEqual(h.signal("turn_open_proposed")?.provider_invocation_id, "inv_1")
    assert.deepStrictEqual(
      h.invocations.filter(({ modality }) => modality === "stt").map((facts) => [facts.turn_id, facts.outcome_class]),
      [["turn_1", "success"]]
    )
    h.hangUp()
  })

  it("in which no words were heard opens nothing", () => {
    const h = listening({ stt: () => ({ text: 0 }) })
    h.speak(400)
    h.runFor(3000)
    assert.deepStrictEqual([...h.signals], [])
    assert.deepStrictEqual(marks(h), ["pause", "end"])
    h.hangUp()
  })
})

describe("endpointing", () => {
  it("counts from the last speech sample, not from when voice activity noticed", () => {
    const h = listening()
    h.speak(1000)
    assert.strictEqual(h.now, 1250)
    h.runFor(2000)
    assert.strictEqual(proposedMs(h), 1000 + 300)
    h.hangUp()
  })

  it.each([300, 700, 1200])("waits min_ms: %i", (min_ms) => {
    const h = listening({ config: { endpointing: { min_ms, unfinished_ms: 1500, max_ms: 2500 } } })
    h.speak(1000)
    h.runFor(3000)
    assert.strictEqual(proposedMs(h), 1000 + min_ms)
    h.hangUp()
  })

  it.each([800, 1100])("waits unfinished_ms when the words probably go on: %i", (unfinished_ms) => {
    const h = listening({ config: { endpointing: { unfinished_ms } }, stt: () => ({ complete: false }) })
    h.speak(1000)
    h.runFor(3000)
    assert.strictEqual(proposedMs(h), 1000 + unfinished_ms)
    h.hangUp()
  })

  it("never waits longer than max_ms", () => {
    const h = listening({
      config: { endpointing: { min_ms: 900, unfinished_ms: 900, max_ms: 500 } },
      stt: () => ({ complete: false })
    })
    h.speak(1000)
    h.runFor(3000)
    assert.strictEqual(proposedMs(h), 1500)
    h.hangUp()
  })

  it("asks for the final text as soon as the caller falls silent, so that it is there at the endpoint", () => {
    const h = listening({ stt: () => ({ firstMs: 40 }) })
    h.speak(1000)
    assert.deepStrictEqual(h.commands("mark_utterance").map(({ mark, pause_id }) => [mark, pause_id]), [["pause", 1]])
    h.runFor(2000)
    assert.deepStrictEqual(marks(h), ["pause", "end"])
    h.hangUp()
  })

  it("proposes as soon as a slow recogniser has its text, when the endpoint has passed", () => {
    const h = listening({ stt: () => ({ firstMs: 900 }) })
    h.speak(1000)
    h.runFor(3000)
    assert.strictEqual(proposedMs(h), 1250 + 900)
    h.hangUp()
  })

  it("takes a pause back when the caller goes on, and drops the text of the pause", () => {
    const h = listening({ stt: () => ({ firstMs: 200 }) })
    h.speak(800)
    h.runFor(20)
    h.edge("speech_started", h.now - 30)
    h.runFor(1000)
    assert.deepStrictEqual([...h.signals], [])
    h.edge("speech_ended", h.now - 250)
    // A final of the first pause that was on its way is not the text of the utterance.
    h.step({
      type: "transcript",
      provider_invocation_id: "inv_1",
      finality: "final",
      pause_id: 1,
      authority_epoch: 1,
      handle: h.text(99)
    })
    h.runFor(3000)
    assert.deepStrictEqual(h.signals.filter((name) => name.startsWith("turn_open")), [
      "turn_open_proposed",
      "turn_open"
    ])
    assert.deepStrictEqual(h.commands("mark_utterance").map(({ mark, pause_id }) => [mark, pause_id]), [
      ["pause", 1],
      ["resume", undefined],
      ["pause", 2],
      ["end", undefined]
    ])
    assert.deepStrictEqual(h.started("llm")[0]?.conversation?.[0]?.parts.map(({ chars }) => chars), [12])
    h.hangUp()
  })

  it("keeps positions right after the media path has stalled", () => {
    const h = listening()
    h.runFor(1000)
    // 700 ms of audio are late: the frame that comes now ends at sample 300 ms.
    h.frame(280)
    h.step({ type: "voice_activity", edge: "speech_started", sample_index: 100 * 16 })
    h.runFor(1000)
    h.frame(1280)
    h.step({ type: "voice_activity", edge: "speech_ended", sample_index: 1100 * 16 })
    h.runFor(3000)
    // The last sample of speech, 1100 ms, was spoken at 2000 - (1300 - 1100) = 1800 ms of session time.
    assert.strictEqual(proposedMs(h), 1800 + 300)
    h.hangUp()
  })
})

describe("the length limit", () => {
  const config = { recognition: { max_utterance_ms: 2000 } } as const

  it("cuts an endless utterance into turns; nothing that was said falls between two of them", () => {
    for (const firstMs of [40, 700]) {
      const h = listening({ config, stt: () => ({ firstMs }) })
      h.stream()
      h.runUntil(50)
      h.edge("speech_started", 0)
      h.runUntil(7000)
      const starts = h.started("stt").map(({ from_sample }) => (from_sample ?? 0) / 16)
      const pauses = h.outputs.flatMap((output) =>
        output.record === "command" && output.command.type === "mark_utterance" && output.command.mark === "pause"
          ? [output.runtime_timestamp_ms]
          : []
      )
      assert.isAtLeast(starts.length, 3)
      // Each goes on within a frame of where the one before was cut, however long its text took.
      starts.slice(1).forEach((start, i) => assert.closeTo(start, pauses[i] ?? 0, 20))
      assert.isAtLeast(h.signals.filter((name) => name === "turn_open_proposed").length, 2)
      h.edge("speech_ended", h.now - 250)
      h.hangUp()
    }
  })

  it("holds also when it passed during a pause and the caller then went on", () => {
    const h = listening({ config, stt: () => ({ complete: false, text: 3 }) })
    h.runFor(50)
    h.edge("speech_started", 0)
    h.runFor(1900)
    h.edge("speech_ended", h.now - 100)
    h.runFor(300)
    assert.deepStrictEqual([...h.signals], [])
    h.edge("speech_started", h.now)
    h.runFor(1500)
    assert.include(h.signals, "turn_open_proposed")
    h.hangUp()
  })
})

describe("a recogniser that fails", () => {
  it("loses the utterance, and that is said; the next one is heard", () => {
    const h = listening({ stt: (_, call) => call === 1 ? { end: "infrastructure_failure" } : {} })
    h.speak(1000)
    h.runFor(1000)
    assert.deepStrictEqual([...h.signals], ["provider_error(infrastructure_failure)"])
    h.forget()
    h.speak(500)
    h.runFor(2000)
    assert.include(h.signals, "turn_open")
    h.hangUp()
  })

  it("that stays silent runs into its declared budget, counted from the pause", () => {
    const h = listening({ stt: () => ({ end: "never" }) })
    h.speak(1000)
    h.runFor(10_000)
    assert.deepStrictEqual([...h.signals], ["budget_exhausted(first_result)", "provider_error(timeout)"])
    assert.strictEqual(h.signal("budget_exhausted")?.runtime_timestamp_ms, 1250 + 4000)
    assert.deepStrictEqual(h.invocations.map(({ outcome_class }) => outcome_class), ["timeout"])
    h.hangUp()
  })

  it("that ends without a final text: nothing was heard, and that is said", () => {
    const h = listening({ stt: () => ({ end: "never" }) })
    h.speak(1000)
    h.step(ended("inv_1", "success"))
    assert.deepStrictEqual([...h.signals], ["provider_error(no_final)"])
    h.hangUp()
  })

  it("while the caller speaks on over a reply: the cut stays a matter of voice activity", () => {
    const h = KernelHarness.ready({ llm: () => reply(40), tts: () => speech(5000), stt: () => ({ end: "never" }) })
    h.type()
    h.runFor(1000)
    h.forget()
    h.edge("speech_started", h.now)
    h.runFor(100)
    h.step(ended("inv_3", "infrastructure_failure"))
    assert.deepStrictEqual([...h.signals], ["barge_in(speech_started)", "provider_error(infrastructure_failure)"])
    h.runFor(1000)
    assert.include(h.signals, "abort(cancelled)")
    assert.notInclude(h.signals, "barge_in(false_alarm)")
    h.hangUp()
  })
})

describe("what the recogniser says", () => {
  it("in between changes nothing but the time of its first result", () => {
    const h = listening()
    h.runFor(50)
    h.edge("speech_started", 0)
    h.runFor(500)
    h.step({
      type: "transcript",
      provider_invocation_id: "inv_1",
      finality: "partial",
      authority_epoch: 1,
      handle: h.text(4)
    })
    assert.deepStrictEqual([...h.signals], [])
    h.runFor(500)
    h.edge("speech_ended", h.now - 250)
    h.runFor(2000)
    assert.strictEqual(h.invocations.find(({ modality }) => modality === "stt")?.first_result_ms, 550)
    h.hangUp()
  })

  it("goes to the model as a handle, never as words", () => {
    const h = KernelHarness.ready({ llm: () => silent, stt: () => ({ text: 17 }) })
    h.speak(600)
    h.runFor(500)
    assert.deepStrictEqual(
      h.started("llm")[0]?.conversation?.map(({ parts, role }) => [role, parts.map(({ chars }) => chars)]),
      [["user", [17]]]
    )
    h.hangUp()
  })
})

describe("hanging up", () => {
  it("during speech ends the utterance in one recorded outcome", () => {
    const h = listening()
    h.runFor(50)
    h.edge("speech_started", 0)
    h.runFor(500)
    h.connection("ended")
    assert.deepStrictEqual([...h.signals], ["ended", "reject(transport_ended)"])
    assert.deepStrictEqual([...h.decisions], ["reject/pre_turn/session(transport_ended)"])
    assert.strictEqual(h.signal("reject")?.provider_invocation_id, "inv_1")
    h.runFor(1000)
    h.laws.finished()
  })

  it("before the endpoint as well, and only once", () => {
    const h = listening()
    h.speak(1000)
    h.connection("ended")
    h.step({ type: "shutdown", reason: "stop" })
    h.runFor(5000)
    assert.deepStrictEqual(h.signals.filter((name) => name.startsWith("reject")), ["reject(transport_ended)"])
    h.laws.finished()
  })
})
