import * as Catalog from "@rspp/providers/Catalog"
import { ProvidersConfig } from "@rspp/providers/ProvidersConfig"
import * as MoonshineDecoder from "@rspp/providers/stt/MoonshineDecoder"
import { LanguageModel } from "@rspp/runtime/ports/LanguageModel"
import type { Message } from "@rspp/runtime/ports/LanguageModel"
import { samplesOf, TextToSpeech } from "@rspp/runtime/ports/TextToSpeech"
import { Context, Effect, Layer, Stream } from "effect"

/** What stands behind protocol servers, so that words really flow: the embedded recogniser, rule agent and voice, for as long as the scope. */
export const embeddedEngines = Effect.gen(function*() {
  const decoder = yield* Effect.provide(MoonshineDecoder.make(), ProvidersConfig.layer)
  const models = yield* Layer.build(
    Layer.merge(Catalog.find("llm", "embedded/rules")!.layer, Catalog.find("tts", "embedded/flite")!.layer)
  )
  const model = Context.get(models, LanguageModel)
  const voice = Context.get(models, TextToSpeech)
  const run = Effect.runPromiseWith(yield* Effect.context<never>())
  return {
    transcribe: (samples: Int16Array) => run(decoder.final(samples)),
    reply: (messages: ReadonlyArray<Message>) => Stream.toAsyncIterable(model.reply(messages)),
    voice: { speak: (text: string) => Stream.toAsyncIterable(Stream.map(voice.synthesise(text), samplesOf)) }
  }
})
