// Replay as a user of the library has it: a session recorded by the memory recorder, replayed under a TestClock.
import { assert, describe, it } from "@effect/vitest"
import type { SessionInput } from "@rspp/contracts/SessionInput"
import type { Snapshot } from "@rspp/contracts/Snapshot"
import type { TimelineHeader } from "@rspp/contracts/Timeline"
import { SpecNormalizer } from "@rspp/control/SpecNormalizer"
import { digest } from "@rspp/runtime/determinism/Digest"
import { SessionKernel } from "@rspp/runtime/kernel/SessionKernel"
import { Recorder } from "@rspp/runtime/ports/Recorder"
import { makeHeader } from "@rspp/runtime/session/Session"
import * as MemoryRecorder from "@rspp/timeline/recorder/MemoryRecorder"
import { Replayer } from "@rspp/timeline/replay/Replayer"
import { Clock, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"

const layers = Layer.mergeAll(
  MemoryRecorder.layer(),
  SpecNormalizer.layer,
  SessionKernel.layer,
  Replayer.layer
)

/** The snapshots that let a turn open. */
const snapshots = (header: TimelineHeader): ReadonlyArray<SessionInput> => {
  const { pipeline } = header
  const bodies = {
    routing_view_snapshot: { placement_id: "here", authority_epoch: 1, endpoints: ["loopback"] },
    admission_policy_snapshot: { max_turns_per_session: 1, over_quota: "reject", reason: "quota" },
    abi_compatibility_snapshot: { contract_versions: ["v1.0"] },
    version_resolution_snapshot: {
      pipeline_version: pipeline.pipeline_version,
      graph_definition_ref: pipeline.graph.graph_definition_ref
    },
    policy_resolution_snapshot: {
      allowed_adaptive_actions: ["retry"],
      max_recording_level: "L0",
      allowed_replay_modes: pipeline.recording_policy.allowed_replay_modes
    },
    provider_health_snapshot: { providers: {} }
  }
  return Object.entries(bodies).map(([snapshot_kind, body]) => ({
    type: "snapshot",
    snapshot: {
      schema_version: "v1.0",
      snapshot_kind,
      snapshot_id: snapshot_kind,
      version: 1,
      issued_at_ms: 0,
      ttl_ms: 60_000,
      content_hash: digest(body),
      body
    } as Snapshot
  }))
}

const typed = (id: string): SessionInput => ({
  type: "typed_text",
  handle: { id, payload_class: "text_raw", length: 12, facts: { words: 2 } }
})

/** One typed question that is answered with one sentence, and a second one that the quota refuses. */
const recorded = Effect.gen(function*() {
  const { pipeline } = yield* (yield* SpecNormalizer).normalize({
    schema_version: "v1.0",
    pipeline_id: "by-hand",
    pipeline_version: "v1"
  })
  const header = makeHeader(
    { session_id: "ses_1", tenant_id: "ten_1", pipeline, seed: 1, payloadKey: "k", clock: "virtual" },
    yield* Clock.currentTimeMillis,
    {}
  )
  yield* Effect.scoped(Effect.gen(function*() {
    const kernel = (yield* SessionKernel).open(header)
    const arrived: Array<SessionInput> = []
    const recorder = yield* (yield* Recorder).open({
      header,
      onAppended: (turn_id, result) => arrived.push({ type: "evidence_appended", turn_id, result })
    })
    const apply = (nowMs: number, inputs: ReadonlyArray<SessionInput>) =>
      Effect.gen(function*() {
        for (const input of inputs) {
          const { outputs, sequence } = kernel.step(input, nowMs)
          recorder.input({
            record: "input",
            runtime_sequence: sequence,
            runtime_timestamp_ms: nowMs,
            lane: "ControlLane",
            input
          })
          recorder.outputs(outputs)
        }
        // The recorder answers from a fiber of its own.
        yield* Effect.yieldNow
      })
    const call = { authority_epoch: 1, provider_invocation_id: "inv_1" }
    const ended = { outcome_class: "success", retryable: false, attempts: 1, late_outputs: 0 } as const
    yield* apply(0, [
      { type: "session_started" },
      ...snapshots(header),
      { type: "lease", authority_epoch: 1, status: "issued", ttl_ms: 60_000 },
      { type: "connection", state: "connected" }
    ])
    for (let frame = 0; frame < 50; frame++) {
      recorder.audio(kernel.audio(frame * 320, 320, frame * 20), frame * 320, frame * 20)
    }
    yield* apply(1000, [typed("h_1")])
    yield* apply(1120, [
      { type: "segment", ...call, handle: { id: "h_2", payload_class: "text_raw", length: 20 } },
      { type: "invocation_ended", provider_invocation_id: "inv_1", ...ended }
    ])
    yield* apply(1200, [
      {
        type: "voice_chunk",
        authority_epoch: 1,
        provider_invocation_id: "inv_2",
        handle: { id: "h_3", payload_class: "audio_raw", length: 1600 }
      },
      { type: "invocation_ended", provider_invocation_id: "inv_2", ...ended },
      { type: "egress_dequeued", turn_id: "turn_1", items: 1, samples: 1600 },
      { type: "playback_started", turn_id: "turn_1", segment_id: "turn_1_seg_1" },
      { type: "output_accepted", turn_id: "turn_1", segment_id: "turn_1_seg_1", samples: 1600 }
    ])
    yield* apply(1210, arrived.splice(0))
    yield* apply(1300, [{ type: "playback_completed", turn_id: "turn_1", segment_id: "turn_1_seg_1", samples: 1600 }])
    yield* apply(1400, [typed("h_4"), { type: "connection", state: "ended" }])
    recorder.closing("ended")
  }))
  return (yield* MemoryRecorder.MemoryTimelines).get("ses_1")
})

describe("a session recorded by hand", () => {
  it.effect("replays identically, and replaying takes none of the clock's time", () =>
    Effect.gen(function*() {
      const timeline = yield* recorded
      assert.isDefined(timeline)
      if (timeline === undefined) return
      yield* TestClock.adjust("1 hour")
      const before = yield* Clock.currentTimeMillis
      const report = yield* (yield* Replayer).replay(timeline)
      assert.strictEqual(report.divergence?.message, undefined)
      assert.deepInclude(report, { identical: true, complete: true, turns: 1, sessionMs: 1400 })
      assert.isAtLeast(report.records, 20)
      assert.strictEqual(report.inputs, 50 + 9 + 1 + 2 + 5 + 1 + 1 + 2)
      assert.strictEqual(yield* Clock.currentTimeMillis, before)
      const signals = timeline.records.flatMap((record) => record.record === "signal" ? [record.signal.signal] : [])
      assert.includeMembers(signals, ["turn_open", "commit", "close", "reject"])
    }).pipe(Effect.provide(layers, { local: true })))
})
