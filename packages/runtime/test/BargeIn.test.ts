// Holds I-BARGE-ORDER.
import { assert, describe, it } from "@effect/vitest"
import { defaultSessionConfig } from "@rspp/contracts/SessionConfig"
import { KernelHarness, reply, speech } from "./support/KernelHarness.ts"
import type { HarnessOptions } from "./support/KernelHarness.ts"

/** Silence is noticed this much after it began. */
const noticeMs = defaultSessionConfig.voice_activity.min_silence_ms

/** A turn whose speech is being heard: at 1000 ms, of 5000 ms of speech. */
const speaking = (options: HarnessOptions = {}): KernelHarness => {
  const h = KernelHarness.ready({ llm: () => reply(40), tts: () => speech(5000), ...options })
  h.type()
  h.runFor(1000)
  h.forget()
  return h
}

const cuts = (h: KernelHarness) => h.signals.filter((name) => !name.startsWith("playback"))
const at = (h: KernelHarness, name: Parameters<KernelHarness["signal"]>[0]) => h.signal(name)?.runtime_timestamp_ms

describe("speech during a reply", () => {
  it("pauses output in the step in which it is noticed", () => {
    const h = speaking()
    h.edge("speech_started", h.now - 50)
    assert.deepStrictEqual([...h.signals], ["barge_in(speech_started)"])
    assert.isBelow(h.story.indexOf("!pause_output"), h.story.indexOf("barge_in(speech_started)"))
    assert.deepStrictEqual(
      [h.signal("barge_in")?.turn_id, h.signal("barge_in")?.emitted_by, h.signal("barge_in")?.event_scope],
      ["turn_1", "RK-16", "turn"]
    )
    h.hangUp()
  })

  it("becomes a cancel when an end before min_ms, counted from its onset, would have been noticed", () => {
    const h = speaking()
    h.edge("speech_started", 940)
    h.runFor(3000)
    assert.deepStrictEqual(cuts(h), ["barge_in(speech_started)", "cancel(barge_in)", "abort(cancelled)", "close"])
    assert.deepStrictEqual([at(h, "cancel"), h.signal("cancel")?.scope], [940 + 500 + noticeMs, "turn"])
    h.hangUp()
  })

  it.each([0, 120, 900])("takes the threshold of the session: %i ms", (min_ms) => {
    const h = speaking({ config: { barge_in: { min_ms } } })
    h.edge("speech_started", 960)
    h.runFor(3000)
    assert.strictEqual(at(h, "cancel"), 960 + min_ms <= 1000 ? 1000 : 960 + min_ms + noticeMs)
    h.hangUp()
  })

  it("that was long enough is a cut as soon as its end is noticed; one sample less is not", () => {
    for (const [lastSpeech, cut] of [[1459, false], [1460, true]] as const) {
      const h = speaking({ stt: () => ({ end: "never" }) })
      h.edge("speech_started", 960)
      h.runFor(600)
      h.edge("speech_ended", lastSpeech)
      h.runFor(100)
      assert.strictEqual(cuts(h).includes("cancel(barge_in)"), cut)
      h.hangUp()
    }
  })

  it("that ends before the threshold and was no words resumes the reply where it stopped", () => {
    const h = speaking({ stt: () => ({ text: 0 }) })
    h.edge("speech_started", 960)
    h.runFor(300)
    h.edge("speech_ended", 1100)
    h.runFor(2500)
    assert.deepStrictEqual(cuts(h), ["barge_in(speech_started)", "barge_in(false_alarm)"])
    assert.deepStrictEqual(h.commands("pause_output").length, h.commands("resume_output").length)
    h.runFor(10_000)
    assert.include(h.signals, "commit")
    h.hangUp()
  })

  it("is a false alarm at the latest false_alarm_ms after the caller fell silent", () => {
    for (const false_alarm_ms of [2000, 700]) {
      const h = speaking({ config: { barge_in: { false_alarm_ms } }, stt: () => ({ end: "never" }) })
      h.edge("speech_started", 960)
      h.runFor(200)
      h.edge("speech_ended", 1100)
      h.runFor(3000)
      assert.deepStrictEqual([at(h, "barge_in"), h.signal("barge_in")?.reason], [1200 + false_alarm_ms, "false_alarm"])
      h.hangUp()
    }
  })

  it("of several bursts pauses once; each burst has the whole threshold", () => {
    const h = speaking({ stt: () => ({ end: "never" }) })
    h.edge("speech_started", 1000)
    h.runFor(300)
    h.edge("speech_ended", 1250)
    h.runFor(200)
    h.edge("speech_started", 1500)
    h.runFor(499 + noticeMs)
    assert.deepStrictEqual(cuts(h), ["barge_in(speech_started)"])
    h.runFor(1)
    assert.strictEqual(at(h, "cancel"), 2000 + noticeMs)
    h.hangUp()
  })

  it("that says a few words, shorter than the threshold, is the next turn and cuts this one", () => {
    const h = speaking()
    h.edge("speech_started", 960)
    h.runFor(300)
    h.edge("speech_ended", 1200)
    h.runFor(1000)
    assert.deepStrictEqual(cuts(h), [
      "barge_in(speech_started)",
      "turn_open_proposed",
      "cancel(superseded)",
      "abort(cancelled)",
      "close",
      "turn_open"
    ])
    h.hangUp()
  })

  it("before the first sound of the reply pauses it as well; the cut leaves nothing to play", () => {
    const h = KernelHarness.ready({ llm: () => reply(40), tts: () => speech(1000) })
    h.type()
    h.runFor(20)
    h.forget()
    h.edge("speech_started", h.now)
    h.runFor(3000)
    assert.deepStrictEqual(cuts(h), ["barge_in(speech_started)", "cancel(barge_in)", "abort(cancelled)", "close"])
    assert.notInclude(h.signals, "playback_started")
    h.hangUp()
  })

  it("while nobody speaks is just speech", () => {
    const h = KernelHarness.ready()
    h.edge("speech_started", 0)
    h.runFor(3000)
    assert.deepStrictEqual([...h.signals], [])
    assert.deepStrictEqual(h.commands("pause_output"), [])
    h.hangUp()
  })
})

describe("speech that pauses a reply of which all was heard", () => {
  it("leaves nothing to take back once the turn has committed", () => {
    const h = KernelHarness.ready({ llm: () => reply(40), tts: () => speech(300), withhold: ["evidence_appended"] })
    h.type()
    h.runFor(1000)
    h.forget()
    h.edge("speech_started", 990)
    assert.deepStrictEqual(cuts(h), ["barge_in(speech_started)"])
    h.release("evidence_appended")
    h.runFor(300)
    h.edge("speech_ended", 1100)
    h.runFor(8000)
    assert.deepStrictEqual(cuts(h).filter((name) => !name.startsWith("output")), [
      "barge_in(speech_started)",
      "commit",
      "close",
      "turn_open_proposed",
      "turn_open"
    ])
    assert.deepStrictEqual(h.commands("resume_output"), [])
    h.hangUp()
  })
})

describe("with barge-in disabled", () => {
  const config = { barge_in: { enabled: false } } as const

  it("speech neither pauses nor cuts the reply, and is answered by a defer", () => {
    const h = speaking({ config })
    h.speak(1000)
    h.runFor(1000)
    assert.deepStrictEqual(cuts(h), ["turn_open_proposed", "defer(turn_active)"])
    assert.deepStrictEqual(h.commands("pause_output"), [])
    h.runFor(10_000)
    assert.include(h.signals, "commit")
    h.hangUp()
  })

  it("a cancel still cuts", () => {
    const h = speaking({ config })
    h.cancel()
    h.settle()
    assert.include(h.signals, "abort(cancelled)")
    h.hangUp()
  })
})

describe("a cut while the last of a committed turn plays", () => {
  const playingOut = (options: HarnessOptions = {}): KernelHarness => {
    const h = KernelHarness.ready({ llm: () => reply(10), tts: () => speech(1000), ...options })
    h.type()
    while (h.signal("commit") === undefined) h.runFor(10)
    h.forget()
    return h
  }

  it("pauses, then fences and cancels; it never aborts", () => {
    const h = playingOut({ config: { barge_in: { min_ms: 100 } } })
    h.edge("speech_started", h.now)
    h.runFor(1000)
    assert.deepStrictEqual([...h.signals], ["barge_in(speech_started)", "cancel(barge_in)", "playback_cancelled"])
    assert.deepStrictEqual([...h.transitions], [])
    h.hangUp()
  })

  it("by the next turn as well", () => {
    const h = playingOut()
    h.type()
    h.settle()
    assert.deepStrictEqual(h.signals.slice(0, 3), ["turn_open_proposed", "cancel(superseded)", "turn_open"])
    assert.include(h.signals, "playback_cancelled")
    h.hangUp()
  })

  it("whose end was on its way when the pause came leaves nothing to resume, and the next reply can be cut", () => {
    const h = playingOut({ stt: (_, call) => call === 1 ? { end: "never" } : {}, withhold: ["playback_completed"] })
    // All of it has been played, but the report is still on its way when the caller is noticed.
    h.runFor(300)
    h.edge("speech_started", h.now - 100)
    h.release("playback_completed")
    h.runFor(200)
    h.edge("speech_ended", h.now - 100)
    h.type()
    h.runFor(900)
    assert.deepStrictEqual(h.signals.filter((name) => name.startsWith("cancel")), [])
    h.forget()
    h.edge("speech_started", h.now)
    h.runFor(2500)
    assert.deepStrictEqual(h.signalsOf("turn_1"), [])
    assert.deepStrictEqual(cuts(h).slice(0, 2), ["barge_in(speech_started)", "cancel(barge_in)"])
    assert.strictEqual(h.signal("cancel")?.turn_id, "turn_2")
    h.hangUp()
  })
})

describe("speech during a turn that says nothing", () => {
  it("ends with the turn: it is not resumed, and the next turn can be cut", () => {
    const h = KernelHarness.ready({
      llm: ({ turn_id }) => turn_id === "turn_1" ? reply() : reply(40),
      tts: () => speech(5000),
      stt: () => ({ end: "never" })
    })
    h.type()
    h.edge("speech_started", h.now)
    assert.deepStrictEqual(h.commands("pause_output").map(({ turn_id }) => turn_id), ["turn_1"])
    h.runFor(200)
    h.edge("speech_ended", h.now - 50)
    assert.include(h.signalsOf("turn_1"), "commit")
    h.type()
    h.runFor(1000)
    h.edge("speech_started", h.now)
    assert.deepStrictEqual(h.commands("pause_output").map(({ turn_id }) => turn_id), ["turn_1", "turn_2"])
    h.runFor(3000)
    assert.deepStrictEqual(h.commands("resume_output"), [])
    assert.strictEqual(h.signal("cancel")?.turn_id, "turn_2")
    h.hangUp()
  })
})

describe("pause, resume and clear", () => {
  it("are ordered: nothing that was cleared comes back (no resume after a fence)", () => {
    const h = speaking({ stt: () => ({ end: "never" }) })
    h.edge("speech_started", 1000)
    h.runFor(200)
    h.edge("speech_ended", 1100)
    h.runFor(100)
    h.cancel()
    h.runFor(5000)
    assert.deepStrictEqual(h.commands("resume_output"), [])
    assert.notInclude(h.signals, "barge_in(false_alarm)")
    h.hangUp()
  })

  it("a false alarm and a cut in the same instant: whichever is sequenced first holds, and both end clean", () => {
    for (const first of ["alarm", "cut"] as const) {
      const h = speaking({ stt: () => ({ end: "never" }) })
      h.edge("speech_started", 1000)
      h.runFor(200)
      h.edge("speech_ended", 1100)
      h.runFor(1999)
      if (first === "alarm") {
        h.runFor(1)
        h.cancel()
      } else {
        h.cancel()
        h.runFor(1)
      }
      h.runFor(1000)
      assert.strictEqual(h.commands("resume_output").length, first === "alarm" ? 1 : 0)
      assert.strictEqual(h.signals.filter((name) => name.startsWith("abort")).length, 1)
      h.hangUp()
    }
  })

  it("hanging up during a pause leaves no timer behind", () => {
    const h = speaking()
    h.edge("speech_started", 1000)
    h.runFor(100)
    h.hangUp()
    const after = KernelHarness.ready({ llm: () => reply(10), tts: () => speech(600) })
    after.type()
    while (after.signal("commit") === undefined) after.runFor(10)
    after.edge("speech_started", after.now)
    after.runFor(100)
    after.edge("speech_ended", after.now - 50)
    after.connection("ended")
    after.runFor(200)
    after.laws.finished()
  })
})
