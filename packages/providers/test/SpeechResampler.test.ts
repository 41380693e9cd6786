import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { resamplers } from "../src/internal/SpeechResampler.ts"

const toneAt = (rate: number, samples: number) =>
  Int16Array.from({ length: samples }, (_, at) => Math.round(12_000 * Math.sin(2 * Math.PI * 440 * at / rate)))

/** A tone of one second at 24 kHz in pieces of these lengths, over and over, at 16 kHz. */
const resampled = (...lengths: ReadonlyArray<number>) =>
  Effect.gen(function*() {
    const resampler = yield* yield* resamplers(24_000, 16_000)
    const input = toneAt(24_000, 24_000)
    const parts: Array<Int16Array> = []
    for (let from = 0, turn = 0; from < input.length; turn++) {
      const length = lengths[turn % lengths.length]!
      parts.push(resampler.push(input.subarray(from, from + length)))
      from += length
    }
    parts.push(resampler.end())
    for (const part of parts) assert.strictEqual(part.buffer.byteLength, part.byteLength)
    return Int16Array.from(parts.flatMap((part) => [...part]))
  }).pipe(Effect.scoped)

describe("the resampler of voices", () => {
  it.effect("gives the same sound, wherever it is cut", () =>
    Effect.gen(function*() {
      const whole = yield* resampled(24_000)
      assert.strictEqual(whole.length, 16_000)
      for (const lengths of [[1], [2_400], [1, 4_799, 7], [8_192, 8_193, 1]]) {
        assert.deepStrictEqual(yield* resampled(...lengths), whole)
      }
    }))

  it.effect("gives the tone that went in, without a click", () =>
    Effect.gen(function*() {
      const given = yield* resampled(2_401)
      const wanted = toneAt(16_000, 16_000)
      // The first and the last few samples hear the silence around the tone.
      for (let at = 60; at < given.length - 60; at++) {
        assert.isBelow(Math.abs(given[at]! - wanted[at]!), 60, `sample ${at}`)
      }
    }))

  it.effect("is as loud as a sound can be, and no louder", () =>
    Effect.gen(function*() {
      const resampler = yield* yield* resamplers(24_000, 16_000)
      const square = Int16Array.from({ length: 4_800 }, (_, at) => at % 240 < 120 ? 32_767 : -32_768)
      const given = resampler.push(square)
      for (let at = 1; at < given.length; at++) {
        // A sample that is too loud would come out with the other sign.
        if (Math.abs(square[Math.round(at * 1.5)]! - square[Math.round(at * 1.5) - 6]!) === 0) {
          assert.strictEqual(Math.sign(given[at]!), Math.sign(square[Math.round(at * 1.5)]!), `sample ${at}`)
        }
      }
    }))
})
