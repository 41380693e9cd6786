// What the outlook of a what-if replay says is what happens when the same call is made under that config.
import { assert, describe, layer } from "@effect/vitest"
import type { SessionConfig } from "@rspp/contracts/SessionConfig"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { applyOverrides } from "@rspp/timeline/replay/ConfigOverride"
import { Replayer } from "@rspp/timeline/replay/Replayer"
import { isMilestone, maxChanges } from "@rspp/timeline/replay/WhatIf"
import { randomScript } from "@rspp/timeline/test/support/randomScript"
import type { Script } from "@rspp/timeline/test/support/Script"
import type { ScriptedTimeline } from "@rspp/timeline/test/support/ScriptedSession"
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

/** In the order of arrival: a shuffled tie may fall otherwise when a call is made anew. */
const inOrder = { shuffleTies: false, timerLatenessMs: 0, abandon: false } as const

/** The caller speaks into most replies, for so long, and the recorded session is slow to let itself be cut. */
const bargingIn = (seed: number): Script => {
  const stream = new SeededStream(seed, "barge-in")
  return {
    seed,
    ...inOrder,
    lastsMs: 24_000,
    speech: [400, 9_000, 17_000].flatMap((atMs) => [
      { atMs, lastsMs: 900, words: 3, complete: true },
      { atMs: atMs + stream.between(1700, 3600), lastsMs: stream.between(80, 1600), words: stream.between(0, 3) }
    ]),
    // Every draw is of one value: how long a call takes must not depend on how many there were before it.
    providers: {
      finalMs: [20, 20],
      modelMs: [100, 100],
      sentences: [3, 3],
      sentenceChars: [30, 30],
      deltaMs: [4, 4],
      voiceMs: [50, 50],
      chunkMs: [3, 3],
      cancelMs: [0, 0]
    }
  }
}

const milestonesOf = ({ records }: ScriptedTimeline, untilMs: number): ReadonlyArray<string> =>
  records.flatMap((record) => {
    if (!isMilestone(record) || record.record !== "signal" || record.signal.runtime_timestamp_ms >= untilMs) return []
    const { runtime_timestamp_ms, signal, turn_id } = record.signal
    return [`signal ${signal} ${turn_id ?? ""} ${runtime_timestamp_ms}`]
  })

/** What each provider was asked, in order. */
const questionsOf = ({ records }: ScriptedTimeline, modality: string): ReadonlyArray<string> =>
  records.flatMap((record) =>
    record.record === "command" && record.command.type === "start_invocation" && record.command.modality === modality
      ? [record.command.idempotency_key]
      : []
  )

/** Scripted providers draw their times and faults for the n-th call: here that is another call than recorded. */
const drawnOtherwise = (recorded: ScriptedTimeline, anew: ScriptedTimeline): boolean =>
  ["stt", "llm", "tts"].some((modality) => {
    const [left, right] = [questionsOf(recorded, modality), questionsOf(anew, modality)]
    return left.some((question, at) => right[at] !== undefined && right[at] !== question)
  })

/** What the outlook says happens, as far as it knows, what happens, and how many of it come at another time. */
const compared = Effect.fnUntraced(function*(script: Script, overrides: ReadonlyArray<string>) {
  const kernels = yield* SessionKernel
  const timeline = scriptedSession(kernels, script)
  const { config } = yield* applyOverrides(timeline.header.session_config, overrides)
  const { whatIf } = yield* (yield* Replayer).replay(timeline, { sessionConfig: config })
  const { changes = [], unknown_beyond } = whatIf ?? {}
  const untilMs = unknown_beyond?.runtime_timestamp_ms ?? Number.POSITIVE_INFINITY
  const anew = scriptedSession(kernels, { ...script, header: { session_config: config satisfies SessionConfig } })
  const said = [...milestonesOf(timeline, Number.POSITIVE_INFINITY)]
  for (const { recorded_ms, turn_id, what } of changes) {
    if (recorded_ms !== undefined) said.splice(said.indexOf(`${what} ${turn_id ?? ""} ${recorded_ms}`), 1)
  }
  const foretold = changes.flatMap(({ replayed_ms, turn_id, what }) =>
    replayed_ms === undefined || replayed_ms >= untilMs ? [] : [`${what} ${turn_id ?? ""} ${replayed_ms}`]
  )
  const early = (line: string) => Number(line.split(" ").at(-1)) < untilMs
  return {
    /** So many changes are listed that some are not. */
    partly: changes.length >= maxChanges,
    drawnOtherwise: drawnOtherwise(timeline, anew),
    said: [...said, ...foretold].filter(early).toSorted(),
    happens: milestonesOf(anew, untilMs).toSorted(),
    foretold: foretold.length
  }
})

describe("the outlook of a what-if replay", () => {
  layer(Layer.mergeAll(Replayer.layer, SessionKernel.layer))((it) => {
    it.effect(`is what happens under that config (${sessions} sessions)`, () =>
      Effect.gen(function*() {
        let foretold = 0
        let left = 0
        for (let seed = 0; seed < sessions; seed++) {
          const overrides = overridesOf(new SeededStream(seed, "overrides"))
          const one = yield* compared({ ...randomScript(seed), ...inOrder }, overrides)
          if (one.partly || one.drawnOtherwise) {
            left++
            continue
          }
          assert.deepStrictEqual(one.said, one.happens, `seed ${seed} ${overrides.join(" ")}`)
          foretold += one.foretold
        }
        assert.isBelow(left, sessions / 10)
        assert.isAtLeast(foretold, 100)
      }), 60_000)

    it.effect(
      "is what happens when the caller cuts in sooner, later or not at all (150 sessions)",
      () =>
        Effect.gen(function*() {
          let foretold = 0
          for (let seed = 0; seed < 150; seed++) {
            const stream = new SeededStream(seed, "threshold")
            const overrides = [
              `barge_in.min_ms=${stream.between(50, 1200)}`,
              `endpointing.min_ms=${stream.between(0, 800)}`
            ]
            const one = yield* compared(bargingIn(seed), overrides)
            assert.deepStrictEqual(one.said, one.happens, `seed ${seed} ${overrides.join(" ")}`)
            foretold += one.foretold
          }
          assert.isAtLeast(foretold, 300)
        }),
      60_000
    )
  })
})
