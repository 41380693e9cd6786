import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { failuresOf } from "@rspp/providers/hosted/Failures"
import { Base64Pcm } from "@rspp/providers/tts/Base64Pcm"
import { speechLines } from "@rspp/providers/tts/SpeechResponse"
import { SpokenText, SpokenWords } from "@rspp/providers/tts/SpokenText"

// A small seeded generator: of characters that matter, cut at random places.
const random = (seed: number) => () => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
  return seed / 2 ** 32
}

const characters = ["a", "b", " ", ".", "ü", "\u0308", "你", "🎉", "👩‍👧", "שלום", "  ", "12", "\t"]

type Random = () => number

const upTo = (next: Random, most: number) => Math.floor(next() * (most + 1))

const listOf = <A>(next: Random, most: number, one: () => A): Array<A> => Array.from({ length: upTo(next, most) }, one)

const textOf = (next: Random) => listOf(next, 30, () => characters[upTo(next, characters.length - 1)]!).join("")

const cutsOf = (next: Random) => listOf(next, 12, () => upTo(next, 5_000))

const seeds = Array.from({ length: 300 }, (_, seed) => random(seed + 1))

/** A whole, cut at these places. */
const pieces = <A extends { readonly length: number }>(
  whole: A,
  at: ReadonlyArray<number>,
  cut: (from: number, to: number) => A
) => {
  const places = [...new Set(at.map((place) => whole.length === 0 ? 0 : place % whole.length))].sort((a, b) => a - b)
  return [...places, whole.length].map((to, index) => cut(places[index - 1] ?? 0, to))
}

describe("what was spoken of a text", () => {
  it("is all of it after its characters, one by one", () => {
    for (const next of seeds) {
      const text = textOf(next)
      const spoken = new SpokenText(text)
      for (const character of text) spoken.say(character)
      assert.strictEqual(spoken.chars, text.length)
    }
  })

  it("never goes back, and never beyond its end, whatever is said", () => {
    for (const next of seeds) {
      const text = textOf(next)
      const said = listOf(next, 10, () => textOf(next).slice(0, upTo(next, 4)))
      const spoken = new SpokenText(text)
      let before = 0
      for (const piece of said) {
        const now = spoken.say(piece)
        assert.isAtLeast(now, before)
        assert.isAtMost(now, text.length)
        before = now
      }
    }
  })

  it("follows words over what is not spoken, and stays where it is for a word that is not there", () => {
    const spoken = new SpokenText("It costs $5 — call 911, \"now\"!")
    assert.deepStrictEqual(
      ["It", "costs", "five", "dollars", "call", "911", "now"].map((word) => spoken.say(word)),
      [2, 8, 8, 8, 18, 22, 28]
    )
  })

  it("does not find a word in the middle of another one", () => {
    const spoken = new SpokenText("It is 1 day late, and everyone is two-faced tomorrow")
    assert.deepStrictEqual(
      ["It", "is", "one", "day", "to", "everyone"].map((word) => spoken.say(word)),
      [2, 5, 5, 11, 11, 30]
    )
  })

  it("is told with the sound that has said it", () => {
    const words = new SpokenWords("Good day to you")
    words.place("Good", 1_600)
    words.place("day", 3_200)
    assert.deepStrictEqual(words.with(new Int16Array(800)).saidChars, undefined)
    assert.deepStrictEqual(words.with(new Int16Array(800)).saidChars, 4)
    words.place("to", 4_000)
    assert.deepStrictEqual(words.with(new Int16Array(1_000)).saidChars, 4)
    assert.deepStrictEqual(words.with(new Int16Array(1_400)).saidChars, 11)
  })
})

describe("PCM in base64", () => {
  it("is the same samples, wherever its bytes are cut", () => {
    for (const next of seeds) {
      const whole = Uint8Array.from({ length: 2 * upTo(next, 200) }, () => upTo(next, 255))
      const at = cutsOf(next)
      const pcm = new Base64Pcm()
      const samples = pieces(whole, at, (from, to) => whole.subarray(from, to))
        .map((piece) => pcm.read(Buffer.from(piece).toString("base64")) ?? assert.fail("no base64"))
      for (const some of samples) assert.strictEqual(some.buffer.byteLength, some.byteLength)
      const given = Buffer.concat(samples.map((some) => Buffer.from(some.buffer)))
      assert.deepStrictEqual(given, Buffer.from(whole))
      assert.isFalse(pcm.isCut)
    }
  })

  it("is refused when it is no base64", () => {
    for (const text of ["-", "A", "AAA", "AA=A", "A*AA", "AAAA AAA", "<!doctype html>"]) {
      assert.isUndefined(new Base64Pcm().read(text), text)
    }
  })
})

describe("an answer in lines", () => {
  it.effect("has the same lines, wherever it is cut", () =>
    Effect.gen(function*() {
      for (const next of seeds) {
        const lines = listOf(next, 8, () => textOf(next))
        const whole = Buffer.from(lines.map((line) => `${line}\n`).join(""))
        const body = Stream.fromIterable(pieces(whole, cutsOf(next), (from, to) => whole.subarray(from, to)))
        const given = yield* Stream.runCollect(speechLines(body, failuresOf("a/b", "the vendor")))
        assert.deepStrictEqual(given, lines.map((line) => line.trim()).filter((line) => line !== ""))
      }
    }))

  it.effect("is refused when a line does not end", () =>
    Effect.gen(function*() {
      const body = Stream.fromIterable(Array.from({ length: 5 }, () => Buffer.alloc(1024 * 1024, "x")))
      const failure = yield* Effect.flip(Stream.runDrain(speechLines(body, failuresOf("a/b", "the vendor"))))
      assert.deepInclude({ ...failure }, { outcome_class: "infrastructure_failure", retryable: true })
    }))
})
