// What the outlook of a what-if replay says is what happens when the same call is made under that config.
import { assert, describe, layer } from "@effect/vitest"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { applyOverrides } from "@rspp/timeline/replay/ConfigOverride"
import { Replayer } from "@rspp/timeline/replay/Replayer"
import { randomScript } from "@rspp/timeline/test/support/randomScript"
import type { Script } from "@rspp/timeline/test/support/Script"
import { scriptedSession } from "@rspp/timeline/test/support/ScriptedSession"
import { SeededStream } from "@rspp/timeline/test/support/SeededStream"
import { Effect, Layer } from "effect"

const sessions = 300

const overridesOf = (stream: SeededStream): ReadonlyArray<string> =>
  [
    [`endpointing.min_ms=${stream.between(0, 800)}`],
    [`endpointing.unfinished_ms=${stream.between(300, 2500)}`],
    [`barge_in.min_ms=${stream.between(0, 1500)}`],
    [`barge_in.false_alarm_ms=${stream.between(0, 3000)}`],
    [`recognition.max_utterance_ms=${stream.between(300, 20_000)}`],
    ["barge_in.enabled=false"],
    ["endpointing.mode=dynamic"],
    [`barge_in.min_words=${stream.between(1, 4)}`],
    [`idle.timeout_ms=${stream.between(500, 5000)}`]
  ][stream.between(0, 8)] ?? []

describe("the outlook of a what-if replay", () => {
  layer(Layer.mergeAll(Replayer.layer, SessionKernel.layer))((it) => {
    it.effect(`is what happens under that config (${sessions} sessions)`, () =>
      Effect.gen(function*() {
        const kernels = yield* SessionKernel
        const replayer = yield* Replayer
        let foretold = 0
        for (let seed = 0; seed < sessions; seed++) {
          const overrides = overridesOf(new SeededStream(seed, "overrides"))
          // In the order of arrival: a shuffled tie may fall otherwise when a call is made anew.
          const script: Script = { ...randomScript(seed), shuffleTies: false, timerLatenessMs: 0, abandon: false }
          const timeline = scriptedSession(kernels, script)
          const { config } = yield* applyOverrides(timeline.header.session_config, overrides)
          const report = yield* replayer.replay(timeline, { sessionConfig: config })
          const anew = scriptedSession(kernels, { ...script, header: { session_config: config } })
          const told = new Set(anew.records.flatMap((record) => {
            if (record.record !== "signal") return []
            const { runtime_timestamp_ms, signal, turn_id } = record.signal
            return [`signal ${signal} ${turn_id ?? ""} ${runtime_timestamp_ms}`]
          }))
          for (const { replayed_ms, turn_id, what } of report.whatIf?.changes ?? []) {
            if (replayed_ms === undefined) continue
            const said = `${what} ${turn_id ?? ""} ${replayed_ms}`
            assert.isTrue(told.has(said), `seed ${seed} ${overrides.join(" ")}: ${said}`)
            foretold++
          }
        }
        assert.isAtLeast(foretold, 30)
      }), 60_000)
  })
})
