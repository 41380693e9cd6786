import { assert, describe, layer } from "@effect/vitest"
import type { SignalName } from "@rspp/contracts/Signal"
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { Effect, Fiber, Layer, Schema } from "effect"
import type { ReplayCursor } from "../../src/replay/ReplayCursor.ts"
import { ReplayCursors, SavedCursor } from "../../src/replay/ReplayCursor.ts"
import { randomScript } from "../support/randomScript.ts"
import { busyScript } from "../support/recording.ts"
import { scriptedSession } from "../support/ScriptedSession.ts"
import { SeededStream } from "../support/SeededStream.ts"

const busy = Effect.map(SessionKernel, (kernels) => scriptedSession(kernels, busyScript(4, 9)))

const toTheEnd = (cursor: ReplayCursor): ReadonlyArray<TimelineRecord> => {
  const outputs: Array<TimelineRecord> = []
  for (let step = cursor.step(); step !== undefined; step = cursor.step()) {
    assert.isUndefined(step.divergence?.message)
    outputs.push(...step.outputs)
  }
  return outputs
}

const isOutput = ({ record }: TimelineRecord) => record !== "input" && record !== "audio" && record !== "end"

const signals = (outputs: ReadonlyArray<TimelineRecord> = []) =>
  outputs.flatMap((record) => record.record === "signal" ? [record.signal] : [])

describe("a replay cursor", () => {
  layer(Layer.mergeAll(ReplayCursors.layer, SessionKernel.layer))((it) => {
    it.effect("gives, step by step, what was recorded", () =>
      Effect.gen(function*() {
        const timeline = yield* busy
        const cursor = yield* (yield* ReplayCursors).open(timeline)
        assert.deepStrictEqual(toTheEnd(cursor), timeline.records.filter(isOutput))
        assert.isTrue(cursor.isAtEnd)
        assert.isUndefined(cursor.step())
      }))

    it.effect("stops behind a number, in the middle of a run of frames too", () =>
      Effect.gen(function*() {
        const cursor = yield* (yield* ReplayCursors).open(yield* busy)
        const last = (yield* busy).records.at(-1)
        const end = last?.record === "end" ? last.last_sequence : 0
        for (const part of [0.01, 0.013, 0.2, 0.5, 0.7]) {
          const sequence = Math.floor(end * part)
          const { step, why } = yield* cursor.runTo({ sequence })
          assert.strictEqual(why, "reached")
          // An input and its outputs are one step; frames are counted one by one.
          if (step?.fed !== "end" && step?.fed.record === "audio") assert.strictEqual(cursor.nextSequence, sequence + 1)
          assert.isAbove(cursor.nextSequence, sequence)
        }
        assert.strictEqual((yield* cursor.runTo({ sequence: end + 1000 })).why, "end")
      }))

    it.effect("stops where a turn opens, and at a signal", () =>
      Effect.gen(function*() {
        const cursor = yield* (yield* ReplayCursors).open(yield* busy)
        const opened = yield* cursor.runTo({ turn: "turn_2" })
        assert.strictEqual(opened.why, "reached")
        assert.isTrue(
          signals(opened.step?.outputs).some(({ signal, turn_id }) => signal === "turn_open" && turn_id === "turn_2")
        )
        assert.strictEqual(cursor.turns, 2)
        const name: SignalName = "abort"
        const cut = yield* cursor.runTo({ signal: name })
        assert.isTrue(signals(cut.step?.outputs).some(({ signal }) => signal === name))
        assert.strictEqual((yield* cursor.runTo({ turn: "turn_1" })).why, "end", "it does not go back")
      }))

    it.effect(
      "that is saved anywhere and resumed gives the same from there on (100 places)",
      () =>
        Effect.gen(function*() {
          const kernels = yield* SessionKernel
          const cursors = yield* ReplayCursors
          const stream = new SeededStream(5, "places")
          for (let place = 0; place < 100; place++) {
            const timeline = scriptedSession(kernels, randomScript(place % 10))
            const first = yield* cursors.open(timeline)
            const steps = stream.between(0, 200)
            for (let step = 0; step < steps; step++) first.step(stream.between(1, 60))
            const text = JSON.stringify(first.save())
            const saved = yield* Schema.decodeUnknownEffect(SavedCursor)(JSON.parse(text))
            const second = yield* cursors.resume(timeline, saved)
            assert.deepStrictEqual(second.save(), first.save())
            assert.deepStrictEqual(toTheEnd(second), toTheEnd(first))
            assert.deepStrictEqual(second.save(), first.save())
          }
        }),
      60_000
    )

    it.effect("is not resumed on another recording, nor where other things came out", () =>
      Effect.gen(function*() {
        const kernels = yield* SessionKernel
        const cursors = yield* ReplayCursors
        const timeline = scriptedSession(kernels, busyScript(3, 1))
        const cursor = yield* cursors.open(timeline)
        yield* cursor.runTo({ turn: "turn_1" })
        const saved = cursor.save()
        const other = scriptedSession(kernels, busyScript(3, 2))
        assert.match((yield* Effect.flip(cursors.resume(other, saved))).message, /another recording/u)
        const changed = { ...saved, outputs_hash: "0".repeat(64) }
        assert.match((yield* Effect.flip(cursors.resume(timeline, changed))).message, /other things came out/u)
      }))

    it.effect("pauses between two steps, and goes on", () =>
      Effect.gen(function*() {
        const timeline = scriptedSession(yield* SessionKernel, busyScript(40, 3))
        const cursor = yield* (yield* ReplayCursors).open(timeline)
        const running = yield* Effect.forkChild(cursor.runTo({ turn: "turn_9999" }))
        yield* Effect.yieldNow
        cursor.pause()
        assert.strictEqual((yield* Fiber.join(running)).why, "paused")
        assert.isFalse(cursor.isAtEnd)
        assert.strictEqual((yield* cursor.runTo({ signal: "commit" })).why, "reached")
      }))

    it.effect("tells of a step that differs, and goes on", () =>
      Effect.gen(function*() {
        const timeline = yield* busy
        const records = timeline.records.map((record) =>
          record.record === "signal" && record.signal.signal === "commit"
            ? { ...record, signal: { ...record.signal, reason: "so" } }
            : record
        )
        const cursor = yield* (yield* ReplayCursors).open({ ...timeline, records })
        const { step } = yield* cursor.runTo({ signal: "commit" })
        assert.strictEqual(step?.divergence?.divergence_class, "OUTCOME_DIVERGENCE")
        assert.strictEqual((yield* cursor.runTo({ turn: "turn_2" })).why, "reached")
      }))
  })
})
