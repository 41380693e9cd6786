import { assert, describe, it } from "@effect/vitest"
import { LanguageModel } from "@rspp/runtime/ports/LanguageModel"
import { makeCallScript } from "@rspp/transports/loopback/CallScript"
import { Effect, Fiber, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import { bindings } from "../support/ScriptedProviders.ts"
import { runScriptedCall, speech } from "../support/ScriptedCall.ts"

/** A provider is a Layer of its port: this model says back what it was told. */
const parrot = Layer.succeed(LanguageModel, {
  descriptor: { provider_id: "mine/parrot", modality: "llm" },
  reply: (messages) => Stream.make("You said: ", messages.at(-1)?.text ?? "nothing", ".")
})

describe("Example: a provider of one's own", () => {
  it.effect("is swapped in by Layer and bound in the pipeline", () =>
    Effect.gen(function*() {
      const call = yield* Effect.forkChild(runScriptedCall({
        script: makeCallScript([{ say: speech(900) }]),
        heard: ["good morning"],
        replies: [],
        model: parrot,
        spec: { providers: { ...bindings, llm: "mine/parrot" } }
      }))
      yield* TestClock.adjust("1 minute")
      const { timeline } = yield* Fiber.join(call)

      const model = timeline.records.flatMap((record) =>
        record.record === "invocation" && record.invocation.modality === "llm" ? [record.invocation] : []
      )
      assert.deepStrictEqual(model.map(({ outcome_class, provider_id }) => [provider_id, outcome_class]), [
        ["mine/parrot", "success"]
      ])
      // "You said: good morning." was one sentence of 23 characters; the recording knows its length, not its words.
      const sentences = timeline.records.flatMap((record) =>
        record.record === "input" && record.input.type === "segment" ? [record.input.handle.length] : []
      )
      assert.deepStrictEqual(sentences, [23])
    }))
})
