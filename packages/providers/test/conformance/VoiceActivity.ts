import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { Layer } from "effect"
import { VoiceActivity } from "@rspp/runtime/ports/VoiceActivity"
import type { VoiceActivitySettings, VoiceEdge } from "@rspp/runtime/ports/VoiceActivity"
import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import { concat, noise, silence, tone } from "../support/Wav.ts"
import { workSpy } from "../support/WorkSpy.ts"

/** The session's defaults. */
export const settings: VoiceActivitySettings = {
  on_threshold: 0.5,
  off_threshold: 0.35,
  window_ms: 32,
  min_speech_ms: 50,
  min_silence_ms: 250
}

/** An edge, and the position of the stream when it was reported. */
export interface SeenEdge extends VoiceEdge {
  readonly reportedAt: number
}

/**
 * What a detector reports of a stream that is pushed in frames of 20 ms; each frame waits until the last one's work is
 * done, so that `reportedAt` does not depend on the machine. `end` is false for a caller who just goes.
 */
export const detect = (samples: Int16Array, options?: {
  readonly settings?: Partial<VoiceActivitySettings>
  readonly end?: boolean
  readonly skip?: (sampleIndex: number) => boolean
}) =>
  Effect.gen(function*() {
    const edges: Array<SeenEdge> = []
    const failures: Array<ProviderFailure> = []
    const { layer, spy } = workSpy()
    let at = 0
    yield* Effect.gen(function*() {
      const detector = yield* (yield* VoiceActivity).open({
        settings: { ...settings, ...options?.settings },
        onEdge: (edge) => edges.push({ ...edge, reportedAt: at }),
        onFailure: (failure) => failures.push(failure)
      })
      const idle = Effect.gen(function*() {
        while (spy.running > 0) yield* Effect.yieldNow
      })
      for (at = 0; at + 320 <= samples.length;) {
        const frame = { sampleIndex: at, samples: samples.slice(at, at + 320) }
        at += 320
        if (options?.skip?.(frame.sampleIndex)) continue
        detector.push(frame)
        yield* idle
      }
      if (options?.end !== false) detector.end()
      yield* idle
    }).pipe(Effect.scoped, Effect.provide(layer))
    assert.strictEqual(spy.running, 0)
    return { edges, failures }
  })

/** What every {@link VoiceActivity} must do. `speech` is one utterance whose sound goes from `from` to `to` (samples). */
export const voiceActivityConformance = <E>(suite: {
  readonly name: string
  readonly layer: Layer.Layer<VoiceActivity, E>
  readonly speech: Int16Array
  readonly from: number
  readonly to: number
}): void =>
  layer(suite.layer, { excludeTestServices: true, timeout: "1 minute" })(`${suite.name} as VoiceActivity`, (it) => {
    const ms = (samples: number) => samples / 16

    it.effect("finds where an utterance starts and ends, and says so promptly", () =>
      Effect.gen(function*() {
        const { edges, failures } = yield* detect(concat(silence(1_000), suite.speech, silence(1_000)))
        assert.deepStrictEqual(failures, [])
        assert.deepStrictEqual(edges.map((edge) => edge.edge), ["speech_started", "speech_ended"])
        const [start, end] = edges as [SeenEdge, SeenEdge]
        assert.closeTo(ms(start.sampleIndex), ms(16_000 + suite.from), 120)
        assert.closeTo(ms(end.sampleIndex), ms(16_000 + suite.to), 200)
        assert.isBelow(ms(start.reportedAt - 16_000 - suite.from), 350)
        assert.isBelow(ms(end.reportedAt - end.sampleIndex), settings.min_silence_ms + 100)
      }))

    it.effect("tells utterances in a row apart", () =>
      Effect.gen(function*() {
        const one = concat(suite.speech, silence(1_000))
        const { edges } = yield* detect(concat(silence(500), one, one, one))
        assert.deepStrictEqual(
          edges.map((edge) => edge.edge),
          Array.from({ length: 3 }, () => ["speech_started", "speech_ended"]).flat()
        )
        const positions = edges.map((edge) => edge.sampleIndex)
        assert.deepStrictEqual(positions, positions.toSorted((a, b) => a - b))
      }))

    it.effect("ends an open speech at the end of the stream", () =>
      Effect.gen(function*() {
        const cut = suite.speech.subarray(0, Math.floor((suite.from + suite.to) / 2))
        const { edges } = yield* detect(cut)
        assert.deepStrictEqual(edges.map((edge) => edge.edge), ["speech_started", "speech_ended"])
        assert.closeTo(ms(edges[1]!.sampleIndex), ms(cut.length), 100)
        const left = yield* detect(cut, { end: false })
        assert.deepStrictEqual(left.edges.map((edge) => edge.edge), ["speech_started"])
      }))

    it.effect("hears no speech in silence, noise and tones", () =>
      Effect.gen(function*() {
        for (const sound of [silence(2_000), noise(3_000, 300), noise(3_000, 6_000), tone(3_000, 440, 8_000)]) {
          assert.deepStrictEqual((yield* detect(sound)).edges, [])
        }
      }))

    it.effect("keeps two callers apart", () =>
      Effect.gen(function*() {
        const [speaks, silent] = yield* Effect.all([detect(suite.speech), detect(silence(3_000))], { concurrency: 2 })
        assert.strictEqual(speaks.edges.length, 2)
        assert.deepStrictEqual(silent.edges, [])
      }))

    it.effect("keeps its positions when frames are lost", () =>
      Effect.gen(function*() {
        const stream = concat(silence(1_000), suite.speech, silence(1_000))
        const whole = yield* detect(stream)
        const torn = yield* detect(stream, { skip: (index) => index >= 3_200 && index < 9_600 })
        assert.strictEqual(torn.edges.length, 2)
        assert.closeTo(ms(torn.edges[0]!.sampleIndex), ms(whole.edges[0]!.sampleIndex), 80)
        assert.closeTo(ms(torn.edges[1]!.sampleIndex), ms(whole.edges[1]!.sampleIndex), 80)
      }))

    it.effect("starts each piece of work, measured, before push returns", () =>
      Effect.gen(function*() {
        const { layer, spy } = workSpy()
        yield* Effect.gen(function*() {
          const detector = yield* (yield* VoiceActivity).open({ settings, onEdge: () => {}, onFailure: () => {} })
          const before = spy.total
          for (let at = 0; at < 6_400; at += 320) detector.push({ sampleIndex: at, samples: new Int16Array(320) })
          assert.isAbove(spy.total, before)
          assert.isAtLeast(spy.running, 1)
        }).pipe(Effect.scoped, Effect.provide(layer))
        assert.strictEqual(spy.running, 0)
      }))
  })
