import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import type { ProviderDescriptor } from "@rspp/runtime/ports/ProviderDescriptor"
import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import { SpeechToText } from "@rspp/runtime/ports/SpeechToText"
import type { RecognitionInput, RecognitionResult } from "@rspp/runtime/ports/SpeechToText"
import { ProvidersConfig } from "../ProvidersConfig.ts"
import * as MoonshineDecoder from "./MoonshineDecoder.ts"
import { isComplete } from "./TurnCue.ts"
import { UtteranceBuffer } from "./UtteranceBuffer.ts"

export const descriptor: ProviderDescriptor = {
  provider_id: MoonshineDecoder.providerId,
  modality: "stt",
  firstResultCapMs: 4_000
}

/** Longest utterance: what comes after 20 s is not heard. The session ends a turn before (`max_utterance_ms`). */
export const maxUtteranceMs = 20_000

/** Results that may wait for a reader that is behind. Partials are dropped past it, finals wait. */
const maxWaitingResults = 16

type Results = Queue.Queue<RecognitionResult, ProviderFailure | Cause.Done>

/**
 * One utterance. Invariants:
 * 1. A final is emitted at most once per `Pause`, in the order of the pauses, and never after its `Resume`.
 * 2. No partial follows a `Pause` until its `Resume`, and none is emitted twice with the same text.
 * 3. At most one partial of an utterance is decoded at a time; audio that comes meanwhile is in the next one.
 */
const utterance = Effect.fnUntraced(function*(
  decoder: MoonshineDecoder.MoonshineDecoder,
  input: Stream.Stream<RecognitionInput>,
  partialIntervalMs: number,
  results: Results
) {
  const buffer = new UtteranceBuffer(maxUtteranceMs)
  let heardAtPartial = 0
  let lastPartial = ""
  let partial: Fiber.Fiber<void> | undefined
  let final: Fiber.Fiber<void> | undefined

  const fails = Effect.catch((failure: ProviderFailure) => Effect.asVoid(Queue.fail(results, failure)))

  const partialDue = () => final === undefined && buffer.length - heardAtPartial >= partialIntervalMs * samplesPerMs
  // Goes on while the audio that came during a decode makes another one due.
  const emitPartials = Effect.whileLoop({
    while: partialDue,
    body: () => {
      heardAtPartial = buffer.length
      return decoder.partial(buffer.all())
    },
    step: (text) => {
      if (text === undefined || text === "" || text === lastPartial) return
      lastPartial = text
      Queue.offerUnsafe(results, { _tag: "Partial", text })
    }
  }).pipe(fails)
  const emitFinal = (pauseId: number, before: Fiber.Fiber<void> | undefined) =>
    Effect.suspend(() => decoder.final(buffer.all())).pipe(
      Effect.tap(before === undefined ? Effect.void : Fiber.await(before)),
      Effect.flatMap((text) => Queue.offer(results, { _tag: "Final", text, pauseId, complete: isComplete(text) })),
      Effect.asVoid,
      fails
    )
  const drop = (fiber: Fiber.Fiber<void> | undefined) => fiber === undefined ? Effect.void : Fiber.interrupt(fiber)
  // Forked at once, so that the decode has begun, as measured work, before the next input is looked at.
  const fork = (effect: Effect.Effect<void>) => Effect.forkChild(effect, { startImmediately: true })

  const apply = Effect.fnUntraced(function*(next: RecognitionInput) {
    switch (next._tag) {
      case "Audio": {
        buffer.append(next.samples)
        const decoding = partial !== undefined && partial.pollUnsafe() === undefined
        if (!decoding && partialDue()) partial = yield* fork(emitPartials)
        return
      }
      case "Pause": {
        yield* drop(partial)
        final = yield* fork(emitFinal(next.pauseId, final))
        return
      }
      case "Resume": {
        yield* drop(final)
        final = undefined
        return
      }
      case "End":
        return
    }
  })

  yield* input.pipe(
    Stream.takeUntil((next) => next._tag === "End"),
    Stream.runForEach(apply)
  )
  yield* drop(partial)
  yield* final === undefined ? emitFinal(0, undefined) : Fiber.await(final)
  yield* Queue.end(results)
})

/**
 * Moonshine as {@link SpeechToText}: base (3–5 % word errors on prompts, about 0.1 s per second of speech) for finals,
 * tiny for partials, all in the process and off the main thread.
 *
 * The models do not stream: a partial decodes the whole utterance so far again, about every `partialIntervalMs` of
 * audio, and is skipped while another one runs. Interrupting the stream drops the work in flight. It fails with
 * `infrastructure_failure` when the decoder does.
 */
export const make = Effect.map(MoonshineDecoder.make(), (decoder) =>
  SpeechToText.of({
    descriptor,
    recognise: (input, { partialIntervalMs }) =>
      Stream.callback<RecognitionResult, ProviderFailure>(
        (results) => utterance(decoder, input, partialIntervalMs, results),
        { bufferSize: maxWaitingResults }
      )
  }))

/** Needs {@link ProvidersConfig} for the cache folder. */
export const layerNoDeps = Layer.effect(SpeechToText, make)

/** With the settings of the environment. */
export const layer = Layer.provide(layerNoDeps, ProvidersConfig.layer)
