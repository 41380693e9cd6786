// Holds I-ENDPOINT-BOUND, I-IDLE-QUIET.
// Each setting of turn taking, and what changes with it. Endpointing, the end-of-turn model, push-to-talk, the idle caller.
import { assert, describe, it } from "@effect/vitest"
import { defaultSessionConfig } from "@rspp/contracts/SessionConfig"
import type { SessionConfig } from "@rspp/contracts/SessionConfig"
import { Endpointing } from "@rspp/runtime/listening/Endpointing"
import { KernelHarness, reply, speech } from "./support/KernelHarness.ts"
import type { HarnessOptions } from "./support/KernelHarness.ts"

const listening = (options: HarnessOptions = {}): KernelHarness =>
  KernelHarness.ready({ llm: () => reply(), ...options })

const proposedMs = (h: KernelHarness) => h.signal("turn_open_proposed")?.runtime_timestamp_ms
const reasons = (h: KernelHarness) =>
  h.events.flatMap(({ amount, reason }) =>
    reason === undefined ? [] : amount === undefined ? [reason] : [`${reason} ${amount}`]
  )
const cuts = (h: KernelHarness) => h.signals.filter((name) => !name.startsWith("playback"))

/** Speaks, pauses for so long, and goes on; ends at `now`. */
const withPause = (h: KernelHarness, pauseMs: number) => {
  const onset = h.now
  h.runFor(50)
  h.edge("speech_started", onset)
  h.runUntil(onset + 750)
  h.edge("speech_ended", onset + 500)
  h.runUntil(onset + 550 + pauseMs)
  h.edge("speech_started", onset + 500 + pauseMs)
  h.runUntil(onset + 1250 + pauseMs)
  h.edge("speech_ended", onset + 1000 + pauseMs)
  return onset + 1000 + pauseMs
}

describe("dynamic endpointing", () => {
  const config = { endpointing: { mode: "dynamic", min_ms: 300, unfinished_ms: 800, max_ms: 1500 } } as const

  it("waits as fixed endpointing does until the caller has paused", () => {
    const h = listening({ config })
    h.speak(1000)
    h.runFor(2000)
    assert.strictEqual(proposedMs(h), 1300)
    assert.deepStrictEqual(reasons(h), ["endpoint_fixed 300"])
    h.hangUp()
  })

  it.each([["fixed", 300, []], ["dynamic", 400, ["endpoint_learned 400"]]] as const)(
    "learns from the pauses within what is said: %s",
    (mode, waitMs, told) => {
      const h = listening({ config: { endpointing: { ...config.endpointing, mode } } })
      const end = withPause(h, 200)
      h.runFor(3000)
      assert.deepStrictEqual([h.signals.filter((name) => name === "turn_open_proposed").length, proposedMs(h)], [
        1,
        end + waitMs
      ])
      assert.deepStrictEqual(reasons(h), [...told])
      h.hangUp()
    }
  )

  it("counts a pause in which a turn was proposed too early, unless the agent was heard since", () => {
    for (const silent of [true, false]) {
      const h = listening({ config, ...(silent ? {} : { llm: () => reply(20), tts: () => speech(100) }) })
      h.speak(1000)
      h.runUntil(1700)
      h.edge("speech_started", 1600)
      h.runUntil(2850)
      h.edge("speech_ended", 2600)
      h.runFor(3000)
      assert.strictEqual(proposedMs(h), 2600 + (silent ? 1200 : 300))
      h.hangUp()
    }
  })

  it("stays between min_ms and max_ms, in whole milliseconds, whatever the pauses are", () => {
    for (
      const pauses of [[0, 0, 0], [1500, 1500, 1500], [20, 1400, 3, 900, 77, 640], [1500, 0, 0, 0, 0, 0, 0, 0, 0, 0]]
    ) {
      const rule = new Endpointing({ ...defaultSessionConfig, ...config })
      for (const ms of pauses) {
        rule.paused(ms)
        const { ms: delay } = rule.delay(undefined, undefined)
        assert.isTrue(Number.isInteger(delay) && delay >= 300 && delay <= 1500, `${pauses.join()}: ${delay}`)
      }
    }
  })

  it("comes down again for a caller who does not pause any more, and is not moved by a silence that is no pause", () => {
    const rule = new Endpointing({ ...defaultSessionConfig, ...config })
    rule.paused(700)
    assert.strictEqual(rule.delay(undefined, undefined).ms, 1400)
    rule.paused(9000)
    assert.strictEqual(rule.delay(undefined, undefined).ms, 1400)
    for (let i = 0; i < 30; i++) rule.paused(100)
    assert.isBelow(rule.delay(undefined, undefined).ms, 450)
  })

  it("waits at least unfinished_ms when the words probably go on", () => {
    const rule = new Endpointing({ ...defaultSessionConfig, ...config })
    const unfinished = { id: "h", payload_class: "text_raw", length: 3, facts: { complete: false } } as const
    rule.paused(200)
    assert.deepStrictEqual(rule.delay(unfinished, undefined), { ms: 800, reason: "unfinished" })
    rule.paused(1400)
    assert.isAbove(rule.delay(unfinished, undefined).ms, 800)
  })
})

describe("the end-of-turn model", () => {
  const asking = (
    predict: NonNullable<HarnessOptions["predict"]>,
    end_of_turn: Partial<SessionConfig["end_of_turn"]> = {},
    options: HarnessOptions = {}
  ) =>
    listening({
      config: {
        end_of_turn: { ...defaultSessionConfig.end_of_turn, enabled: true, ...end_of_turn },
        endpointing: { min_ms: 400, unfinished_ms: 800, max_ms: 2000 }
      },
      predict,
      ...options
    })
  const spoken = (h: KernelHarness) => {
    h.speak(1000)
    h.runFor(4000)
    const at = proposedMs(h)
    h.hangUp()
    return at === undefined ? undefined : at - 1000
  }

  it("is asked once in each pause that has a text, with the conversation and the words, and not when it is disabled", () => {
    const h = asking(() => ({ percent: 50, afterMs: 10 }))
    h.type(7)
    h.runFor(1000)
    const end = withPause(h, 300)
    h.runUntil(end + 2000)
    assert.deepStrictEqual(
      h.commands("predict_turn").map(({ conversation, pause_id, timeout_ms }) => [
        pause_id,
        timeout_ms,
        conversation.map(({ parts, role }) => `${role} ${parts.map(({ chars }) => chars).join()}`)
      ]),
      [[1, 150, ["user 7", "user 12"]], [2, 150, ["user 7", "user 12"]]]
    )
    h.hangUp()
    const quiet = asking(() => ({ percent: 99, afterMs: 10 }), { enabled: false })
    assert.strictEqual(spoken(quiet), 400)
    assert.deepStrictEqual(quiet.commands("predict_turn"), [])
  })

  it.each([
    [100, 400, "likely"],
    [70, 400, "likely"],
    [69, 800, "unfinished"],
    [31, 800, "unfinished"],
    [30, 2000, "unlikely"],
    [0, 2000, "unlikely"]
  ])("decides when it is sure, within the bounds, and leaves the rest to the cue: %i %%", (percent, waitMs, reason) => {
    const h = asking(() => ({ percent, afterMs: 20 }), {}, { stt: () => ({ complete: false }) })
    assert.strictEqual(spoken(h), waitMs)
    assert.include(reasons(h), `endpoint_${reason} ${waitMs}`)
  })

  it("is sure where the session says so", () => {
    assert.strictEqual(spoken(asking(() => ({ percent: 60, afterMs: 20 }), { likely_percent: 60 })), 400)
    assert.strictEqual(spoken(asking(() => ({ percent: 40, afterMs: 20 }), { unlikely_percent: 40 })), 2000)
    assert.strictEqual(spoken(asking(() => ({ percent: 40, afterMs: 20 }), { unlikely_percent: 39 })), 400)
  })

  it.each([150, 600])("is waited for up to timeout_ms, which is told; then the cue decides: %i", (timeout_ms) => {
    const h = asking(() => undefined, { timeout_ms })
    // Asked at 1290 ms, when the final text came.
    assert.strictEqual(spoken(h), Math.max(400, 290 + timeout_ms))
    assert.deepStrictEqual(reasons(h), ["turn_prediction_missing", "endpoint_fixed 400"])
  })

  it("is never waited for past max_ms", () => {
    assert.strictEqual(spoken(asking(() => undefined, { timeout_ms: 60_000 })), 2000)
  })

  it("that fails is told, and the cue decides at once", () => {
    const h = asking(() => ({ reason: "no_model", afterMs: 0 }), { timeout_ms: 1000 })
    assert.strictEqual(spoken(h), 400)
    assert.deepStrictEqual(reasons(h), ["turn_prediction_failed: no_model", "endpoint_fixed 400"])
  })

  it("that answers about an older pause, or about no pause, changes nothing", () => {
    const h = asking(() => undefined, { timeout_ms: 100 })
    h.speak(1000)
    h.runFor(50)
    h.step({ type: "turn_prediction", provider_invocation_id: "inv_1", pause_id: 9, percent: 0 })
    h.step({ type: "turn_prediction", provider_invocation_id: "inv_9", pause_id: 1, percent: 0 })
    h.runFor(3000)
    assert.strictEqual(proposedMs(h), 1400)
    h.step({ type: "turn_prediction", provider_invocation_id: "inv_1", pause_id: 1, percent: 0 })
    h.hangUp()
  })
})

describe("push-to-talk", () => {
  const config = { turn_detection: "push_to_talk" } as const
  const press = (h: KernelHarness) => h.step({ type: "push_to_talk", state: "pressed" })
  const release = (h: KernelHarness) => h.step({ type: "push_to_talk", state: "released" })

  it("begins an utterance with the press, without a prefix, and ends it with the release", () => {
    const h = listening({ config })
    h.stream()
    h.runFor(2000)
    press(h)
    assert.strictEqual(h.started("stt")[0]?.from_sample, 2000 * 16)
    h.runFor(3000)
    assert.deepStrictEqual([...h.signals], [])
    release(h)
    h.runFor(1000)
    // As soon as the final text is there: 40 ms, no endpointing delay.
    assert.strictEqual(proposedMs(h), 5040)
    assert.include(h.signals, "turn_open")
    h.hangUp()
  })

  it("is all that counts: voice activity does nothing", () => {
    const h = listening({ config })
    h.speak(1000)
    h.runFor(3000)
    assert.deepStrictEqual([[...h.signals], h.started("stt")], [[], []])
    h.hangUp()
  })

  it.each([true, false])("cuts the agent with the press, at once, where barge-in is enabled: %s", (enabled) => {
    const h = KernelHarness.ready({
      llm: () => reply(40),
      tts: () => speech(5000),
      config: { ...config, barge_in: { enabled, min_words: 5, min_ms: 5000 } }
    })
    h.type()
    h.runFor(1000)
    h.forget()
    press(h)
    assert.strictEqual(h.signal("cancel")?.runtime_timestamp_ms, enabled ? 1000 : undefined)
    h.runFor(500)
    release(h)
    h.runFor(200)
    assert.include(cuts(h), enabled ? "turn_open" : "defer(turn_active)")
    h.hangUp()
  })

  it("answers signs of attention too: who presses wants the floor", () => {
    const h = KernelHarness.ready({
      llm: () => reply(40),
      tts: () => speech(5000),
      stt: () => ({ words: 1, backchannel: true }),
      config: { ...config, barge_in: { backchannel: ["mhm"] } }
    })
    h.type()
    h.runFor(1000)
    h.forget()
    press(h)
    h.runFor(300)
    release(h)
    h.runFor(300)
    assert.include(cuts(h), "turn_open")
    h.hangUp()
  })

  it("that is pressed again before the text is there goes on with the same utterance", () => {
    const h = listening({ config, stt: () => ({ firstMs: 400 }) })
    press(h)
    h.runFor(1000)
    release(h)
    h.runFor(200)
    press(h)
    h.runFor(1000)
    release(h)
    h.runFor(2000)
    assert.deepStrictEqual(h.commands("mark_utterance").map(({ mark }) => mark), ["pause", "resume", "pause", "end"])
    assert.deepStrictEqual([h.started("stt").length, proposedMs(h)], [1, 2600])
    h.hangUp()
  })

  it("is told and ignored when it repeats itself, and where voice activity decides", () => {
    const h = listening({ config })
    release(h)
    press(h)
    press(h)
    assert.deepStrictEqual(reasons(h), ["push_to_talk_ignored: released", "push_to_talk_ignored: pressed"])
    h.hangUp()
    const automatic = listening()
    press(automatic)
    automatic.runFor(1000)
    assert.deepStrictEqual([reasons(automatic), automatic.started("stt")], [["push_to_talk_ignored: pressed"], []])
    automatic.hangUp()
  })

  it("takes back what was said since the press: a recorded loss, and the next press begins anew", () => {
    const h = listening({ config })
    h.stream()
    press(h)
    h.runFor(1000)
    h.step({ type: "push_to_talk", state: "cancelled" })
    assert.strictEqual(h.signal("reject")?.reason, "taken_back")
    h.runFor(2000)
    release(h)
    assert.deepStrictEqual(reasons(h), ["push_to_talk_ignored: released"])
    assert.notInclude(h.signals, "turn_open_proposed")
    press(h)
    assert.strictEqual(h.started("stt").at(-1)?.from_sample, 3000 * 16)
    h.runFor(500)
    release(h)
    h.runFor(500)
    assert.strictEqual(h.signals.filter((name) => name === "turn_open").length, 1)
    h.hangUp()
  })

  it("takes back after the release what has not become a turn, and nothing else", () => {
    const h = listening({ config })
    press(h)
    h.runFor(1000)
    release(h)
    h.step({ type: "push_to_talk", state: "cancelled" })
    assert.strictEqual(h.signal("reject")?.reason, "taken_back")
    h.runFor(2000)
    assert.notInclude(h.signals, "turn_open_proposed")
    h.step({ type: "push_to_talk", state: "cancelled" })
    assert.deepStrictEqual(reasons(h), ["push_to_talk_ignored: cancelled"])
    h.hangUp()
    const automatic = listening()
    automatic.speak(1000)
    automatic.step({ type: "push_to_talk", state: "cancelled" })
    assert.deepStrictEqual(reasons(automatic), ["push_to_talk_ignored: cancelled"])
    automatic.runFor(3000)
    assert.include(automatic.signals, "turn_open")
    automatic.hangUp()
  })

  it("is released by the end of the caller's audio", () => {
    const h = listening({ config })
    press(h)
    h.runFor(800)
    h.step({ type: "audio_ended" })
    h.runFor(500)
    assert.strictEqual(proposedMs(h), 840)
    h.hangUp()
  })

  it("held longer than max_utterance_ms makes one turn after the other", () => {
    const h = listening({ config: { ...config, recognition: { max_utterance_ms: 1000 } } })
    h.stream()
    press(h)
    h.runFor(2500)
    release(h)
    h.runFor(1000)
    assert.strictEqual(h.signals.filter((name) => name === "turn_open_proposed").length, 3)
    assert.deepStrictEqual(reasons(h).filter((reason) => reason.startsWith("utterance")), [
      "utterance_limit 1000",
      "utterance_limit 1000"
    ])
    h.hangUp()
  })
})

describe("an utterance that reaches its length limit", () => {
  it("is told, but not in a recording of before that", () => {
    for (const behaviour_flags of [[1], []]) {
      const h = listening({ config: { recognition: { max_utterance_ms: 1000 } }, header: { behaviour_flags } })
      h.stream()
      h.runFor(50)
      h.edge("speech_started", 0)
      h.runFor(1500)
      assert.deepStrictEqual(reasons(h), behaviour_flags.length === 0 ? [] : ["utterance_limit 1000"])
      h.hangUp()
    }
  })
})

describe("a caller who is idle", () => {
  const idle = (h: KernelHarness) =>
    h.events.flatMap(({ amount, reason, runtime_timestamp_ms: at }) => reason === "user_idle" ? [[at, amount]] : [])
  const config = (timeout_ms: number, hang_up_after = 0) => ({ idle: { timeout_ms, hang_up_after } })

  it.each([0, 3000, 5000])("is told after timeout_ms, again and again; 0 is never: %i", (timeout_ms) => {
    const h = KernelHarness.ready({ config: config(timeout_ms) })
    h.runUntil(10_500)
    assert.deepStrictEqual(
      idle(h),
      timeout_ms === 0 ? [] : timeout_ms === 3000 ? [[3000, 1], [6000, 2], [9000, 3]] : [[5000, 1], [10_000, 2]]
    )
    h.hangUp()
  })

  it("is not one who speaks, types or listens", () => {
    const h = KernelHarness.ready({ llm: () => reply(40), tts: () => speech(5000), config: config(3000) })
    h.runUntil(2000)
    h.type()
    h.runUntil(7000)
    assert.deepStrictEqual(idle(h), [])
    // The reply plays from 2180 to 7180.
    h.runUntil(10_500)
    assert.deepStrictEqual(idle(h).map(([, count]) => count), [1])
    const [[at = 0] = []] = idle(h)
    assert.isTrue(at >= 10_180 && at <= 10_200, String(at))
    h.edge("speech_started", h.now)
    h.runFor(9000)
    assert.strictEqual(idle(h).length, 1)
    h.hangUp()
  })

  it("is counted anew once it has done something", () => {
    const h = KernelHarness.ready({ llm: () => reply(), config: config(1000) })
    h.runUntil(2500)
    h.type()
    h.runUntil(4500)
    assert.deepStrictEqual(idle(h).map(([, count]) => count), [1, 2, 1])
    h.hangUp()
  })

  it("is not one whose connection is gone, or not there yet", () => {
    const h = new KernelHarness({ config: config(1000) })
    h.step({ type: "session_started" })
    h.runFor(5000)
    assert.deepStrictEqual(idle(h), [])
    h.connection("connected")
    h.connection("reconnecting")
    h.runFor(5000)
    assert.deepStrictEqual(idle(h), [])
    h.connection("connected")
    h.runFor(1500)
    assert.strictEqual(idle(h).length, 1)
    h.hangUp()
  })

  it.each([[1, 1000], [3, 3000]])("ends the session after hang_up_after times: %i", (hang_up_after, atMs) => {
    const h = KernelHarness.ready({ config: config(1000, hang_up_after) })
    h.runUntil(atMs - 1)
    assert.isFalse(h.session.hasEnded())
    h.runUntil(atMs)
    assert.isTrue(h.session.hasEnded())
    assert.deepStrictEqual(h.commands("end_session").map(({ reason }) => reason), ["idle"])
    h.laws.finished()
  })
})

describe("typed text", () => {
  it("while the caller speaks opens its turn at once; what was spoken is the next", () => {
    const h = listening()
    h.edge("speech_started", 0)
    h.runFor(500)
    h.type(5)
    assert.include(h.signals, "turn_open")
    h.runFor(750)
    h.edge("speech_ended", 1000)
    h.runFor(1000)
    assert.strictEqual(h.signals.filter((name) => name === "turn_open").length, 2)
    h.hangUp()
  })

  it("while a turn is open takes its place, with or without barge-in", () => {
    for (const enabled of [true, false]) {
      const h = KernelHarness.ready({
        llm: () => reply(40),
        tts: () => speech(5000),
        config: { barge_in: { enabled } }
      })
      h.type()
      h.runFor(1000)
      h.forget()
      h.type()
      h.settle()
      assert.deepStrictEqual(cuts(h), [
        "turn_open_proposed",
        "cancel(superseded)",
        "abort(cancelled)",
        "close",
        "turn_open"
      ])
      h.hangUp()
    }
  })

  it("is one turn when it is sent again, by its handle or by the client's key", () => {
    const h = listening()
    const handle = h.text(5)
    for (let i = 0; i < 2; i++) h.step({ type: "typed_text", handle })
    for (let i = 0; i < 2; i++) h.step({ type: "typed_text", handle: h.text(5), idempotency_key: "client-7" })
    h.step({ type: "typed_text", handle: h.text(5), idempotency_key: "client-8" })
    h.settle()
    assert.strictEqual(h.signals.filter((name) => name === "turn_open_proposed").length, 3)
    h.hangUp()
  })
})
