import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as SileroVoiceActivity from "@rspp/providers/vad/SileroVoiceActivity"
import { VoiceActivity } from "@rspp/runtime/ports/VoiceActivity"
import { detect, settings, voiceActivityConformance } from "./conformance/VoiceActivity.ts"
import { concat, readRecording, silence, transcripts } from "./support/Wav.ts"

voiceActivityConformance({
  name: "Silero",
  layer: SileroVoiceActivity.layer,
  speech: readRecording("vm-savefolder.wav"),
  // By ear and level: the voice begins at once at 105 ms and fades out at 2.65 s.
  from: 105 * 16,
  to: 2_650 * 16
})

layer(SileroVoiceActivity.layer, { excludeTestServices: true, timeout: "1 minute" })(
  "Silero on recordings of real speech",
  (it) => {
    it.effect("hears every recording, and no more utterances than there are", () =>
      Effect.gen(function*() {
        for (const name of Object.keys(transcripts)) {
          const { edges } = yield* detect(concat(silence(500), readRecording(name), silence(500)))
          const starts = edges.filter((edge) => edge.edge === "speech_started").length
          // "Goodbye." stands alone; the others are said in one breath.
          assert.strictEqual(starts, name === "demo-thanks.wav" ? 2 : 1, name)
          assert.strictEqual(edges.length, starts * 2, name)
        }
      }))

    it.effect("follows min_silence_ms: a longer silence joins what a shorter one parts", () =>
      Effect.gen(function*() {
        const stream = concat(readRecording("demo-thanks.wav"), silence(1_500))
        const edges = (min_silence_ms: number) =>
          Effect.map(detect(stream, { settings: { min_silence_ms } }), (found) => found.edges.length)
        assert.strictEqual(yield* edges(800), 2)
        assert.isAbove(yield* edges(100), 4)
      }))

    it.effect("follows min_speech_ms: what is shorter is no speech, and the start keeps its position", () =>
      Effect.gen(function*() {
        const stream = concat(silence(500), readRecording("vm-savefolder.wav"), silence(500))
        const short = yield* detect(stream)
        const long = yield* detect(stream, { settings: { min_speech_ms: 500 } })
        assert.closeTo(long.edges[0]!.sampleIndex, short.edges[0]!.sampleIndex, 1_600)
        assert.isAbove(long.edges[0]!.reportedAt - short.edges[0]!.reportedAt, 5_000)
        assert.deepStrictEqual((yield* detect(stream, { settings: { min_speech_ms: 9_000 } })).edges, [])
      }))

    it.effect("follows the thresholds, also with another distance than the model's own", () =>
      Effect.gen(function*() {
        const stream = concat(silence(500), readRecording("demo-thanks.wav"), silence(500))
        const speechMs = (on_threshold: number, off_threshold: number) =>
          Effect.map(detect(stream, { settings: { on_threshold, off_threshold, min_silence_ms: 60 } }), ({ edges }) =>
            edges.reduce(
              (sum, { edge, sampleIndex }) =>
                sum + (edge === "speech_ended" ? 1 : -1) * sampleIndex / 16,
              0
            ))
        const usual = yield* speechMs(0.5, 0.35)
        assert.isAbove(yield* speechMs(0.5, 0.02), usual + 100)
        assert.isBelow(yield* speechMs(0.5, 0.5), usual)
        assert.isBelow(yield* speechMs(0.95, 0.9), usual - 100)
      }))

    it.effect("refuses windows that the model does not have", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(detect(silence(100), { settings: { window_ms: 20 } }))
        assert.strictEqual(error.outcome_class, "blocked")
        assert.match(error.message, /32 ms/u)
      }))
  }
)

layer(
  Layer.effect(
    VoiceActivity,
    SileroVoiceActivity.make({ workerUrl: new URL("./support/dyingSilero.worker.ts", import.meta.url) })
  ),
  { excludeTestServices: true, timeout: "1 minute" }
)("Silero when its worker dies", (it) => {
  it.effect("tells each detector once, and detectors opened later work", () =>
    Effect.gen(function*() {
      // The worker dies of samples that are all 666.
      const { edges, failures } = yield* detect(new Int16Array(16_000).fill(666))
      assert.deepStrictEqual(edges, [])
      assert.deepStrictEqual(failures.map((failure) => failure.outcome_class), ["infrastructure_failure"])
      const next = yield* detect(concat(readRecording("vm-savefolder.wav"), silence(500)), { settings })
      assert.deepStrictEqual(next.failures, [])
      assert.strictEqual(next.edges.length, 2)
    }))
})
