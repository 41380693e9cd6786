import { assert, describe, it } from "@effect/vitest"
import { layer } from "@rspp/providers/llm/EffectLanguageModel"
import { makeCallScript } from "@rspp/transports/loopback/CallScript"
import { Effect, Fiber, Layer, Stream } from "effect"
import * as AiLanguageModel from "effect/ai/LanguageModel"
import { TestClock } from "effect/testing"
import { bindings } from "@rspp/providers/scripted/ScriptedProviders"
import { runScriptedCall, speech } from "../support/ScriptedCall.ts"

/** Stands for any model of `effect/ai`: a package for a vendor, a local model, a router. */
const aiModel = Layer.effect(
  AiLanguageModel.LanguageModel,
  AiLanguageModel.make({
    generateText: () => Effect.succeed([{ type: "text", text: "Good morning." }]),
    streamText: () =>
      Stream.fromIterable([
        { type: "text-start", id: "1" },
        { type: "text-delta", id: "1", delta: "Good " },
        { type: "text-delta", id: "1", delta: "morning to you." },
        { type: "text-end", id: "1" },
        {
          type: "finish",
          reason: "stop",
          usage: { inputTokens: { total: 12 }, outputTokens: { total: 4 } }
        }
      ])
  })
)

const mine = Layer.provide(layer({ provider_id: "mine/model" }), aiModel)

describe("Example: a model of effect/ai", () => {
  it.effect("is bound in a pipeline like any other", () =>
    Effect.gen(function*() {
      const call = yield* Effect.forkChild(runScriptedCall({
        script: makeCallScript([{ say: speech(900) }]),
        heard: ["good morning"],
        replies: [],
        model: mine,
        spec: { providers: { ...bindings, llm: "mine/model" } }
      }))
      yield* TestClock.adjust("1 minute")
      const { timeline } = yield* Fiber.join(call)

      const model = timeline.records.flatMap((record) =>
        record.record === "invocation" && record.invocation.modality === "llm" ? [record.invocation] : []
      )
      assert.deepStrictEqual(model.map(({ outcome_class, provider_id }) => [provider_id, outcome_class]), [
        ["mine/model", "success"]
      ])
      const sentences = timeline.records.flatMap((record) =>
        record.record === "input" && record.input.type === "segment" ? [record.input.handle.length] : []
      )
      assert.deepStrictEqual(sentences, ["Good morning to you.".length])
    }))
})
