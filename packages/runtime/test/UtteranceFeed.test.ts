import { assert, describe, it } from "@effect/vitest"
import { makeUtteranceFeed } from "@rspp/runtime/listening/UtteranceFeed"
import { Context, Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"

const bounds = { items: 50, bytes: 65_536 }
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
      const merged = Math.floor(bounds.bytes / 640)
      let dropped = 0
      for (let n = 0; n < bounds.items + merged + 7; n++) dropped += feed.audio(frame(n))
      assert.strictEqual(dropped, 7 * 320)
      feed.mark({ _tag: "Pause", pauseId: 1 })
      feed.mark({ _tag: "End" })
      const items = yield* Stream.runCollect(feed.stream)
      const heard = items.flatMap((item) => item._tag === "Audio" ? [...item.samples] : [])
      assert.deepStrictEqual(heard, Array.from({ length: bounds.items + merged }, (_, n) => [...frame(n)]).flat())
      assert.deepStrictEqual(items.slice(-2).map(({ _tag }) => _tag), ["Pause", "End"])
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
