import { assert, describe, it } from "@effect/vitest"
import { AudioHistory, historySeconds } from "@rspp/runtime/listening/AudioHistory"
import { frameSamples, sampleRateHz } from "@rspp/runtime/ports/AudioFrame"
import { numbers } from "./support/SeededNumbers.ts"

describe("audio history", () => {
  it("gives back what came, by its position, silence where it was lost, and never more than it holds", () => {
    const bound = historySeconds * sampleRateHz
    for (let seed = 1; seed <= 40; seed++) {
      const random = numbers(seed)
      const history = new AudioHistory()
      const first = random.below(3) * 1000
      const stream = new Map<number, number>()
      let end = first
      for (let step = 0; step < 300; step++) {
        // Now and then frames are lost: a few, or more than the history holds.
        if (step > 0 && random.chance(0.05)) end += frameSamples * random.below(random.chance(0.2) ? 400 : 10)
        const samples = Int16Array.from({ length: frameSamples }, () => 1 + random.below(30_000))
        samples.forEach((sample, i) => stream.set(end + i, sample))
        history.push({ sampleIndex: end, samples })
        end += frameSamples
        if (!random.chance(0.1)) continue
        const from = Math.max(0, end - random.below(bound * 2) + random.below(400))
        const start = Math.min(Math.max(from, first, end - bound), end)
        const got = history.from(from)
        assert.strictEqual(got.length, end - start, `seed ${seed}`)
        for (let i = 0; i < got.length; i++) {
          if (got[i] !== (stream.get(start + i) ?? 0)) assert.fail(`seed ${seed}: sample ${start + i}`)
        }
      }
    }
  })
})
