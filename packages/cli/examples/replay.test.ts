// A suite on TestClock: calls are held, looked at, and executed again. So are the recordings that were kept in fixtures/.
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { model } from "@rspp/providers/scripted/ScriptedProviders"
import { speech } from "@rspp/providers/scripted/ScriptedVoiceActivity"
import { read } from "@rspp/timeline/format/TimelineReader"
import { Replayer } from "@rspp/timeline/replay/Replayer"
import { makeCallScript } from "@rspp/transports/loopback/CallScript"
import { Effect } from "effect"
import { globSync } from "node:fs"
import { join } from "node:path"
import { playCall } from "./scripted.ts"

/** A caller who speaks over the reply. */
const interrupted = playCall({
  script: makeCallScript([
    { say: speech(900) },
    { say: speech(1200), at: { after: "agent_started", delay_ms: 800 } }
  ]),
  heard: ["tell me a story", "no, stop"],
  model: model(["Once upon a time there was a very long story that nobody ever heard to its end.", "Very well."])
})

describe("The agent", () => {
  it.effect("falls silent when the caller speaks over it, and answers what was said", () =>
    Effect.gen(function*() {
      const { records } = yield* interrupted
      const signals = records.flatMap((record) => (record.record === "signal" ? [record.signal] : []))
      const of = (turn: string) => signals.filter(({ turn_id }) => turn_id === turn)

      const story = of("turn_1").map(({ signal }) => signal)
      assert.includeMembers(story, ["turn_open", "playback_started", "barge_in", "cancel", "abort", "close"])
      assert.strictEqual(of("turn_1").find(({ signal }) => signal === "abort")?.reason, "cancelled")
      assert.include(of("turn_2").map(({ signal }) => signal), "commit")
    }))

  it.effect("decides the same when the call is executed again", () =>
    Effect.gen(function*() {
      const report = yield* (yield* Replayer).replay(yield* interrupted)
      assert.deepInclude(report, { identical: true, complete: true, turns: 2 })
    }).pipe(Effect.provide(Replayer.layer)))
})

const directory = join(import.meta.dirname, "fixtures")
const fixtures = globSync("**/*.timeline", { cwd: directory }).toSorted()

describe.runIf(fixtures.length > 0)("Calls that were kept", () => {
  it.effect.each(fixtures)("%s comes out identical", (file) =>
    Effect.gen(function*() {
      const report = yield* (yield* Replayer).replay(yield* read(join(directory, file)))
      assert.isTrue(report.identical, JSON.stringify(report.divergence))
    }).pipe(Effect.provide([Replayer.layer, NodeServices.layer])))
})
