import { assert, describe, it } from "@effect/vitest"
import { Recorder } from "@rspp/runtime/ports/Recorder"
import { Effect } from "effect"
import { layer, MemoryTimelines } from "../../src/recorder/MemoryRecorder.ts"
import { makeHeader } from "./support/Fixture.ts"
import { recording, usualSession } from "./support/Recording.ts"
import { Script } from "./support/Script.ts"

const play = (refuse?: (turn: string) => boolean) =>
  Effect.gen(function*() {
    const answers: Array<readonly [string, string]> = []
    const header = makeHeader()
    yield* Effect.scoped(Effect.gen(function*() {
      const recorder = yield* (yield* Recorder).open({
        header,
        onAppended: (...answer) => void answers.push(answer)
      })
      usualSession(new Script(recorder, header))
      assert.deepStrictEqual(answers, [], "not during the call")
      yield* Effect.yieldNow
      yield* Effect.yieldNow
      recorder.closing("ended")
    }))
    return { answers, timeline: (yield* MemoryTimelines).get("ses_1") }
  }).pipe(Effect.provide(layer(refuse === undefined ? {} : { refuse }), { local: true }))

describe("the recorder in memory", () => {
  it.effect("keeps the records that a file would hold", () =>
    Effect.gen(function*() {
      const { answers, timeline } = yield* play()
      assert.deepStrictEqual(timeline?.records, recording(usualSession).records)
      assert.deepStrictEqual(answers, [["turn_1", "appended"], ["turn_3", "appended"]])
    }))

  it.effect("refuses the evidence that it is told to refuse", () =>
    Effect.gen(function*() {
      const { answers } = yield* play((turn) => turn === "turn_1")
      assert.deepStrictEqual(answers, [["turn_1", "refused"], ["turn_3", "appended"]])
    }))
})
