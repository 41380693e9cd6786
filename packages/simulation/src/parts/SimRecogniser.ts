import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import { SpeechToText } from "@rspp/runtime/ports/SpeechToText"
import type { RecognitionInput, RecognitionResult } from "@rspp/runtime/ports/SpeechToText"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { Cause, Scope } from "effect"
import { draw } from "../Latency.ts"
import { drawCallFaults, slowToCancel } from "./CallFaults.ts"
import type { CallFaults } from "./CallFaults.ts"
import type { SimCall } from "./SimCall.ts"
import { connected } from "./SimConnection.ts"
import { soundOf } from "./SpeechBook.ts"

/** Samples between two looks at what is heard: 10 ms. */
const look = 160

/** How often the words heard so far probably go on. */
const unfinished = 0.2

type Results = Queue.Queue<RecognitionResult, ProviderFailure | Cause.Done>

/**
 * A streaming recogniser: understands the words of the caller's {@link SpeechBook} as far as their sound arrived, gives
 * partials while audio comes in and a final text some time after each pause (see `Latency.ts` for how long).
 */
export const recogniser = (call: SimCall, provider_id: string): SpeechToText["Service"] =>
  SpeechToText.of({
    descriptor: { provider_id, modality: "stt", firstResultCapMs: 4000 },
    recognise: (input, { partialIntervalMs }) =>
      connected(
        call,
        Stream.callback<RecognitionResult, ProviderFailure>((results) =>
          listen(call, provider_id, input, partialIntervalMs, results)
        )
      )
  })

const listen = (
  call: SimCall,
  provider_id: string,
  input: Stream.Stream<RecognitionInput>,
  partialIntervalMs: number,
  results: Results
): Effect.Effect<void, ProviderFailure, Scope.Scope> =>
  Effect.suspend(() => {
    const own = drawCallFaults(call, provider_id)
    return slowToCancel(own.cancelMs)(understand(call, own, input, partialIntervalMs, results))
  })

const understand = (
  call: SimCall,
  own: CallFaults,
  input: Stream.Stream<RecognitionInput>,
  partialIntervalMs: number,
  results: Results
): Effect.Effect<void, ProviderFailure, Scope.Scope> =>
  Effect.gen(function*() {
    const { book, faults, scenario, streams, world } = call
    const stream = streams.of("provider/stt")
    if (own.fails !== undefined) {
      yield* Effect.sleep(20)
      return yield* own.fails
    }
    if (own.connectMs > 0) yield* Effect.sleep(own.connectMs)
    const heard = new Map<number, number>()
    let partialMs = world.nowMs
    let pending: Fiber.Fiber<void, ProviderFailure> | undefined
    let pauses = 0

    const partial = () => {
      partialMs = world.nowMs
      const text = own.empty ? "" : book.text(heard)
      const revised = faults.strikes("provider.revised_partial") ? text.split(" ").slice(0, -2).join(" ") : text
      Queue.offerUnsafe(results, { _tag: "Partial", text: revised })
    }

    const hear = (samples: Int16Array) => {
      for (let at = 0; at < samples.length; at += look) {
        const sound = samples[at] ?? 0
        if (sound >= soundOf.word) heard.set(sound, (heard.get(sound) ?? 0) + Math.min(look, samples.length - at))
      }
      if (world.nowMs - partialMs >= partialIntervalMs) partial()
    }

    const final = (pauseId: number) =>
      Effect.gen(function*() {
        const text = own.empty ? "" : book.text(heard)
        const complete = scenario.script !== undefined || !stream.chance(unfinished)
        yield* Effect.sleep(draw(scenario.latencies.stt.firstMs, stream) + (pauses === 1 ? own.slowMs : 0))
        if (own.stall !== undefined && pauses >= own.stall.after) yield* Effect.sleep(own.stall.ms)
        if (own.truncated !== undefined && pauses > own.truncated.after) return yield* own.truncated.how
        const result = { _tag: "Final", text, pauseId, complete } as const
        Queue.offerUnsafe(results, result)
        if (faults.strikes("provider.duplicate_final")) {
          yield* Effect.sleep(faults.stream("provider.duplicate_final").between(0, 400))
          Queue.offerUnsafe(results, result)
        }
        if (own.duplicateMs !== undefined) {
          yield* Effect.sleep(own.duplicateMs)
          Queue.offerUnsafe(results, result)
        }
      })

    const take = Effect.fnUntraced(function*(item: Exclude<RecognitionInput, { readonly _tag: "Audio" }>) {
      switch (item._tag) {
        case "Pause":
          pauses++
          pending = yield* Effect.forkScoped(final(item.pauseId))
          return
        case "Resume":
          if (pending !== undefined) yield* Fiber.interrupt(pending)
          pending = undefined
          return
        case "End":
          if (pending === undefined) {
            pauses++
            yield* final(0)
          } else yield* Fiber.join(pending)
      }
    })

    yield* Stream.runForEachArray(input, (items) =>
      Effect.gen(function*() {
        if (faults.strikes("runtime.slow_consumer")) {
          yield* Effect.sleep(faults.stream("runtime.slow_consumer").between(20, 2500))
        }
        for (const item of items) {
          if (item._tag === "Audio") hear(item.samples)
          else yield* take(item)
        }
      }))
    if (own.endLost) return yield* Effect.never
    yield* Queue.end(results)
  })
