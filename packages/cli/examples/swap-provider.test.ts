// A provider is a Layer of its port: swap the Layer, name it in the pipeline, and the rest stays as it is.
import { assert, describe, it } from "@effect/vitest"
import { speech } from "@rspp/providers/scripted/ScriptedVoiceActivity"
import { LanguageModel } from "@rspp/runtime/ports/LanguageModel"
import { makeCallScript } from "@rspp/transports/loopback/CallScript"
import { Effect, Layer, Stream } from "effect"
import { playCall } from "./scripted.ts"

// This model says back what it was told.
const parrot = Layer.succeed(LanguageModel, {
  descriptor: { provider_id: "mine/parrot", modality: "llm" },
  reply: (messages) => Stream.make("You said: ", messages.at(-1)?.text ?? "nothing", ".")
})

describe("A model of one's own", () => {
  it.effect("answers the call", () =>
    Effect.gen(function*() {
      const { records } = yield* playCall({
        script: makeCallScript([{ say: speech(900) }]),
        heard: ["good morning"],
        model: parrot,
        llm: "mine/parrot"
      })
      const asked = records.flatMap((record) =>
        record.record === "invocation" && record.invocation.modality === "llm" ? [record.invocation] : []
      )
      assert.deepStrictEqual(asked.map(({ outcome_class, provider_id }) => [provider_id, outcome_class]), [
        ["mine/parrot", "success"]
      ])
      // A recording at L0 knows how long a sentence is, and not what it says.
      const sentences = records.flatMap((record) =>
        record.record === "input" && record.input.type === "segment" ? [record.input.handle.length] : []
      )
      assert.deepStrictEqual(sentences, ["You said: good morning.".length])
    }))
})
