// Holds I-PATH-SUM, I-PATH-BOUND.
// The critical path of a turn: every ms of it is told once, live as offline, and no claim of the recorder is believed.
import { assert, describe, it, layer } from "@effect/vitest"
import { defaultSessionConfig } from "@rspp/contracts/SessionConfig"
import { behaviourFlags } from "@rspp/contracts/Timeline"
import type { TimelineRecord } from "@rspp/contracts/Timeline"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { Effect } from "effect"
import { criticalPathObserver, criticalPaths, maxFollowedTurns } from "../../src/latency/CriticalPath.ts"
import { rememberedFrames, SpeechClock } from "../../src/latency/SpeechClock.ts"
import type { TurnPath } from "../../src/latency/TurnPath.ts"
import { pathStages } from "../../src/latency/TurnPath.ts"
import { busyScript } from "../support/recording.ts"
import { randomScript } from "../support/randomScript.ts"
import type { Script } from "../support/Script.ts"
import { conversation } from "../support/Script.ts"
import { scriptedSession } from "../support/ScriptedSession.ts"
import { simplePipeline } from "../support/SimplePipeline.ts"

/** Providers that always take the same time. */
const exact = {
  finalMs: [100, 100],
  modelMs: [150, 150],
  sentences: [2, 2],
  sentenceChars: [20, 20],
  deltaMs: [5, 5],
  voiceMs: [60, 60],
  chunkMs: [2, 2],
  cancelMs: [10, 10]
} as const

const header = { behaviour_flags: Object.values(behaviourFlags) }

const run = (script: Script) =>
  Effect.map(SessionKernel, (kernels) => {
    const live: Array<TurnPath> = []
    const { records } = scriptedSession(
      kernels,
      { ...script, header: { ...header, ...script.header } },
      criticalPathObserver((path) => void live.push(path))
    )
    return { live, paths: criticalPaths(records), records }
  })

const typed = (atMs: number, id: string) => ({
  atMs,
  input: { type: "typed_text", handle: { id, payload_class: "text_raw", length: 12 } } as const
})

/** What must hold of every path, whatever happened. */
const addsUp = ({ at, response_ms, stages, turn_id }: TurnPath) => {
  let sum = 0
  for (const stage of pathStages) {
    const time = stages[stage]
    if (time === undefined) continue
    const parts = [time.kernel_ms, time.provider_ms, time.waiting_ms, time.transport_ms]
    for (const part of parts) assert.isTrue(Number.isInteger(part) && part >= 0, `${turn_id} ${stage}: ${part}`)
    assert.strictEqual(parts.reduce((all, part) => all + part, 0), time.ms, `${turn_id} ${stage}`)
    sum += time.ms
  }
  if (response_ms !== undefined) assert.strictEqual(sum, response_ms, `${turn_id}: ${JSON.stringify(stages)}`)
  if (at.playback_ms === undefined) assert.isUndefined(response_ms)
}

describe("the critical path", () => {
  layer(SessionKernel.layer)((it) => {
    it.effect("tells of a spoken turn what each stage took, and who took it", () =>
      Effect.gen(function*() {
        const { paths } = yield* run({ ...conversation(1), providers: exact })
        const [path] = paths
        if (path === undefined) return assert.fail("there is no turn")
        assert.strictEqual(path.outcome, "committed")
        // The caller spoke until 1300 ms; the endpoint is 300 ms later, the text is there 100 ms after the pause was noticed.
        assert.strictEqual(path.at.speech_end_ms, 1300)
        assert.deepStrictEqual(path.stages.endpointing, {
          ms: 350,
          kernel_ms: 0,
          provider_ms: 50,
          waiting_ms: 300,
          transport_ms: 0
        })
        assert.strictEqual(path.stages.open?.ms, 0)
        assert.deepInclude(path.stages.model_first_token, { ms: 150, provider_ms: 150 })
        assert.deepInclude(path.stages.voice_first_chunk, { ms: 60, provider_ms: 60 })
        assert.strictEqual(path.stages.egress?.ms, 0)
        assert.strictEqual(path.stages.playback?.transport_ms, path.stages.playback?.ms)
        assert.isUndefined(path.trouble)
        addsUp(path)
      }))

    it.effect("counts a typed turn from its proposal, and knows no end of speech", () =>
      Effect.gen(function*() {
        const { paths } = yield* run({ seed: 1, lastsMs: 8000, inputs: [typed(500, "h_text")], providers: exact })
        const [path] = paths
        if (path === undefined) return assert.fail("there is no turn")
        assert.isFalse(path.spoken)
        assert.isUndefined(path.at.speech_end_ms)
        assert.isUndefined(path.stages.endpointing)
        assert.strictEqual(path.at.proposed_ms, 500)
        assert.strictEqual(path.stages.model_first_token?.ms, 150)
      }))

    it.effect("takes the release of the key for the end of the caller's speech, where that ends it", () =>
      Effect.gen(function*() {
        const pipeline = simplePipeline({
          session_config: { ...defaultSessionConfig, turn_detection: "push_to_talk" }
        })
        const { paths } = yield* run({
          ...conversation(1),
          header: { pipeline, session_config: pipeline.session_config },
          providers: exact,
          inputs: [
            { atMs: 380, input: { type: "push_to_talk", state: "pressed" } },
            { atMs: 1450, input: { type: "push_to_talk", state: "released" } }
          ]
        })
        const [path] = paths
        if (path === undefined) return assert.fail("there is no turn")
        assert.strictEqual(path.at.speech_end_ms, 1450)
        assert.deepInclude(path.stages.endpointing, { ms: 100, provider_ms: 100, waiting_ms: 0 })
        addsUp(path)
      }))

    it.effect("ends where a turn was refused, and says by whom", () =>
      Effect.gen(function*() {
        const { live, paths } = yield* run({
          ...conversation(2),
          snapshots: { maxTurns: 1 },
          providers: exact
        })
        assert.deepStrictEqual(paths.map(({ outcome }) => outcome), ["committed", "reject"])
        assert.deepStrictEqual(Object.keys(paths[1]?.stages ?? {}), ["endpointing"])
        assert.isUndefined(paths[1]?.response_ms)
        assert.deepStrictEqual(live.map(({ turn_id }) => turn_id), ["turn_1", "turn_2"])
      }))

    it.effect("tells the pause before a call is tried again apart from the calls, and that there was trouble", () =>
      Effect.gen(function*() {
        const { paths } = yield* run({
          ...conversation(1),
          providers: exact,
          faults: [{ modality: "llm", call: 1, outcome: "overload", retryable: true, afterMs: 40 }]
        })
        const [path] = paths
        const token = path?.stages.model_first_token
        if (path === undefined || token === undefined) return assert.fail("there is no turn")
        assert.strictEqual(path.trouble, "provider_error (llm overload)")
        assert.strictEqual(token.provider_ms, 40 + 150)
        assert.isAbove(token.waiting_ms, 0)
        assert.strictEqual(token.kernel_ms, 0)
        addsUp(path)
      }))

    it.effect("is on the happy path where the caller cuts in later, and has the cut and the fence", () =>
      Effect.gen(function*() {
        const { paths } = yield* run({
          ...conversation(2, 5),
          speech: [
            { atMs: 400, lastsMs: 900, words: 3, complete: true },
            { atMs: 2400, lastsMs: 1400, words: 2, complete: true }
          ],
          lastsMs: 12_000,
          providers: { ...exact, sentences: [3, 3], sentenceChars: [60, 60] }
        })
        const [path] = paths
        assert.deepInclude(path, { outcome: "aborted", reason: "cancelled" })
        assert.isUndefined(path?.trouble)
        assert.isAtLeast(path?.at.fenced_ms ?? -1, path?.at.cancel_ms ?? 0)
      }))

    it.effect("leaves out what an aborted turn did not reach", () =>
      Effect.gen(function*() {
        const { paths } = yield* run({
          ...conversation(1),
          providers: exact,
          faults: [{ modality: "llm", call: 1, outcome: "blocked" }]
        })
        const [path] = paths
        assert.deepInclude(path, {
          outcome: "aborted",
          reason: "provider_failure",
          trouble: "provider_error (llm blocked)"
        })
        assert.deepStrictEqual(Object.keys(path?.stages ?? {}), ["endpointing", "open"])
      }))

    it.effect("is the same live as from the recording, adds up, and tells every turn once", () =>
      Effect.gen(function*() {
        for (const script of [busyScript(8, 7), ...[1, 2, 3, 4, 5, 6].map((seed) => randomScript(seed))]) {
          const { live, paths, records } = yield* run({ ...script, abandon: false })
          const proposed = records.filter((record) =>
            record.record === "transition" && record.transition.trigger === "turn_open_proposed"
          )
          assert.lengthOf(paths, proposed.length)
          const byTurn = (a: TurnPath, b: TurnPath) => a.turn_id < b.turn_id ? -1 : 1
          assert.deepStrictEqual(live.toSorted(byTurn), paths.toSorted(byTurn))
          for (const path of paths) addsUp(path)
        }
      }))

    it.effect("does not believe the recorder: evidence that says something else changes nothing", () =>
      Effect.gen(function*() {
        const { paths, records } = yield* run({ ...conversation(1), providers: exact })
        const lying = records.filter((record) => record.record !== "supplement").map((record): TimelineRecord =>
          record.record === "evidence"
            ? { ...record, evidence: { ...record.evidence, times: { ...record.evidence.times, first_output_ms: 1 } } }
            : record
        )
        assert.deepStrictEqual(criticalPaths(lying), paths)
      }))

    it.effect("does not grow with the session: past so many unfinished turns the oldest is told", () =>
      Effect.gen(function*() {
        const { paths, records } = yield* run({ ...conversation(1), providers: exact })
        const told: Array<string> = []
        const observer = criticalPathObserver(({ turn_id }) => void told.push(turn_id))
        const turns = maxFollowedTurns + 10
        for (let turn = 1; turn <= turns; turn++) {
          const id = `turn_${turn}`
          observer.outputs?.([{
            record: "transition",
            runtime_sequence: turn,
            runtime_timestamp_ms: turn,
            turn_id: id,
            transition: {
              from_state: "Idle",
              trigger: "turn_open_proposed",
              to_state: "Opening",
              deterministic: true
            }
          }])
        }
        assert.lengthOf(told, 10)
        observer.closed?.()
        assert.lengthOf(told, turns)
        assert.isNotEmpty(paths)
        assert.isNotEmpty(records)
      }))
  })
})

describe("the clock of the caller's speech", () => {
  it("places a sample where it was spoken: a frame arrives with its last sample", () => {
    const clock = new SpeechClock()
    clock.run(0, 100, 120, undefined)
    assert.deepStrictEqual([0, 320, 400].map((sample) => clock.at(sample)), [100, 120, 125])
  })

  it("follows jitter, and the run that holds the sample", () => {
    const clock = new SpeechClock()
    clock.run(0, 3, 20, [5, -5])
    clock.run(960, 10, 500, undefined)
    assert.deepStrictEqual([320, 640, 960].map((sample) => clock.at(sample)), [25, 40, 480])
  })

  it("knows nothing before the first frame, and nothing of what is long gone", () => {
    const clock = new SpeechClock()
    assert.isUndefined(clock.at(0))
    clock.run(0, rememberedFrames + 5, 20, undefined)
    assert.isUndefined(clock.at(4 * 320))
    assert.strictEqual(clock.at(5 * 320), 100)
  })
})
