// What-if: the recorded call under another session config.
import { assert, describe, layer } from "@effect/vitest"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { applyOverrides } from "@rspp/timeline/replay/ConfigOverride"
import { Replayer } from "@rspp/timeline/replay/Replayer"
import { noEffect } from "@rspp/timeline/replay/WhatIfEffects"
import type { Script } from "@rspp/timeline/test/support/Script"
import { conversation } from "@rspp/timeline/test/support/Script"
import { scriptedSession } from "@rspp/timeline/test/support/ScriptedSession"
import { simplePipeline } from "@rspp/timeline/test/support/SimplePipeline"
import { Effect, Layer } from "effect"

/** One question of 900 ms, heard as complete 20 ms after the pause, so that only endpointing decides when the turn opens. */
const quick: Script = {
  ...conversation(1, 3),
  speech: [{ atMs: 400, lastsMs: 900, words: 3, complete: true }],
  providers: { finalMs: [20, 20] }
}

const replayed = Effect.fnUntraced(function*(script: Script, ...overrides: ReadonlyArray<string>) {
  const timeline = scriptedSession(yield* SessionKernel, script)
  const { config } = yield* applyOverrides(timeline.header.session_config, overrides)
  return yield* (yield* Replayer).replay(timeline, { sessionConfig: config })
})

/** The same call made anew under the config, as far as signals go: what the outlook must agree with. */
const madeAnew = Effect.fnUntraced(function*(script: Script, ...overrides: ReadonlyArray<string>) {
  const kernels = yield* SessionKernel
  const { header } = scriptedSession(kernels, script)
  const { config } = yield* applyOverrides(header.session_config, overrides)
  const { records } = scriptedSession(kernels, { ...script, header: { session_config: config } })
  return records.flatMap((record) => record.record === "signal" ? [record.signal] : [])
})

describe("a what-if replay", () => {
  layer(Layer.mergeAll(Replayer.layer, SessionKernel.layer))((it) => {
    it.effect("under the recorded config is identical", () =>
      Effect.gen(function*() {
        const report = yield* replayed({ ...conversation(4, 9), timerLatenessMs: 4, jitterMs: 10 })
        assert.isTrue(report.identical)
        assert.deepStrictEqual(report.whatIf, {
          changes: [],
          effects: { totals: noEffect, turns: [] },
          changed: [],
          notRecomputed: []
        })
      }))

    for (const minMs of [600, 301]) {
      it.effect(`names the first divergence under endpointing.min_ms=${minMs}, and when the turn would have opened`, () =>
        Effect.gen(function*() {
          const override = `endpointing.min_ms=${minMs}`
          const report = yield* replayed(quick, override)
          assert.isFalse(report.identical)
          assert.strictEqual(report.divergence?.divergence_class, "TIMING_DIVERGENCE")
          assert.match(report.divergence?.message ?? "", /command arm_timer endpoint: due_ms/u)
          const opens = (yield* madeAnew(quick, override)).find(({ signal }) => signal === "turn_open")
          const recorded = (yield* madeAnew(quick)).find(({ signal }) => signal === "turn_open")
          const change = report.whatIf?.changes.find(({ what }) => what === "signal turn_open")
          assert.deepStrictEqual(change, {
            what: "signal turn_open",
            turn_id: "turn_1",
            recorded_ms: recorded?.runtime_timestamp_ms ?? -1,
            replayed_ms: opens?.runtime_timestamp_ms ?? -1
          })
          // The model is asked later and answers as long after that as it did: so does all that follows.
          assert.strictEqual(report.whatIf?.unknown_beyond, undefined)
          const commit = (yield* madeAnew(quick, override)).find(({ signal }) => signal === "commit")
          const ended = report.whatIf?.changes.find(({ what }) => what === "signal commit")
          assert.isNumber(commit?.runtime_timestamp_ms)
          assert.strictEqual(ended?.replayed_ms, commit?.runtime_timestamp_ms)
        }))
    }

    it.effect("goes on where a setting makes no difference to what happens", () =>
      Effect.gen(function*() {
        // The final text comes after either endpoint, so the turn opens when it comes.
        const report = yield* replayed({ ...quick, providers: { finalMs: [400, 400] } }, "endpointing.min_ms=200")
        assert.strictEqual(report.divergence?.divergence_class, "TIMING_DIVERGENCE")
        assert.deepStrictEqual(report.whatIf?.changes, [])
        assert.strictEqual(report.whatIf?.unknown_beyond, undefined)
      }))

    it.effect("shows a cut that another threshold would have made", () =>
      Effect.gen(function*() {
        // A sound of 350 ms over a long answer: no cut at 500 ms. At 300 ms it is one, as soon as its end would have been
        // noticed if it had been shorter.
        const script: Script = {
          ...quick,
          speech: [...quick.speech ?? [], { atMs: 3500, lastsMs: 350, words: 0 }],
          providers: { finalMs: [20, 20], sentences: [3, 3], sentenceChars: [40, 40] },
          lastsMs: 16_000
        }
        const report = yield* replayed(script, "barge_in.min_ms=300")
        assert.match(report.divergence?.message ?? "", /command arm_timer barge_in: due_ms/u)
        const cancel = report.whatIf?.changes.find(({ what }) => what === "signal cancel")
        assert.strictEqual(cancel?.recorded_ms, undefined)
        assert.strictEqual(cancel?.replayed_ms, 3500 + 300 + 250)
        const abort = report.whatIf?.changes.find(({ what }) => what === "signal abort")
        assert.strictEqual(abort?.replayed_ms, cancel?.replayed_ms)
        assert.deepInclude(report.whatIf?.effects.totals, { cancels_added: 1, terminal_changes: 1 })
        // Nothing is asked for after it that the recording has not.
        assert.strictEqual(report.whatIf?.unknown_beyond, undefined)
      }))

    it.effect("knows nothing of an answer to a conversation in which something else was heard", () =>
      Effect.gen(function*() {
        const script: Script = {
          ...quick,
          speech: [
            ...quick.speech ?? [],
            { atMs: 3500, lastsMs: 350, words: 0 },
            { atMs: 14_000, lastsMs: 900, words: 3, complete: true }
          ],
          providers: { finalMs: [20, 20], sentences: [3, 3], sentenceChars: [40, 40] },
          lastsMs: 22_000
        }
        const report = yield* replayed(script, "barge_in.min_ms=300")
        const { reason, runtime_timestamp_ms } = report.whatIf?.unknown_beyond ?? {}
        assert.match(reason ?? "", /start_invocation .* depends on how much of turn_1 was heard/u)
        const opens = (yield* madeAnew(script)).filter(({ signal }) => signal === "turn_open")
        assert.strictEqual(runtime_timestamp_ms, opens[1]?.runtime_timestamp_ms)
      }))

    it.effect("does not guess how an answer would have gone on that the caller did not cut", () =>
      Effect.gen(function*() {
        const script: Script = {
          ...quick,
          speech: [...quick.speech ?? [], { atMs: 3500, lastsMs: 900, words: 2 }],
          providers: { finalMs: [20, 20], sentences: [3, 3], sentenceChars: [40, 40] },
          lastsMs: 16_000
        }
        const report = yield* replayed(script, "barge_in.enabled=false")
        assert.strictEqual(report.divergence?.divergence_class, "OUTCOME_DIVERGENCE")
        assert.match(report.divergence?.message ?? "", /command pause_output of turn_1 is in the recording/u)
        const at = report.divergence?.at.runtime_timestamp_ms
        assert.deepStrictEqual(report.whatIf?.changes, [
          { what: "signal barge_in", turn_id: "turn_1", recorded_ms: at ?? -1 }
        ])
        assert.strictEqual(report.whatIf?.unknown_beyond?.runtime_timestamp_ms, at)
      }))

    it.effect("says of settings that act on sound that it cannot show them", () =>
      Effect.gen(function*() {
        const report = yield* replayed(quick, "voice_activity.on_threshold=0.9")
        assert.isTrue(report.identical)
        assert.deepStrictEqual(report.whatIf?.notRecomputed, ["voice_activity.on_threshold"])
      }))

    it.effect("is refused where the recording policy does not allow to decide anew", () =>
      Effect.gen(function*() {
        const pipeline = simplePipeline({
          recording_policy: { recording_level: "L0", allowed_replay_modes: ["playback_recorded_provider_outputs"] }
        })
        const script: Script = { ...quick, header: { pipeline } }
        const failure = yield* Effect.flip(replayed(script, "endpointing.min_ms=200"))
        assert.strictEqual(failure._tag, "ReplayModeNotAllowed")
        const timeline = scriptedSession(yield* SessionKernel, script)
        assert.isTrue((yield* (yield* Replayer).replay(timeline)).identical)
      }))
  })
})
