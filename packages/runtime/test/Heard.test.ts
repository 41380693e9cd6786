import { assert, describe, it } from "@effect/vitest"
import type { InputOf } from "@rspp/contracts/SessionInput"
import { behaviourFlags } from "@rspp/contracts/Timeline"
import { heardOf, markSpeech } from "@rspp/runtime/session/Heard"
import type { Segment, SpeechMark } from "@rspp/runtime/turn/Turn"
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

describe("what was heard of a sentence whose voice says how far it has spoken", () => {
  const marked = (marks: ReadonlyArray<readonly [samples: number, chars: number]>, of: Segment) => {
    const own: Array<SpeechMark> = marks.map(([samples, chars]) => ({ samples, chars }))
    return heardOf({ ...of, marks: own })
  }
  // Half of its characters take a tenth of its time.
  const uneven = [[10_000, 50], [100_000, 100]] as const

  it("is what the marks say, not a share of its length", () => {
    assert.deepStrictEqual(marked(uneven, segment(100, 100_000, 10_320)), { chars: 50, min: 50, max: 100 })
    assert.deepStrictEqual(marked(uneven, segment(100, 100_000, 5000)), { chars: 25, min: 0, max: 50 })
    assert.strictEqual(heardOf(segment(100, 100_000, 10_320)).chars, 10, "without them it is a share")
  })

  it("is certain where nothing was spoken around the cut", () => {
    const marks = [[10_000, 30], [20_000, 31], [90_000, 100]] as const
    assert.deepStrictEqual(marked([[10_000, 100]], segment(100, 60_000, 30_000)), { chars: 100, min: 100, max: 100 })
    assert.deepStrictEqual(marked(marks, segment(100, 90_000, 15_000)), { chars: 30, min: 30, max: 31 })
  })

  it("is counted on at the usual speed behind the last mark, while the voice had not finished", () => {
    const { chars, max, min } = marked([[20_000, 40]], segment(100, 40_000, 30_000, false))
    assert.deepStrictEqual([chars, min, max], [50, 40, 61])
    const whole = marked([[20_000, 40]], segment(100, 40_000, 40_000, false))
    assert.deepStrictEqual([whole.chars, whole.min], [60, 40], "what there was is not all of it")
  })

  it("is all of it when it was played to its end, whatever the marks say, and nothing when nothing was played", () => {
    assert.deepStrictEqual(marked([[9, 3]], segment(40, 64_000, 64_000)), { chars: 40, min: 40, max: 40 })
    assert.deepStrictEqual(marked([[9, 3]], segment(40, 64_000, 0)), { chars: 0, min: 0, max: 0 })
  })

  it("lies between bounds that hold for whatever was really spoken between the marks, to one frame", () => {
    const dice = numbers(9)
    for (let i = 0; i < 1000; i++) {
      const length = 5 + dice.below(150)
      // Each character ends somewhere: the truth that the voice knows.
      let at = 0
      const ends = Array.from({ length }, () => at += 100 + dice.below(3000))
      const samples = at + dice.below(5000)
      const spoken: Segment = { ...segment(length, 0, 0), synthesised: dice.chance(0.7) }
      const chunk = 320 * (1 + dice.below(40))
      const given = spoken.synthesised ? samples : Math.min(samples, chunk * (1 + dice.below(20)))
      while (spoken.samples < given) {
        spoken.samples = Math.min(given, spoken.samples + chunk)
        markSpeech(spoken, ends.filter((end) => end <= spoken.samples).length)
      }
      if (spoken.marks === undefined) continue
      const heardSamples = dice.below(spoken.samples + 1)
      const { chars, max, min } = heardOf({ ...spoken, heardSamples })
      const really = ends.filter((end) => end <= heardSamples).length
      const about = JSON.stringify({ length, chunk, heardSamples, really, chars, min, max })
      assert.isTrue(0 <= min && min <= chars && chars <= max && max <= length, about)
      const lastMark = spoken.marks.at(-1)?.samples ?? 0
      if (heardSamples > 0) assert.isTrue(min <= really, about)
      if (heardSamples > 0 && heardSamples + 320 < lastMark) assert.isTrue(really <= max, about)
    }
  })

  it("keeps marks only where they say something new, never more than characters, and none that falls", () => {
    const spoken = segment(10, 0, 0)
    const say: ReadonlyArray<readonly [samples: number, chars: number]> = [
      [100, 0],
      [200, 3],
      [300, 3],
      [400, 2],
      [400, 5],
      [500, 99],
      [600, 99]
    ]
    for (const [samples, chars] of say) markSpeech(Object.assign(spoken, { samples }), chars)
    assert.deepStrictEqual(spoken.marks, [
      { samples: 200, chars: 3 },
      { samples: 400, chars: 5 },
      { samples: 500, chars: 10 }
    ])
    const without = segment(10, 100, 50)
    markSpeech(without, 0)
    assert.isUndefined(without.marks)
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

  it("of a reply that was cut, by the marks of its voice", () => {
    // Half of the characters are spoken in the first 100 ms, and the rest evenly.
    const tts = () => ({ ...speech(2000), marks: Array.from({ length: 20 }, (_, i) => 50 + Math.floor((50 * i) / 19)) })
    assert.deepInclude(cutAt(16_000, { tts }), { chars: 73, chars_min: 71, chars_max: 76 })
    const flags = Object.values(behaviourFlags).filter((flag) => flag !== behaviourFlags.marks)
    assert.deepInclude(cutAt(16_000, { tts, header: { behaviour_flags: flags } }), { chars: 50, chars_min: 24 })
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
