import { assert, describe, it } from "@effect/vitest"
import type { InputOf } from "@rspp/contracts/SessionInput"
import { heardOf } from "@rspp/runtime/session/Heard"
import type { Segment } from "@rspp/runtime/turn/Turn"
import { KernelHarness, reply, speech } from "./support/KernelHarness.ts"
import type { HarnessOptions } from "./support/KernelHarness.ts"
import { numbers } from "./support/SeededNumbers.ts"

const segment = (length: number, samples: number, heardSamples: number, synthesised = true): Segment => ({
  segmentId: "turn_1_seg_1",
  handle: { id: "h_1", payload_class: "text_raw", length },
  invocation: undefined,
  synthesised,
  samples,
  accepted: false,
  playbackStarted: true,
  playbackEnded: true,
  heardSamples
})

describe("what was heard of a sentence", () => {
  it("is certain when it was played to its end, or not at all", () => {
    assert.deepStrictEqual(heardOf(segment(40, 64_000, 64_000)), { chars: 40, min: 40, max: 40 })
    assert.deepStrictEqual(heardOf(segment(40, 64_000, 0)), { chars: 0, min: 0, max: 0 })
    assert.deepStrictEqual(heardOf(segment(40, 0, 0)), { chars: 0, min: 0, max: 0 })
  })

  it("is half of it in the middle, and between a quarter and three quarters", () => {
    const { chars, max, min } = heardOf(segment(100, 64_000, 32_000))
    assert.deepStrictEqual([chars, min, max], [50, 24, 76])
  })

  it("is counted at the voice's usual speed while it had not finished: all of what there was is not all of it", () => {
    // 100 characters take about 100,000 samples; a tenth of that had come, and was heard.
    const { chars, max, min } = heardOf(segment(100, 10_000, 10_000, false))
    assert.deepStrictEqual([chars, min, max], [10, 2, 42])
    assert.strictEqual(heardOf(segment(100, 10_000, 10_000)).chars, 100)
  })

  it("has bounds around it, which hold for every way of speaking within the factor", () => {
    const dice = numbers(5)
    for (let i = 0; i < 2000; i++) {
      const length = 1 + dice.below(200)
      // A sentence in two stretches, each at most twice as fast or slow as the whole on average.
      const samples = 2000 + dice.below(200_000)
      const heard = dice.below(samples + 1)
      const { chars, max, min } = heardOf(segment(length, samples, heard, dice.chance(0.5)))
      assert.isTrue(
        0 <= min && min <= chars && chars <= max && max <= length,
        JSON.stringify({ length, samples, heard })
      )
    }
    for (let i = 0; i < 500; i++) {
      const [samples, share] = [100_000, (1 + dice.below(98)) / 100]
      const speed = 0.5 + dice.below(151) / 100
      const rest = (1 - share * speed) / (1 - share)
      if (rest < 0.5 || rest > 2) continue
      const { max, min } = heardOf(segment(100, samples, Math.round(samples * share)))
      assert.isTrue(min <= 100 * share * speed && 100 * share * speed <= max, `${share} at ${speed}`)
    }
  })
})

describe("the conversation says how certain it is (S10)", () => {
  const cutAt = (samples: number, options: HarnessOptions = {}) => {
    const h = KernelHarness.ready({
      llm: () => reply(100),
      tts: () => speech(2000),
      withhold: ["playback_cancelled"],
      ...options
    })
    h.type()
    h.runFor(1180)
    h.cancel()
    const cut: InputOf<"playback_cancelled"> = {
      type: "playback_cancelled",
      turn_id: "turn_1",
      segment_id: "turn_1_seg_1",
      samples
    }
    h.step(cut)
    h.runFor(100)
    h.type(3)
    const parts = h.started("llm").at(-1)?.conversation?.find(({ role }) => role === "assistant")?.parts[0]
    h.hangUp()
    return parts
  }

  it("of a reply that was cut", () => {
    assert.deepInclude(cutAt(16_000), { chars: 50, chars_min: 24, chars_max: 76 })
  })

  it("and not of one that was heard to its end", () => {
    const h = KernelHarness.ready({ llm: () => reply(20), tts: () => speech(400) })
    h.type()
    h.runFor(3000)
    h.type(3)
    const said = h.started("llm").at(-1)?.conversation?.find(({ role }) => role === "assistant")
    assert.deepStrictEqual(said?.parts.map((part) => Object.keys(part)), [["handle_id", "chars"]])
    h.hangUp()
  })

  it("as recordings of older versions have it when it was made by one: in proportion, without bounds", () => {
    const parts = cutAt(16_000, { header: { behaviour_flags: [] } })
    assert.deepStrictEqual([parts?.chars, parts?.chars_min, parts?.chars_max], [50, undefined, undefined])
  })
})
