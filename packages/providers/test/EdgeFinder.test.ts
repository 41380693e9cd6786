import { assert, describe, it } from "@effect/vitest"
import { EdgeFinder, windowSamples } from "@rspp/providers/vad/EdgeFinder"
import { concat, silence, tone } from "./support/Wav.ts"

const settings = { on_threshold: 0.5, off_threshold: 0.35, min_speech_ms: 50, min_silence_ms: 250 }

/** A model that calls the second loud window in a row speech, and the first quiet one not, as Silero in sherpa does. */
const finder = (): EdgeFinder => {
  let loudWindows = 0
  const window = (samples: Float32Array) => {
    loudWindows = samples.some((sample) => Math.abs(sample) > 0.1) ? loudWindows + 1 : 0
    return [loudWindows >= 2]
  }
  return new EdgeFinder(settings, window, () => loudWindows = 0)
}

const loud = (ms: number) => tone(ms, 300, 10_000)

describe("EdgeFinder", () => {
  it("gives the same edges however the stream is cut (invariants 1–3)", () => {
    const stream = concat(
      silence(333),
      loud(500),
      silence(200),
      loud(111),
      silence(700),
      loud(97),
      silence(400),
      loud(50)
    )
    const cuts = [stream.length, 320, 512, 1, 777]
    const results = cuts.map((size) => {
      const edges = finder()
      const found = []
      for (let at = 0; at < stream.length; at += size) found.push(...edges.push(at, stream.subarray(at, at + size)))
      return [...found, ...edges.end()]
    })
    for (const result of results) assert.deepStrictEqual(result, results[0])
    const [first, second] = results[0]!
    assert.closeTo(first!.sampleIndex, 333 * 16, windowSamples)
    // 200 ms of silence do not end it; 700 do.
    assert.closeTo(second!.sampleIndex, (333 + 500 + 200 + 111) * 16, windowSamples)
    const positions = results[0]!.map((edge) => edge.sampleIndex)
    assert.deepStrictEqual(positions, positions.toSorted((a, b) => a - b))
  })

  it("hears a short gap as silence and ends an open speech at a long one, keeping positions", () => {
    const short = finder()
    short.push(0, loud(320))
    assert.deepStrictEqual(short.push(320 * 16 + 1_600, loud(320)), [])
    const long = finder()
    long.push(0, loud(320))
    const edges = long.push(100_000, concat(silence(320), loud(320)))
    assert.deepStrictEqual(edges.map((edge) => edge.edge), ["speech_ended", "speech_started"])
    assert.strictEqual(edges[0]!.sampleIndex, 320 * 16 - 1)
    assert.closeTo(edges[1]!.sampleIndex, 100_000 + 320 * 16, windowSamples)
  })

  it("can begin at any position, and ends nothing that did not start", () => {
    const edges = finder()
    assert.deepStrictEqual(edges.end(), [])
    const [start] = edges.push(48_000, concat(silence(100), loud(200)))
    assert.closeTo(start!.sampleIndex, 48_000 + 1_600, windowSamples)
  })

  it("runs a second model only for a distance between the thresholds that is not the model's own", () => {
    assert.deepStrictEqual(EdgeFinder.modelThresholds(settings), [0.5])
    assert.deepStrictEqual(EdgeFinder.modelThresholds({ ...settings, off_threshold: 0.2 }), [0.5, 0.35])
  })
})
