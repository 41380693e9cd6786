// A call for suites: a caller, a recogniser, a model and a voice that follow a script, on the clock of whoever runs it.
// Under TestClock minutes of call take milliseconds, and every run is the same.
import * as Scripted from "@rspp/providers/scripted/ScriptedProviders"
import * as ScriptedVoiceActivity from "@rspp/providers/scripted/ScriptedVoiceActivity"
import type { LanguageModel } from "@rspp/runtime/ports/LanguageModel"
import * as MemoryRecorder from "@rspp/timeline/recorder/MemoryRecorder"
import type { CallScript } from "@rspp/transports/loopback/CallScript"
import * as MemoryTransport from "@rspp/transports/loopback/MemoryTransport"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { takeCall } from "./agent.ts"

export interface ScriptedCall {
  /** What the caller does, and when. */
  readonly script: CallScript
  /** What the recogniser understands, one text an utterance. */
  readonly heard: ReadonlyArray<string>
  /** Who answers, and the id that the pipeline knows it by. */
  readonly model: Layer.Layer<LanguageModel>
  readonly llm?: string
}

/** Plays the call on TestClock; what it gives is the recording. */
export const playCall = Effect.fnUntraced(function*({ heard, llm, model, script }: ScriptedCall) {
  const session_id = "ses_scripted"
  const ports = Layer.mergeAll(
    ScriptedVoiceActivity.layer,
    Scripted.recogniser(heard),
    model,
    Scripted.voice(),
    MemoryTransport.layer({ script }),
    MemoryRecorder.layer()
  )
  return yield* Effect.gen(function*() {
    const providers = { ...Scripted.bindings, ...(llm === undefined ? {} : { llm }) }
    const call = yield* Effect.forkChild(takeCall({ session_id, providers, clock: "virtual" }))
    yield* TestClock.adjust("2 minutes")
    yield* Fiber.join(call)
    const timeline = (yield* MemoryRecorder.MemoryTimelines).get(session_id)
    return timeline ?? (yield* Effect.die("the call left no recording"))
  }).pipe(Effect.provide(ports, { local: true }))
})
