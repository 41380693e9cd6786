// A recorder under pressure, in a whole session: what is told and kept, and what each replay mode makes of it.
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { recordingLevels, replayModes } from "@rspp/contracts/TurnPlan"
import type { RecordingLevel } from "@rspp/contracts/TurnPlan"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { layerOf } from "@rspp/runtime/nodes/NodeRegistry"
import { read } from "@rspp/timeline/format/TimelineReader"
import { evidenceCompleteness, formatIncomplete } from "@rspp/timeline/recorder/EvidenceCompleteness"
import * as FileRecorder from "@rspp/timeline/recorder/FileRecorder"
import { NodeResimulation } from "@rspp/timeline/replay/NodeResimulation"
import { Replayer } from "@rspp/timeline/replay/Replayer"
import type { ExecutedMode, ReplayTimeline } from "@rspp/timeline/replay/Replayer"
import { ExportLag } from "@rspp/timeline/store/ExportLag"
import { makeCallScript } from "@rspp/transports/loopback/CallScript"
import * as VirtualTime from "@rspp/transports/loopback/VirtualTime"
import { Context, Effect, FileSystem, Layer, Logger } from "effect"
import { changed, changedSignal } from "../support/Planted.ts"
import { playScriptedCall, speech } from "../support/ScriptedCall.ts"
import * as Scripted from "@rspp/providers/scripted/ScriptedProviders"
import * as ScriptedVoiceActivity from "@rspp/providers/scripted/ScriptedVoiceActivity"

const executed: ReadonlyArray<ExecutedMode> = [
  "playback_recorded_provider_outputs",
  "replay_decisions",
  "recompute_decisions"
]

/** Two turns, recorded to a file whose store is so far behind. */
const recordedWith = (recording_level: RecordingLevel, lagMs: number) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const file = `${yield* fs.makeTempDirectoryScoped({ prefix: "rspp-lag-" })}/call.timeline`
    const lag = Layer.succeedContext(Context.make(ExportLag, { lagMs: () => lagMs }))
    yield* Effect.provide(
      VirtualTime.run(playScriptedCall({
        script: makeCallScript([{ say: speech(900) }, { say: speech(1200) }]),
        heard: ["tell me a story", "thank you"],
        replies: ["Once upon a time there was a man.", "Very well."],
        spec: { recording_policy: { recording_level, allowed_replay_modes: replayModes } }
      })),
      FileRecorder.layer({ to: () => file }).pipe(Layer.provide(lag)),
      { local: true }
    )
    const timeline: ReplayTimeline = yield* read(file, { validate: true })
    return timeline
  }).pipe(Effect.scoped, Effect.provide([NodeServices.layer, Logger.layer([])]))

const downgrades = ({ records }: ReplayTimeline) =>
  records.flatMap((record) =>
    record.record === "signal" && record.signal.signal === "recording_level_downgraded" ? [record.signal.reason] : []
  )
const behind = ({ records }: ReplayTimeline) =>
  records.slice(
    records.findLastIndex((one) => one.record === "signal" && one.signal.signal === "recording_level_downgraded")
  )
const resimulated = (timeline: ReplayTimeline) =>
  NodeResimulation.use((simulation) => simulation.resimulate(timeline)).pipe(
    Effect.provide(
      NodeResimulation.layerNoDeps.pipe(
        Layer.provide([ScriptedVoiceActivity.layer, Scripted.segmenter, layerOf([])])
      )
    )
  )

describe("a session whose store is behind", () => {
  for (
    const [lagMs, told, lowest] of [
      [1999, [], "L2"],
      [2000, ["export_lag:L2_to_L1"], "L1"],
      [5000, ["export_lag:L2_to_L1", "export_lag:L1_to_L0"], "L0"]
    ] as const
  ) {
    it.live(`by ${lagMs} ms is recorded at ${lowest}, and replays identical in each mode`, () =>
      Effect.gen(function*() {
        const timeline = yield* recordedWith("L2", lagMs)
        assert.deepStrictEqual(downgrades(timeline), [...told])
        const end = timeline.records.at(-1)
        assert.strictEqual(end?.record === "end" ? end.not_captured?.level : undefined, lowest)
        const turns = evidenceCompleteness(timeline.records)
        assert.deepStrictEqual(formatIncomplete(turns), [])
        assert.strictEqual(turns.length, 2)
        const evidence = timeline.records.flatMap((one) => one.record === "evidence" ? [one.evidence] : [])
        assert.strictEqual(evidence.at(-1)?.recording_level, lowest)
        if (lowest !== "L2") {
          assert.isFalse(behind(timeline).some(({ record }) => record === "caller_audio"))
          const text = behind(timeline).flatMap((one) => one.record === "payload" ? [one.action] : [])
          assert.isTrue(text.every((action) => action === "mask" && lowest === "L1"))
        }
        const replayer = yield* Replayer
        for (const mode of executed) {
          const report = yield* replayer.replay(timeline, { mode })
          assert.isTrue(report.identical, `${mode}: ${report.divergence?.message}`)
          assert.isTrue(report.complete, mode)
        }
      }).pipe(Effect.provide(Replayer.layer)))
  }

  it.live("refuses to let voice activity hear a caller that was left out, and says why", () =>
    Effect.gen(function*() {
      assert.isTrue((yield* resimulated(yield* recordedWith("L2", 0))).identical)
      const refused = yield* Effect.flip(resimulated(yield* recordedWith("L2", 2000)))
      assert.strictEqual(refused._tag, "ReplayNotCaptured")
      assert.match(refused.message, /the recording went down to L1|of level L1, has none/u)
      const partly = changed(yield* recordedWith("L2", 0), "end", () => true, (end) => ({
        ...end,
        not_captured: {
          level: "L1",
          caller_audio: "part",
          payloads: [],
          detail_dropped: 0,
          records_lost: 0,
          lowered_turns: [{ first_turn: "turn_2", last_turn: "turn_2", turns: 1, level: "L1" }]
        }
      }))
      assert.match(
        (yield* Effect.flip(resimulated(partly))).message,
        /the recording went down to L1, from turn_2 on \(lowered_turns\) \(caller_audio\)/u
      )
    }))

  it.live("at L0 says nothing: there is nothing to go down to", () =>
    Effect.gen(function*() {
      const timeline = yield* recordedWith("L0", 9000)
      assert.deepStrictEqual(downgrades(timeline), [])
      assert.isFalse(timeline.records.some((one) => one.record === "input" && one.input.type === "recording_pressure"))
    }))
})

describe("what a downgrade is held to", () => {
  it.live("another reason, and evidence of another level, are found", () =>
    Effect.gen(function*() {
      const timeline = yield* recordedWith("L2", 2000)
      const replayer = yield* Replayer
      const other = changedSignal(timeline, "recording_level_downgraded", { reason: "export_lag:L2_to_L0" })
      for (const mode of ["playback_recorded_provider_outputs", "recompute_decisions"] as const) {
        assert.strictEqual((yield* replayer.replay(other, { mode })).divergence?.divergence_class, "OUTCOME_DIVERGENCE")
      }
      for (const level of recordingLevels.filter((one) => one !== "L1")) {
        const lying = changed(timeline, "evidence", () => true, (record) => ({
          ...record,
          evidence: { ...record.evidence, recording_level: level }
        }))
        const [turn] = evidenceCompleteness(lying.records)
        assert.match(
          turn?.contradicted.join() ?? "",
          new RegExp(`recording_level: "${level}", but the record says "L1"`)
        )
        for (const mode of ["playback_recorded_provider_outputs", "replay_decisions"] as const) {
          assert.isFalse((yield* replayer.replay(lying, { mode })).identical)
        }
      }
    }).pipe(Effect.provide(Replayer.layer)))

  it.live("a kernel of before has the same answer to the same input", () =>
    Effect.gen(function*() {
      const { header, records } = yield* recordedWith("L2", 2000)
      const kernels = yield* SessionKernel
      const kernel = kernels.open({ ...header, behaviour_flags: [1, 2, 3, 4] })
      const input = records.find((one) => one.record === "input" && one.input.type === "recording_pressure")
      assert(input?.record === "input")
      const { outputs } = kernel.step(input.input, 0)
      assert.deepStrictEqual(outputs.map(({ record }) => record), ["signal", "command"])
    }).pipe(Effect.provide(SessionKernel.layer)))
})
