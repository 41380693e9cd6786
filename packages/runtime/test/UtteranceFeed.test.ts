import { assert, describe, it } from "@effect/vitest"
import { makeUtteranceFeed } from "@rspp/runtime/listening/UtteranceFeed"
import type { UtteranceFeed } from "@rspp/runtime/listening/UtteranceFeed"
import type { RecognitionInput } from "@rspp/runtime/ports/SpeechToText"
import { Context, Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"

/** Four frames may wait, and two more joined to the last of them. */
const bounds = { items: 4, bytes: 65_536, ms: 120 }
const fill = (feed: UtteranceFeed, frames: number) => {
  let dropped = 0
  for (let n = 0; n < frames; n++) dropped += feed.audio(frame(n))
  return dropped / 320
}
const heardOf = (items: ReadonlyArray<RecognitionInput>) =>
  items.flatMap((item) => item._tag === "Audio" ? [...item.samples] : [])
const frame = (n: number) => Int16Array.from({ length: 320 }, (_, i) => (n * 320 + i) % 30_000)

describe("the feed of a recogniser", () => {
  it.effect("gives audio and marks in their order, and ends with its utterance", () =>
    Effect.gen(function*() {
      const feed = makeUtteranceFeed(bounds, Context.empty())
      feed.audio(frame(0))
      feed.mark({ _tag: "Pause", pauseId: 1 })
      feed.mark({ _tag: "Resume" })
      feed.audio(frame(1))
      feed.mark({ _tag: "End" })
      const items = yield* Stream.runCollect(feed.stream)
      assert.deepStrictEqual(items.map(({ _tag }) => _tag), ["Audio", "Pause", "Resume", "Audio", "End"])
    }))

  it.effect("merges what a slow recogniser has not taken before it drops any, and counts what it drops", () =>
    Effect.gen(function*() {
      const feed = makeUtteranceFeed(bounds, Context.empty())
      assert.strictEqual(fill(feed, 4 + 2 + 7), 7)
      feed.mark({ _tag: "Pause", pauseId: 1 })
      feed.mark({ _tag: "End" })
      const items = yield* Stream.runCollect(feed.stream)
      assert.deepStrictEqual(heardOf(items), Array.from({ length: 6 }, (_, n) => [...frame(n)]).flat())
      assert.deepStrictEqual(items.map(({ _tag }) => _tag), [
        ...Array.from({ length: 5 }, () => "Audio"),
        "Pause",
        "End"
      ])
    }))

  it.effect("holds no more than its milliseconds, its bytes and its items, whichever is reached first", () =>
    Effect.sync(() => {
      const dropped = (change: object) => fill(makeUtteranceFeed({ ...bounds, ...change }, Context.empty()), 100)
      assert.strictEqual(dropped({ ms: 1000, items: 50 }), 50, "1 s of audio")
      assert.strictEqual(dropped({ ms: 60_000, bytes: 640 * 9 }), 91, "9 frames by their bytes")
      assert.strictEqual(dropped({ ms: 60_000, strategy: "drop" }), 96, "4 by their number: nothing is joined")
      assert.strictEqual(dropped({ ms: 60_000, strategy: "sample" }), 48, "every second one of those without a place")
    }))

  it.effect("has room again for as much as the recogniser has taken, and gives what came before it all at once", () =>
    Effect.gen(function*() {
      const feed = makeUtteranceFeed(bounds, Context.empty())
      feed.lead(new Int16Array(16_000))
      assert.strictEqual(fill(feed, 7), 1)
      const first = yield* Stream.runCollect(Stream.take(feed.stream, 3))
      assert.deepStrictEqual(first.map((item) => item._tag === "Audio" ? item.samples.length : 0), [16_000, 320, 320])
      assert.strictEqual(fill(feed, 7) < 7, true)
    }))

  it.effect("never loses the end, however many marks wait before it", () =>
    Effect.gen(function*() {
      const feed = makeUtteranceFeed(bounds, Context.empty())
      for (let n = 0; n < 500; n++) {
        feed.audio(frame(n))
        feed.mark({ _tag: "Pause", pauseId: n })
        feed.mark({ _tag: "Resume" })
      }
      feed.mark({ _tag: "End" })
      const reading = yield* Effect.forkChild(Stream.runCollect(feed.stream))
      yield* TestClock.adjust(1)
      assert.strictEqual((yield* Fiber.join(reading)).at(-1)?._tag, "End")
    }))
})
