// Each replay mode does something of its own: what one finds another does not look at.
import { assert, describe, it, layer } from "@effect/vitest"
import type { DivergenceClass } from "@rspp/contracts/Divergence"
import type { ReplayMode } from "@rspp/contracts/TurnPlan"
import { replayModes } from "@rspp/contracts/TurnPlan"
import { builtInNodes } from "@rspp/providers/nodes/BuiltInNodes"
import { layerOf } from "@rspp/runtime/nodes/NodeRegistry"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import { VoiceActivity } from "@rspp/runtime/ports/VoiceActivity"
import { runSeed } from "@rspp/simulation/Run"
import { NodeResimulation } from "@rspp/timeline/replay/NodeResimulation"
import type { ExecutedMode, ReplayTimeline } from "@rspp/timeline/replay/Replayer"
import { Replayer } from "@rspp/timeline/replay/Replayer"
import type { Script } from "@rspp/timeline/test/support/Script"
import { conversation } from "@rspp/timeline/test/support/Script"
import { scriptedSession } from "@rspp/timeline/test/support/ScriptedSession"
import { makeCallScript } from "@rspp/transports/loopback/CallScript"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { changed, changedInput, changedSignal, without } from "../support/Planted.ts"
import { runScriptedCall, speech } from "../support/ScriptedCall.ts"
import * as Scripted from "@rspp/providers/scripted/ScriptedProviders"
import * as ScriptedVoiceActivity from "@rspp/providers/scripted/ScriptedVoiceActivity"

const executed: ReadonlyArray<ExecutedMode> = [
  "playback_recorded_provider_outputs",
  "replay_decisions",
  "recompute_decisions"
]

/** Two answered questions; the third answer is cut by the caller. */
const script: Script = {
  ...conversation(2, 4),
  speech: [...conversation(3, 4).speech ?? [], { atMs: 21_300, lastsMs: 1500, words: 2, complete: true }],
  providers: { sentences: [3, 3], sentenceChars: [40, 40] },
  lastsMs: 32_000
}

const recording = Effect.map(SessionKernel, (kernels): ReplayTimeline => scriptedSession(kernels, script))

interface Planted {
  readonly what: string
  readonly plant: (timeline: ReplayTimeline) => ReplayTimeline
  /** What each mode says of it; absent: nothing. */
  readonly found: Partial<Record<ExecutedMode, DivergenceClass>>
}

const planted: ReadonlyArray<Planted> = [
  {
    what: "a command that no decision is about",
    plant: (timeline) =>
      changed(timeline, "command", ({ command }) => command.type === "arm_timer", (record) => ({
        ...record,
        command: record.command.type === "arm_timer" ? { ...record.command, due_ms: 1 } : record.command
      })),
    found: { playback_recorded_provider_outputs: "TIMING_DIVERGENCE" }
  },
  {
    what: "evidence that says less than happened",
    plant: (timeline) =>
      changed(timeline, "evidence", () => true, (record) => ({
        ...record,
        evidence: { ...record.evidence, payload_decisions: record.evidence.payload_decisions.slice(1) }
      })),
    found: { playback_recorded_provider_outputs: "OUTCOME_DIVERGENCE", replay_decisions: "OUTCOME_DIVERGENCE" }
  },
  {
    what: "evidence that is gone",
    plant: (timeline) => without(timeline, ({ record }) => record === "evidence"),
    found: { playback_recorded_provider_outputs: "OUTCOME_DIVERGENCE", replay_decisions: "OUTCOME_DIVERGENCE" }
  },
  {
    what: "a snapshot that is not what its hash says",
    plant: (timeline) =>
      changedInput(timeline, "snapshot", (record) => ({
        ...record,
        input: record.input.type === "snapshot"
          ? { ...record.input, snapshot: { ...record.input.snapshot, content_hash: "0".repeat(64) } }
          : record.input
      })),
    found: { recompute_decisions: "PLAN_DIVERGENCE" }
  },
  {
    what: "a plan that was changed after it was hashed",
    plant: (timeline) =>
      changed(timeline, "plan", () => true, (record) => ({
        ...record,
        plan: { ...record.plan, budgets: { ...record.plan.budgets, turn_budget_ms: 9 } }
      })),
    found: {
      playback_recorded_provider_outputs: "PLAN_DIVERGENCE",
      replay_decisions: "PLAN_DIVERGENCE",
      recompute_decisions: "PLAN_DIVERGENCE"
    }
  },
  {
    what: "another reason of an admission",
    plant: (timeline) =>
      changed(timeline, "decision", () => true, (record) => ({
        ...record,
        decision: { ...record.decision, reason: "because" }
      })),
    found: {
      playback_recorded_provider_outputs: "OUTCOME_DIVERGENCE",
      replay_decisions: "OUTCOME_DIVERGENCE",
      recompute_decisions: "OUTCOME_DIVERGENCE"
    }
  },
  {
    what: "a step of a turn's life that is gone",
    plant: (timeline) =>
      without(timeline, (record) => record.record === "transition" && record.transition.trigger === "turn_open"),
    found: {
      playback_recorded_provider_outputs: "OUTCOME_DIVERGENCE",
      replay_decisions: "OUTCOME_DIVERGENCE",
      recompute_decisions: "OUTCOME_DIVERGENCE"
    }
  },
  {
    what: "the place of a decision in the sequence",
    plant: (timeline) => changedSignal(timeline, "turn_open", { event_id: "elsewhere" }),
    found: { playback_recorded_provider_outputs: "ORDERING_DIVERGENCE" }
  },
  {
    what: "when a turn was cut",
    plant: (timeline) =>
      changed(timeline, "signal", ({ signal }) => signal.signal === "abort", (record) => ({
        ...record,
        signal: { ...record.signal, runtime_timestamp_ms: record.signal.runtime_timestamp_ms + 1 }
      })),
    found: {
      playback_recorded_provider_outputs: "TIMING_DIVERGENCE",
      // The evidence says another time than the decision that it tells of.
      replay_decisions: "TIMING_DIVERGENCE",
      recompute_decisions: "TIMING_DIVERGENCE"
    }
  },
  {
    what: "the epoch of a decision",
    plant: (timeline) => changedSignal(timeline, "turn_open", { authority_epoch: 7 }),
    found: {
      playback_recorded_provider_outputs: "AUTHORITY_DIVERGENCE",
      replay_decisions: "AUTHORITY_DIVERGENCE",
      recompute_decisions: "AUTHORITY_DIVERGENCE"
    }
  }
]

describe("a recording in which one thing was changed", () => {
  layer(Layer.mergeAll(Replayer.layer, SessionKernel.layer))((it) => {
    for (const { found, plant, what } of planted) {
      it.effect(what, () =>
        Effect.gen(function*() {
          const timeline = plant(yield* recording)
          const replayer = yield* Replayer
          for (const mode of executed) {
            const report = yield* replayer.replay(timeline, { mode })
            assert.deepStrictEqual([mode, report.divergence?.divergence_class], [mode, found[mode]])
          }
        }))
    }
  })
})

describe("a mode", () => {
  layer(Layer.mergeAll(Replayer.layer, SessionKernel.layer))((it) => {
    it.effect("finds nothing in what was recorded, and compares less than playback when it looks at decisions", () =>
      Effect.gen(function*() {
        const timeline = yield* recording
        const replayer = yield* Replayer
        const counts: Array<number> = []
        for (const mode of executed) {
          const report = yield* replayer.replay(timeline, { mode })
          assert.deepInclude(report, { mode, identical: true, complete: true, turns: 4 })
          counts.push(report.records)
        }
        const [playback = 0, given = 0, recomputed = 0] = counts
        assert.isAtLeast(recomputed, 20)
        assert.isBelow(recomputed, playback)
        assert.isAbove(given, playback, "inputs are looked at as well")
      }))

    it.effect("finds nothing in simulated sessions with faults", () =>
      Effect.gen(function*() {
        const replayer = yield* Replayer
        let sessions = 0
        for (let seed = 1; seed <= 12; seed++) {
          for (const { header, records } of runSeed(seed, { replay: false, check: () => [] }).sessions) {
            if (header === undefined) continue
            sessions++
            for (const mode of executed) {
              const report = yield* replayer.replay({ header, records }, { mode })
              assert.deepStrictEqual([seed, mode, report.divergence?.message], [seed, mode, undefined])
            }
          }
        }
        assert.isAtLeast(sessions, 8)
      }))

    it.effect("that neither the session nor a plan allows is refused by name", () =>
      Effect.gen(function*() {
        const timeline = yield* recording
        const replayer = yield* Replayer
        for (const mode of executed) {
          const others = replayModes.filter((one) => one !== mode)
          const { header } = timeline
          const policy = { ...header.pipeline.recording_policy, allowed_replay_modes: others }
          const denied = { ...header, pipeline: { ...header.pipeline, recording_policy: policy } }
          const bySession = yield* Effect.flip(replayer.replay({ ...timeline, header: denied }, { mode }))
          assert.strictEqual(bySession._tag, "ReplayModeNotAllowed")
          assert.include(bySession.message, `the session does not allow ${mode}`)
          const narrowed = changed(timeline, "plan", ({ plan }) => plan.turn_id === "turn_2", (record) => ({
            ...record,
            plan: { ...record.plan, recording_policy: policy }
          }))
          const byPlan = yield* Effect.flip(replayer.replay(narrowed, { mode }))
          assert.strictEqual(byPlan._tag, "ReplayModeNotAllowed")
          assert.include(byPlan.message, `turn_2 does not allow ${mode}`)
        }
      }))

    it.effect("that needs records that were lost is refused and names them", () =>
      Effect.gen(function*() {
        const timeline = changed(yield* recording, "end", () => true, (end) => ({
          ...end,
          not_captured: { level: "L0", caller_audio: "none", payloads: [], detail_dropped: 0, records_lost: 3 }
        }))
        for (const mode of executed) {
          const failure = yield* Effect.flip((yield* Replayer).replay(timeline, { mode }))
          assert.strictEqual(failure._tag, "ReplayNotCaptured")
          assert.match(failure.message, /3 were lost \(records_lost\)/u)
        }
      }))

    it.effect("that executes no kernel replays what a kernel of unknown behaviour decided", () =>
      Effect.gen(function*() {
        const timeline = yield* recording
        const newer: ReplayTimeline = { ...timeline, header: { ...timeline.header, behaviour_flags: [1, 2, 3, 99] } }
        const replayer = yield* Replayer
        assert.isTrue((yield* replayer.replay(newer, { mode: "replay_decisions" })).identical)
        for (const mode of ["playback_recorded_provider_outputs", "recompute_decisions"] as const) {
          assert.strictEqual((yield* Effect.flip(replayer.replay(newer, { mode })))._tag, "UnknownBehaviourFlags")
        }
      }))

    it.effect("honours the behaviour flags of the header: under others the session goes another way", () =>
      Effect.gen(function*() {
        const replayer = yield* Replayer
        let differ = 0
        for (let seed = 1; seed <= 12 && differ === 0; seed++) {
          for (const { header, records } of runSeed(seed, { replay: false, check: () => [] }).sessions) {
            if (header === undefined) continue
            assert.isTrue((yield* replayer.replay({ header, records })).identical)
            const older = yield* replayer.replay({ header: { ...header, behaviour_flags: [] }, records })
            if (!older.identical) differ++
          }
        }
        assert.isAtLeast(differ, 1)
      }))

    it.effect("lists all that differs, not the first thing alone", () =>
      Effect.gen(function*() {
        const twice = changedSignal(changedSignal(yield* recording, "commit", { reason: "so" }), "abort", {
          reason: "x"
        })
        for (const mode of ["playback_recorded_provider_outputs", "recompute_decisions"] as const) {
          const { divergence, divergences } = yield* (yield* Replayer).replay(twice, { mode })
          assert.deepStrictEqual(divergences?.map(({ scope }) => scope), ["turn:turn_1", "turn:turn_3"])
          assert.strictEqual(divergences?.[0], divergence)
        }
      }))
  })
})

const callAt = (
  recording_level: string,
  allowed_replay_modes: ReadonlyArray<ReplayMode> = replayModes,
  more: Record<string, unknown> = {}
) =>
  Effect.gen(function*() {
    const call = yield* Effect.forkChild(
      runScriptedCall({
        script: makeCallScript([{ say: speech(900) }, { say: speech(1200) }]),
        heard: ["tell me a story", "thank you"],
        replies: ["Once upon a time. Call 555 1234.", "Very well."],
        spec: { recording_policy: { recording_level, allowed_replay_modes }, ...more }
      }).pipe(Effect.provide(layerOf(builtInNodes)))
    )
    yield* TestClock.adjust("2 minutes")
    const { header, records } = (yield* Fiber.join(call)).timeline
    const timeline: ReplayTimeline = { header, records }
    return timeline
  })

const between = (from_node_id: string, to_node_id: string, payload_kind: string) => ({
  from_node_id,
  to_node_id,
  payload_kind
})

/** The model's text goes through a filter before it is cut into sentences. */
const filtered = {
  nodes: [
    { node_id: "input", node_type: "audio_input" },
    { node_id: "vad", node_type: "voice_activity" },
    { node_id: "stt", node_type: "speech_to_text" },
    { node_id: "turn", node_type: "turn_detector" },
    { node_id: "llm", node_type: "language_model" },
    { node_id: "mask", node_type: "text_filter", settings: { mask: "digits" } },
    { node_id: "sentences", node_type: "sentence_segmenter" },
    { node_id: "tts", node_type: "text_to_speech" },
    { node_id: "output", node_type: "audio_output" }
  ],
  edges: [
    between("input", "stt", "caller_audio"),
    between("input", "vad", "caller_audio"),
    between("vad", "turn", "voice_edge"),
    between("stt", "turn", "interim_transcript"),
    between("stt", "turn", "transcript"),
    between("turn", "llm", "transcript"),
    between("llm", "mask", "text"),
    between("mask", "sentences", "text"),
    between("sentences", "tts", "segment"),
    between("tts", "output", "voice")
  ]
}

const resimulated = (timeline: ReplayTimeline) =>
  NodeResimulation.use((simulation) => simulation.resimulate(timeline)).pipe(
    Effect.provide(
      NodeResimulation.layerNoDeps.pipe(
        Layer.provide([ScriptedVoiceActivity.layer, Scripted.segmenter, layerOf(builtInNodes)])
      )
    )
  )

describe("re_simulate_nodes", () => {
  it.effect("hears the recorded caller again and finds the same edges", () =>
    Effect.gen(function*() {
      const report = yield* resimulated(yield* callAt("L2"))
      assert.deepInclude(report, { mode: "re_simulate_nodes", identical: true, complete: true, edges: 4, records: 4 })
      assert.isAtLeast(report.samples, 16_000 * 2)
      assert.isTrue(report.notRun.some(({ reason }) => reason === "language_model is not run again"))
    }))

  it.effect("says that an edge is elsewhere, and by how much", () =>
    Effect.gen(function*() {
      const timeline = changedInput(yield* callAt("L2"), "voice_activity", (record) => ({
        ...record,
        input: record.input.type === "voice_activity"
          ? { ...record.input, sample_index: record.input.sample_index + 640 }
          : record.input
      }))
      const { divergence } = yield* resimulated(timeline)
      assert.deepInclude(divergence, { divergence_class: "TIMING_DIVERGENCE", timing_difference_ms: 40 })
    }))

  it.effect("says that the caller whose sound was taken out says nothing", () =>
    Effect.gen(function*() {
      const { header, records } = yield* callAt("L2")
      const silent = records.map((record) =>
        record.record === "caller_audio"
          ? { ...record, pcm_base64: Buffer.alloc(Buffer.from(record.pcm_base64, "base64").length).toString("base64") }
          : record
      )
      const { divergence } = yield* resimulated({ header, records: silent })
      assert.strictEqual(divergence?.divergence_class, "OUTCOME_DIVERGENCE")
      assert.match(divergence?.message ?? "", /the recording has speech_started at .*, the replay nothing more/u)
    }))

  it.effect("is refused without the caller's audio, which it names, and where it is not allowed", () =>
    Effect.gen(function*() {
      const lower = yield* Effect.flip(resimulated(yield* callAt("L0")))
      assert.strictEqual(lower._tag, "ReplayNotCaptured")
      assert.match(lower.message, /of level L0, has none; L2 keeps it \(caller_audio\)/u)
      const part = changed(yield* callAt("L2"), "end", () => true, (end) => ({
        ...end,
        not_captured: { level: "L2", caller_audio: "part", payloads: [], detail_dropped: 2, records_lost: 0 }
      }))
      assert.match((yield* Effect.flip(resimulated(part))).message, /a part of it was not kept; 2 records/u)
      const denied = yield* Effect.flip(resimulated(yield* callAt("L2", ["replay_decisions"])))
      assert.strictEqual(denied._tag, "ReplayModeNotAllowed")
    }))

  it.effect("runs text filters and segmenters of the graph again, and says where one gives another text", () =>
    Effect.gen(function*() {
      const timeline = yield* callAt("L2", replayModes, filtered)
      const report = yield* resimulated(timeline)
      assert.deepInclude(report, { identical: true, calls: 4 })
      assert.isFalse(report.notRun.some(({ node_id }) => node_id === "mask" || node_id === "sentences"))
      assert.isTrue(report.notRun.some(({ node_id }) => node_id === "llm"))
      const said = timeline.records.flatMap((record) => record.record === "payload" ? [record.text ?? ""] : [])
      assert.isTrue(said.some((text) => text.includes("…")), "something was masked")
      const text = (change: (text: string) => string) => ({
        ...timeline,
        records: timeline.records.map((record) =>
          record.record === "payload" && record.text?.includes("…") === true
            ? { ...record, text: change(record.text) }
            : record
        )
      })
      const { divergence } = yield* resimulated(text((masked) => masked.replace("…", "555 1234")))
      assert.deepInclude(divergence, { divergence_class: "OUTCOME_DIVERGENCE" })
      assert.match(
        divergence?.message ?? "",
        /node mask, call inv_[0-9]+: output [0-9]+ is another; [0-9]+ characters/u
      )
      assert.notInclude(divergence?.message ?? "", "555")
      const gone = {
        ...timeline,
        records: timeline.records.filter((record) => record.record !== "payload" || record.text?.includes("…") !== true)
      }
      const { identical, notRun } = yield* resimulated(gone)
      assert.isTrue(identical)
      assert.match(notRun.find(({ node_id }) => node_id === "mask")?.reason ?? "", /payload .* was not kept/u)
    }))

  it.effect("waits for a detector that works elsewhere, and passes its failure on", () =>
    Effect.gen(function*() {
      const timeline = yield* callAt("L2")
      const failing = Layer.succeed(VoiceActivity, {
        open: ({ onFailure }) =>
          Effect.succeed({ push: () => onFailure(new ProviderFailure(brokenDetector)), end: () => {} })
      })
      const failure = yield* NodeResimulation.use((simulation) => simulation.resimulate(timeline)).pipe(
        Effect.provide(NodeResimulation.layerNoDeps.pipe(Layer.provide([failing, Scripted.segmenter]))),
        Effect.flip
      )
      assert.strictEqual(failure._tag, "ProviderFailure")
    }))
})

const brokenDetector = {
  provider_id: "broken/vad",
  outcome_class: "infrastructure_failure",
  retryable: false,
  message: "it broke"
} as const
