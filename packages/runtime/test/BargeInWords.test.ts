import { assert, describe, it } from "@effect/vitest"
import type { SessionConfig } from "@rspp/contracts/SessionConfig"
import { ended, KernelHarness, reply, speech } from "./support/KernelHarness.ts"
import type { HarnessOptions } from "./support/KernelHarness.ts"
import type { Partially } from "./support/LiteralSession.ts"

const backchannel = ["mhm", "yeah", "okay", "right"]

/** A turn whose speech is being heard: at 1000 ms, of 5000 ms of speech. */
const speaking = (barge_in: Partially<SessionConfig["barge_in"]>, options: HarnessOptions = {}): KernelHarness => {
  const h = KernelHarness.ready({
    llm: () => reply(40),
    tts: () => speech(5000),
    config: { barge_in },
    ...options
  })
  h.type()
  h.runFor(1000)
  h.forget()
  return h
}

const cuts = (h: KernelHarness) => h.signals.filter((name) => !name.startsWith("playback"))
const told = (h: KernelHarness) =>
  h.events.flatMap(({ reason }) => reason?.startsWith("passed_over") === true ? [reason] : [])
const cut = ["barge_in(speech_started)", "cancel(barge_in)", "abort(cancelled)", "close"]
const superseded = [
  "barge_in(speech_started)",
  "turn_open_proposed",
  "cancel(superseded)",
  "abort(cancelled)",
  "close",
  "turn_open"
]

describe("with min_words, speech during a reply", () => {
  it.each([
    [0, 1750],
    [1, 2100],
    [2, 2600],
    [3, 3100]
  ])("is a cut when it is long enough and %i words were recognised", (min_words, atMs) => {
    const h = speaking({ min_words })
    h.edge("speech_started", 1000)
    for (const words of [1, 2, 3]) {
      h.runUntil(1600 + words * 500)
      h.partial(words)
      h.settle()
    }
    assert.strictEqual(h.signal("cancel")?.runtime_timestamp_ms, atMs)
    assert.deepStrictEqual(cuts(h), cut)
    h.hangUp()
  })

  it("is no cut before it is long enough, however many words there are", () => {
    const h = speaking({ min_words: 1, min_ms: 900 })
    h.edge("speech_started", 1000)
    h.runUntil(1200)
    h.partial(4)
    h.runUntil(2149)
    assert.deepStrictEqual(cuts(h), ["barge_in(speech_started)"])
    h.runUntil(2150)
    assert.deepStrictEqual(cuts(h), cut)
    h.hangUp()
  })

  it("is no cut by words that were taken back", () => {
    const h = speaking({ min_words: 2 })
    h.edge("speech_started", 1000)
    h.runUntil(1300)
    h.partial(2)
    h.partial(1)
    h.runUntil(3000)
    assert.deepStrictEqual(cuts(h), ["barge_in(speech_started)"])
    h.hangUp()
  })

  it("that ends with fewer resumes the reply and takes no turn, which is told", () => {
    const h = speaking({ min_words: 3 })
    h.speak(700)
    h.runFor(12_000)
    assert.deepStrictEqual(cuts(h), [
      "barge_in(speech_started)",
      "barge_in(false_alarm)",
      "output_accepted",
      "commit",
      "close"
    ])
    assert.deepStrictEqual(told(h), ["passed_over: too_few_words"])
    h.hangUp()
  })

  it("that ends with enough is the next turn", () => {
    const h = speaking({ min_words: 2 })
    h.speak(300)
    h.runFor(1000)
    assert.deepStrictEqual(cuts(h), superseded)
    assert.deepStrictEqual(told(h), [])
    h.hangUp()
  })

  it("cuts by its duration alone once the recogniser is lost", () => {
    const h = speaking({ min_words: 2 })
    h.edge("speech_started", 1000)
    h.runUntil(2000)
    assert.deepStrictEqual(cuts(h), ["barge_in(speech_started)"])
    h.step(ended("inv_3", "infrastructure_failure"))
    assert.deepStrictEqual(cuts(h).slice(0, 3), [
      "barge_in(speech_started)",
      "provider_error(infrastructure_failure)",
      "cancel(barge_in)"
    ])
    h.hangUp()
  })

  it("waits for its words again when it goes on after the recogniser was lost", () => {
    const h = speaking({ min_words: 2 })
    h.edge("speech_started", 1000)
    h.runUntil(1200)
    h.step(ended("inv_3", "infrastructure_failure"))
    h.runUntil(1400)
    h.edge("speech_ended", 1150)
    h.runUntil(1800)
    h.edge("speech_started", 1750)
    h.runUntil(2900)
    assert.notInclude(cuts(h), "cancel(barge_in)")
    h.partial(2)
    assert.include(cuts(h), "cancel(barge_in)")
    h.hangUp()
  })

  it("while the agent is silent is an ordinary turn, whatever its length", () => {
    const h = KernelHarness.ready({
      config: { barge_in: { min_words: 5, backchannel } },
      stt: () => ({ words: 1, backchannel: true })
    })
    h.speak(300)
    h.runFor(500)
    assert.include(h.signals, "turn_open")
    h.hangUp()
  })
})

describe("back-channel words during a reply", () => {
  const yes = { stt: () => ({ words: 1, backchannel: true }) }

  it("never cut, however long they are drawn out, and are not answered", () => {
    const h = speaking({ backchannel }, yes)
    h.edge("speech_started", 1000)
    h.runUntil(1700)
    h.partial(1, true)
    h.runUntil(3250)
    h.edge("speech_ended", 3000)
    h.runFor(12_000)
    assert.deepStrictEqual(cuts(h), [
      "barge_in(speech_started)",
      "barge_in(false_alarm)",
      "output_accepted",
      "commit",
      "close"
    ])
    assert.deepStrictEqual(told(h), ["passed_over: backchannel"])
    assert.strictEqual(h.commands("pause_output").length, h.commands("resume_output").length)
    h.hangUp()
  })

  it("cut where the session has no such words", () => {
    const h = speaking({ backchannel: [] }, yes)
    h.edge("speech_started", 1000)
    h.runUntil(1750)
    assert.deepStrictEqual(cuts(h), cut)
    h.hangUp()
  })

  it("followed by others cut as soon as those are recognised", () => {
    const h = speaking({ backchannel }, yes)
    h.edge("speech_started", 1000)
    h.runUntil(1800)
    h.partial(1, true)
    h.runUntil(2300)
    h.partial(3, false)
    assert.strictEqual(h.signal("cancel")?.runtime_timestamp_ms, 2300)
    h.hangUp()
  })

  it("that were told after the pause was taken back are not answered either", () => {
    const h = speaking({ backchannel, false_alarm_ms: 100 }, {
      stt: () => ({ words: 1, backchannel: true, firstMs: 900 })
    })
    h.speak(300)
    h.runFor(12_000)
    assert.deepStrictEqual(told(h), ["passed_over: backchannel"])
    assert.strictEqual(h.signals.filter((name) => name === "turn_open_proposed").length, 0)
    h.hangUp()
  })

  it("are not answered where barge-in is disabled", () => {
    const h = speaking({ backchannel, enabled: false }, yes)
    h.speak(300)
    h.runFor(12_000)
    assert.deepStrictEqual(told(h), ["passed_over: backchannel"])
    assert.notInclude(h.signals, "turn_open_proposed")
    h.hangUp()
  })

  it("do not touch what still plays of a committed turn", () => {
    for (const words of [{ backchannel: true }, { backchannel: false }]) {
      const h = KernelHarness.ready({
        llm: () => reply(40),
        tts: () => speech(700),
        config: { barge_in: { backchannel, enabled: false }, endpointing: { min_ms: 0 } },
        stt: () => ({ words: 1, firstMs: 0, ...words })
      })
      h.type()
      h.runUntil(700)
      assert.include(h.signals, "commit")
      assert.notInclude(h.signals, "playback_completed")
      h.edge("speech_started", 700)
      h.runUntil(800)
      h.edge("speech_ended", 790)
      h.runFor(50)
      assert.strictEqual(h.signals.includes("cancel(superseded)"), !words.backchannel)
      h.hangUp()
    }
  })
})
