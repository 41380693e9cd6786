// What other settings would have changed in the recordings of the tree, and that the recorded settings change nothing.
import { assert, describe, layer } from "@effect/vitest"
import { applyOverrides } from "@rspp/timeline/replay/ConfigOverride"
import { Replayer } from "@rspp/timeline/replay/Replayer"
import type { WhatIfTotals } from "@rspp/timeline/replay/WhatIfEffects"
import { hasEffect, noEffect, sumOf } from "@rspp/timeline/replay/WhatIfEffects"
import { Effect } from "effect"
import { corpus, decode } from "./Corpus.ts"

const files = corpus().map(({ bytes, name }) => ({ name, timeline: decode(bytes) }))

/** What the settings change in each file. */
const under = (
  overridesOf: (config: (typeof files)[number]["timeline"]["header"]["session_config"]) => Array<string>
) =>
  Effect.forEach(files, ({ name, timeline }) =>
    Effect.gen(function*() {
      const { session_config } = timeline.header
      const { config } = yield* applyOverrides(session_config, overridesOf(session_config))
      const { identical, whatIf } = yield* (yield* Replayer).replay(timeline, { sessionConfig: config })
      if (whatIf === undefined) return assert.fail(`${name}: no outlook`)
      return { name, identical, whatIf }
    }))

/** How many files and turns are changed, and by what. */
const counted = (all: Effect.Success<ReturnType<typeof under>>) => {
  for (const { name, whatIf: { effects } } of all) assert.deepStrictEqual(sumOf(effects.turns), effects.totals, name)
  return {
    files: all.filter(({ whatIf }) => hasEffect(whatIf.effects.totals)).length,
    turns: all.reduce((sum, { whatIf }) => sum + whatIf.effects.turns.length, 0),
    totals: sumOf(all.map(({ whatIf }) => whatIf.effects.totals))
  }
}

const without = (totals: WhatIfTotals, ...names: ReadonlyArray<keyof WhatIfTotals>) => {
  for (const name of names) assert.strictEqual(totals[name], 0, name)
}

describe("a what-if on the corpus", () => {
  layer(Replayer.layer)((it) => {
    it.effect(
      "changes no turn of any recording and stops in none under the recorded settings",
      () =>
        Effect.gen(function*() {
          assert.isAtLeast(files.length, 50)
          const all = yield* under(({ barge_in, endpointing }) => [
            `barge_in.min_ms=${barge_in.min_ms}`,
            `endpointing.min_ms=${endpointing.min_ms}`
          ])
          for (const { identical, name, whatIf } of all) {
            assert.isTrue(identical, name)
            assert.deepStrictEqual(
              whatIf,
              { changes: [], effects: { totals: noEffect, turns: [] }, changed: [], notRecomputed: [] },
              name
            )
          }
        }),
      60_000
    )

    it.effect(
      "under a lower barge-in threshold has more and sooner cancels, and turns that end otherwise",
      () =>
        Effect.gen(function*() {
          const { files, totals, turns } = counted(yield* under(() => ["barge_in.min_ms=100"]))
          assert.isAtLeast(totals.cancels_added, 3)
          assert.isAtLeast(totals.cancels_moved, 4)
          assert.isAtLeast(totals.terminal_changes, 3)
          assert.isAtLeast(turns, 8)
          assert.isAtLeast(files, 8)
          without(totals, "cancels_removed", "dead_air_added_ms", "dead_air_removed_ms", "turns_cut_in_on")
        }),
      60_000
    )

    it.effect(
      "under a lower endpointing minimum has less dead air, and turns that cut in on who only paused",
      () =>
        Effect.gen(function*() {
          const { files, totals, turns } = counted(yield* under(() => ["endpointing.min_ms=50"]))
          assert.isAtLeast(totals.dead_air_removed_ms, 2000)
          assert.isAtLeast(totals.turns_cut_in_on, 1)
          assert.isAtLeast(turns, 6)
          assert.isAtLeast(files, 5)
          without(totals, "dead_air_added_ms")
        }),
      60_000
    )

    it.effect("under both has both", () =>
      Effect.gen(function*() {
        const { totals, turns } = counted(yield* under(() => ["barge_in.min_ms=100", "endpointing.min_ms=50"]))
        assert.isAtLeast(totals.dead_air_removed_ms, 2000)
        assert.isAtLeast(totals.cancels_added + totals.cancels_moved, 4)
        assert.isAtLeast(turns, 10)
      }), 60_000)

    it.effect(
      "goes to the end of most recordings, also where a question is asked at another time",
      () =>
        Effect.gen(function*() {
          const all = yield* under(({ endpointing: { min_ms, unfinished_ms } }) => [
            `endpointing.min_ms=${Math.min(unfinished_ms, min_ms + 400)}`
          ])
          const changed = all.filter(({ whatIf }) => hasEffect(whatIf.effects.totals))
          const whole = changed.filter(({ whatIf }) => whatIf.unknown_beyond === undefined)
          assert.isAtLeast(changed.length, 30)
          assert.isAtLeast(whole.length, changed.length / 2)
        }),
      60_000
    )
  })
})
