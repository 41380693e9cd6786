import { assert, describe, it } from "@effect/vitest"
import { makeCallScript } from "@rspp/transports/loopback/CallScript"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { runScriptedCall, speech } from "../support/ScriptedCall.ts"

describe("Example: a suite on TestClock", () => {
  it.effect("a caller who speaks over the reply is heard, and the reply stops", () =>
    Effect.gen(function*() {
      // The whole session runs on Effect's clock: under TestClock, two minutes of call take no time at all.
      const call = yield* Effect.forkChild(runScriptedCall({
        script: makeCallScript([
          { say: speech(900) },
          { say: speech(1200), at: { after: "agent_started", delay_ms: 800 } }
        ]),
        heard: ["tell me a story", "no, stop"],
        replies: ["Once upon a time there was a very long story that nobody ever heard to its end.", "Very well."]
      }))
      yield* TestClock.adjust("2 minutes")
      const { timeline } = yield* Fiber.join(call)

      const signals = timeline.records.flatMap((record) => record.record === "signal" ? [record.signal] : [])
      const story = signals.filter((signal) => signal.turn_id === "turn_1").map((signal) => signal.signal)
      assert.includeMembers(story, ["turn_open", "playback_started", "barge_in", "cancel", "abort", "close"])
      const cut = signals.find((signal) => signal.signal === "abort")
      assert.strictEqual(cut?.reason, "cancelled")
      assert.include(
        signals.filter((signal) => signal.turn_id === "turn_2").map((signal) => signal.signal),
        "commit"
      )
    }))
})
