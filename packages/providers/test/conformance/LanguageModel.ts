import { assert, layer } from "@effect/vitest"
import { Effect, Stream } from "effect"
import type { Layer } from "effect"
import { LanguageModel } from "@rspp/runtime/ports/LanguageModel"
import type { Message } from "@rspp/runtime/ports/LanguageModel"

/** What every {@link LanguageModel} must do. `messages` is a conversation that it answers with several words. */
export const languageModelConformance = <E>(options: {
  readonly name: string
  readonly layer: Layer.Layer<LanguageModel, E>
  readonly messages: ReadonlyArray<Message>
}): void =>
  layer(options.layer, { excludeTestServices: true, timeout: "1 minute" })(`${options.name} as LanguageModel`, (it) => {
    it.effect("describes itself", () =>
      Effect.gen(function*() {
        const { descriptor } = yield* LanguageModel
        assert.strictEqual(descriptor.modality, "llm")
        assert.match(descriptor.provider_id, /^[a-z0-9-]+\/[a-z0-9-]+$/u)
      }))

    it.effect("streams its reply in pieces", () =>
      Effect.gen(function*() {
        const model = yield* LanguageModel
        const deltas = yield* Stream.runCollect(model.reply(options.messages))
        assert.isAbove(deltas.length, 1)
        assert.isTrue(deltas.every((delta) => delta !== ""))
        assert.match(deltas.join(""), /\w+\s\w+/u)
      }))

    it.effect("can be cut after the first piece, and answers again after that", () =>
      Effect.gen(function*() {
        const model = yield* LanguageModel
        const first = yield* Stream.runCollect(Stream.take(model.reply(options.messages), 1))
        assert.strictEqual(first.length, 1)
        const again = yield* Stream.runCollect(model.reply(options.messages))
        assert.isAbove(again.length, 1)
      }))

    it.effect("answers two callers at the same time", () =>
      Effect.gen(function*() {
        const model = yield* LanguageModel
        const replies = yield* Effect.all(
          [1, 2].map(() => Stream.runCollect(model.reply(options.messages))),
          { concurrency: 2 }
        )
        assert.isTrue(replies.every((reply) => reply.length > 1))
      }))
  })
