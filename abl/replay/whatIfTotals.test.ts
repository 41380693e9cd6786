// What another setting comes to, by turn and in total.
import { assert, describe, it, layer } from "@effect/vitest"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { runSeed } from "@rspp/simulation/Run"
import { applyOverrides } from "@rspp/timeline/replay/ConfigOverride"
import type { ReplayTimeline } from "@rspp/timeline/replay/Replayer"
import { Replayer } from "@rspp/timeline/replay/Replayer"
import type { Milestone } from "@rspp/timeline/replay/WhatIfEffects"
import { effectsOf, hasEffect, noEffect, sumOf } from "@rspp/timeline/replay/WhatIfEffects"
import type { Script } from "@rspp/timeline/test/support/Script"
import { conversation } from "@rspp/timeline/test/support/Script"
import { scriptedSession } from "@rspp/timeline/test/support/ScriptedSession"
import { simplePipeline } from "@rspp/timeline/test/support/SimplePipeline"
import { Effect, Layer } from "effect"

/** A recording whose disk took no more lacks records, and says so: it cannot be executed again. */
const isLacking = (records: ReplayTimeline["records"]): boolean =>
  records.some((record) => record.record === "end" && (record.not_captured?.records_lost ?? 0) > 0)

/** Simulated calls, with their faults. */
const corpus: ReadonlyArray<ReplayTimeline> = Array.from({ length: 16 }, (_, at) => at + 1).flatMap((seed) =>
  runSeed(seed, { replay: false, check: () => [] }).sessions.flatMap(({ header, records }) =>
    header === undefined || isLacking(records) ? [] : [{ header, records }]
  )
)

const effectsUnder = Effect.fnUntraced(function*(timeline: ReplayTimeline, overrides: ReadonlyArray<string>) {
  const { config } = yield* applyOverrides(timeline.header.session_config, overrides)
  const { whatIf } = yield* (yield* Replayer).replay(timeline, { sessionConfig: config })
  return whatIf?.effects ?? { totals: noEffect, turns: [] }
})

/** One question of 900 ms, heard as complete 20 ms after the pause. */
const quick: Script = {
  ...conversation(1, 3),
  speech: [{ atMs: 400, lastsMs: 900, words: 3, complete: true }],
  providers: { finalMs: [20, 20] }
}

const open = (turnId: string, atMs: number): Milestone => ({ what: "signal turn_open", turnId, atMs })

describe("what another setting comes to", () => {
  layer(Layer.mergeAll(Replayer.layer, SessionKernel.layer))((it) => {
    it.effect("is nothing in any simulated call when the setting is the recorded one", () =>
      Effect.gen(function*() {
        assert.isAtLeast(corpus.length, 10)
        for (const timeline of corpus) {
          const { barge_in, endpointing } = timeline.header.session_config
          const same = [`endpointing.min_ms=${endpointing.min_ms}`, `barge_in.min_ms=${barge_in.min_ms}`]
          assert.deepStrictEqual(yield* effectsUnder(timeline, same), { totals: noEffect, turns: [] })
          const { header } = timeline
          const report = yield* (yield* Replayer).replay(timeline, { pipeline: header.pipeline })
          assert.isTrue(report.identical)
          assert.deepStrictEqual(report.whatIf?.changed, [])
        }
      }))

    it.effect("is changed turns in simulated calls when the caller is cut and answered sooner", () =>
      Effect.gen(function*() {
        const sooner = ["endpointing.min_ms=50", "barge_in.min_ms=50"]
        const all = yield* Effect.forEach(corpus, (timeline) => effectsUnder(timeline, sooner))
        const totals = sumOf(all.map((effects) => effects.totals))
        assert.isAtLeast(all.filter((effects) => hasEffect(effects.totals)).length, 3)
        assert.isAtLeast(totals.cancels_added + totals.cancels_moved, 1)
        assert.strictEqual(totals.dead_air_added_ms, 0)
        for (const { totals, turns } of all) assert.deepStrictEqual(sumOf(turns), totals)
      }))

    for (const [minMs, name] of [[600, "dead_air_added_ms"], [200, "dead_air_removed_ms"]] as const) {
      it.effect(`is ${name} when a turn opens at ${minMs} ms of silence`, () =>
        Effect.gen(function*() {
          const timeline = scriptedSession(yield* SessionKernel, quick)
          const shift = Math.abs(minMs - timeline.header.session_config.endpointing.min_ms)
          const { totals, turns } = yield* effectsUnder(timeline, [`endpointing.min_ms=${minMs}`])
          // Voice activity notices the silence after 250 ms, so that no turn can open before.
          assert.isAtLeast(totals[name], Math.min(shift, 20))
          assert.isAtMost(totals[name], shift)
          assert.deepStrictEqual(turns, [{ turn: "turn_1", ...noEffect, [name]: totals[name] }])
        }))
    }

    it.effect("is a turn that cuts in on the caller, who only paused", () =>
      Effect.gen(function*() {
        const script: Script = {
          ...quick,
          speech: [
            { atMs: 400, lastsMs: 900, words: 3, complete: false },
            { atMs: 2000, lastsMs: 900, words: 3, complete: true }
          ]
        }
        const timeline = scriptedSession(yield* SessionKernel, script)
        assert.strictEqual((yield* effectsUnder(timeline, ["endpointing.unfinished_ms=800"])).totals.turns_cut_in_on, 0)
        const { totals } = yield* effectsUnder(timeline, ["endpointing.unfinished_ms=400"])
        assert.strictEqual(totals.turns_cut_in_on, 1)
      }))

    it.effect("is told of a policy that allows less, and is nothing where the policy is the recorded one", () =>
      Effect.gen(function*() {
        const script: Script = {
          ...conversation(3, 4),
          header: { pipeline: simplePipeline({ allowed_adaptive_actions: ["retry"] }) },
          faults: [{ modality: "llm", call: 2, outcome: "overload", retryable: true }]
        }
        const timeline = scriptedSession(yield* SessionKernel, script)
        const { pipeline } = timeline.header
        const policy = {
          allowed_adaptive_actions: pipeline.allowed_adaptive_actions,
          max_recording_level: "L2",
          allowed_replay_modes: pipeline.recording_policy.allowed_replay_modes
        } as const
        const replayer = yield* Replayer
        const same = yield* replayer.replay(timeline, { policy })
        assert.isTrue(same.identical)
        assert.deepStrictEqual(same.whatIf?.changed, [])
        const stricter = yield* replayer.replay(timeline, { policy: { ...policy, allowed_adaptive_actions: [] } })
        assert.strictEqual(stricter.divergence?.divergence_class, "PLAN_DIVERGENCE")
        assert.deepStrictEqual(stricter.whatIf?.changed, ["policy"])
      }))
  })
})

describe("the count of effects", () => {
  const none = { speechMs: [], endMs: Number.POSITIVE_INFINITY }

  it("takes a turn that only one side has as one more or fewer, and says nothing of what is not known", () => {
    const one = [open("turn_1", 100)]
    assert.deepInclude(effectsOf({ ...none, recorded: [], replayed: one }).totals, { turns_added: 1 })
    assert.deepInclude(effectsOf({ ...none, recorded: one, replayed: [] }).totals, { turns_removed: 1 })
    assert.deepStrictEqual(effectsOf({ ...none, recorded: one, replayed: [], endMs: 100 }).totals, noEffect)
  })

  it("tells another ending, another reason, cancels and drops", () => {
    const of = (what: string, atMs: number, reason?: string): Milestone => ({
      what: `signal ${what}`,
      turnId: "turn_1",
      atMs,
      ...(reason === undefined ? {} : { reason })
    })
    const recorded = [of("cancel", 5), of("drop_notice", 6), of("abort", 9, "cancelled")]
    const replayed = [of("cancel", 4), of("cancel", 5), of("abort", 9, "provider_failure")]
    assert.deepStrictEqual(effectsOf({ ...none, recorded, replayed }).totals, {
      ...noEffect,
      cancels_added: 1,
      cancels_moved: 1,
      drops_removed: 1,
      terminal_changes: 1
    })
    assert.deepStrictEqual(effectsOf({ ...none, recorded, replayed: recorded }).turns, [])
  })
})
