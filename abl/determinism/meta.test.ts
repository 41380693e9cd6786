import { assert, describe, it } from "@effect/vitest"
import { canonicalJson } from "@rspp/contracts/CanonicalJson"
import { makeCallScript } from "@rspp/transports/loopback/CallScript"
import * as VirtualTime from "@rspp/transports/loopback/VirtualTime"
import { Effect } from "effect"
import { runScriptedCall, speech } from "../support/ScriptedCall.ts"

/** Two turns, the second cut off by a third. */
const call = VirtualTime.run(runScriptedCall({
  script: makeCallScript([
    { say: speech(900) },
    { say: speech(700) },
    { say: speech(1100), at: { after: "agent_started", delay_ms: 700 } }
  ]),
  heard: ["what is the time", "tell me a long story", "stop that please"],
  replies: [
    "It is noon. The sun is high.",
    "There was a man who walked a very long way. He never came home again. Nobody knows why he did that.",
    "I have stopped."
  ]
}))

const bytesOf = (records: ReadonlyArray<unknown>) => records.map((record) => canonicalJson(record)).join("\n")

describe("determinism", () => {
  it.live("the same scripted call, twice, gives the same bytes", () =>
    Effect.gen(function*() {
      const first = yield* call
      const second = yield* call
      assert.isAbove(first.timeline.records.length, 200)
      const turns = first.timeline.records.filter((record) =>
        record.record === "signal" && record.signal.signal === "close"
      )
      assert.strictEqual(turns.length, 3, "three turns were accepted and closed")
      assert.strictEqual(bytesOf(second.timeline.records), bytesOf(first.timeline.records))
      assert.deepStrictEqual(second.tracks, first.tracks)
    }))
})
