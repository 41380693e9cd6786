import { AttributeWriter, shownWithinMs } from "@rspp/transports/livekit/frontend/AttributeWriter"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { TestClock } from "effect/testing"

/** A server that keeps an attribute when the test says so, and counts calls that overlap. */
class Place {
  readonly calls: Array<string> = []
  overlaps = 0
  shows: string | undefined
  /** What the calls that are to come are answered with; absent: they wait for {@link answer}. */
  answers: ReadonlyArray<"kept" | "ignored" | "failed"> = []
  #waiting: (() => void) | undefined
  #underWay = 0

  readonly write = async (value: string): Promise<void> => {
    const how = this.answers[this.calls.length]
    this.calls.push(value)
    if (this.#underWay++ > 0) this.overlaps += 1
    try {
      if (how === undefined) await new Promise<void>((resolve) => void (this.#waiting = resolve))
      if (how === "failed") throw new Error("the server is busy")
      if (how !== "ignored") this.shows = value
    } finally {
      this.#underWay -= 1
    }
  }

  readonly shown = () => this.shows

  answer(): void {
    this.#waiting?.()
  }
}

const settle = TestClock.adjust(1)

/** A writer that has begun, and what it logs. */
const begin = (place: Place, first: string) =>
  Effect.gen(function*() {
    const writer = new AttributeWriter("lk.agent.state", first)
    yield* writer.start(place)
    yield* settle
    return writer
  })

const warnings: Array<string> = []
const logging = Logger.layer([
  Logger.make(({ message }) => {
    warnings.push(String(message))
  })
])

describe("AttributeWriter", () => {
  it.effect("writes the first value, and each change", () =>
    Effect.gen(function*() {
      const place = new Place()
      place.answers = ["kept", "kept"]
      const writer = yield* begin(place, "initializing")
      writer.set("initializing")
      yield* settle
      writer.set("listening")
      yield* settle
      assert.deepStrictEqual(place.calls, ["initializing", "listening"])
    }))

  it.effect("makes one of the values that come while a call is under way: the last is not lost, and no call overlaps", () =>
    Effect.gen(function*() {
      const place = new Place()
      const writer = yield* begin(place, "initializing")
      for (const value of ["listening", "thinking", "speaking", "listening", "thinking"]) {
        writer.set(value)
        yield* settle
      }
      assert.deepStrictEqual(place.calls, ["initializing"])
      for (let i = 0; i < 3; i++) {
        place.answer()
        yield* settle
      }
      assert.deepStrictEqual(place.calls, ["initializing", "thinking"])
      assert.strictEqual(place.shows, "thinking")
      assert.strictEqual(place.overlaps, 0)
    }))

  it.effect("tries a call that failed once more, with the newest value, and says so", () =>
    Effect.gen(function*() {
      warnings.length = 0
      const place = new Place()
      place.answers = ["kept", "failed", "kept"]
      const writer = yield* begin(place, "initializing")
      writer.set("thinking")
      yield* settle
      assert.deepStrictEqual(place.calls, ["initializing", "thinking", "thinking"])
      assert.lengthOf(warnings, 1)
      assert.include(warnings[0], "the server is busy")
    }).pipe(Effect.provide(logging)))

  it.effect("a refusal that the client hides is noticed: it is tried once more, and said once in a row", () =>
    Effect.gen(function*() {
      warnings.length = 0
      const place = new Place()
      place.answers = ["ignored", "ignored", "ignored", "ignored", "kept", "ignored"]
      const writer = yield* begin(place, "initializing")
      assert.lengthOf(place.calls, 1)
      yield* TestClock.adjust(shownWithinMs)
      assert.lengthOf(place.calls, 2)
      yield* TestClock.adjust(shownWithinMs)
      yield* TestClock.adjust(10 * shownWithinMs)
      assert.deepStrictEqual(place.calls, ["initializing", "initializing"])
      assert.lengthOf(warnings, 1)
      assert.include(warnings[0], "canUpdateOwnMetadata")
      writer.set("listening")
      yield* TestClock.adjust(3 * shownWithinMs)
      assert.lengthOf(place.calls, 4)
      assert.lengthOf(warnings, 1)
      writer.set("thinking")
      yield* settle
      writer.set("speaking")
      yield* TestClock.adjust(shownWithinMs)
      assert.lengthOf(warnings, 2)
    }).pipe(Effect.provide(logging)))

  it.effect("a newer value does not wait for an older one to be shown", () =>
    Effect.gen(function*() {
      const place = new Place()
      place.answers = ["kept", "ignored", "kept"]
      const writer = yield* begin(place, "initializing")
      writer.set("thinking")
      yield* settle
      writer.set("speaking")
      yield* settle
      assert.deepStrictEqual(place.calls, ["initializing", "thinking", "speaking"])
    }))

  it.effect("does not wait for the answer to a call when the server shows what it wrote", () =>
    Effect.gen(function*() {
      const place = new Place()
      const writer = yield* begin(place, "thinking")
      writer.set("speaking")
      yield* settle
      assert.deepStrictEqual(place.calls, ["thinking"])
      place.shows = "thinking"
      writer.look()
      yield* settle
      assert.deepStrictEqual(place.calls, ["thinking", "speaking"])
    }))

  it.effect("waits for the answer when the server showed the same before", () =>
    Effect.gen(function*() {
      const place = new Place()
      place.shows = "thinking"
      const writer = yield* begin(place, "thinking")
      writer.set("speaking")
      writer.look()
      yield* settle
      assert.deepStrictEqual(place.calls, ["thinking"])
      place.answer()
      yield* settle
      assert.deepStrictEqual(place.calls, ["thinking", "speaking"])
      assert.strictEqual(place.overlaps, 0)
    }))

  it.effect("writes the value again to a server that has forgotten it", () =>
    Effect.gen(function*() {
      const place = new Place()
      place.answers = ["kept", "kept"]
      const writer = yield* begin(place, "listening")
      place.shows = undefined
      writer.again()
      yield* settle
      assert.deepStrictEqual(place.calls, ["listening", "listening"])
    }))
})
