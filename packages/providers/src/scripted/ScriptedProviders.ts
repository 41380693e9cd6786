import { samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import type { LanguageModel } from "@rspp/runtime/ports/LanguageModel"
import type { RecognitionResult, SpeechToText } from "@rspp/runtime/ports/SpeechToText"
import type { TextToSpeech } from "@rspp/runtime/ports/TextToSpeech"
import { Effect, Stream } from "effect"

// Providers whose answers are written down: for loads and for tests of pipelines. They wait by the clock of whoever runs
// them, so that they take no time on a virtual one. Each serves any number of sessions.

/** The ids under which a pipeline binds them. */
export const bindings = { stt: "scripted/stt", llm: "scripted/llm", tts: "scripted/tts" } as const

/** Between two words of a reply, ms. */
const wordEveryMs = 10

/** Speech that a character of text becomes, ms; a chunk has 100 ms of it, and follows the one before after 5 ms. */
const characterMs = 60
const chunkMs = 100
const chunkEveryMs = 5

/** What they may take to their first result beyond what is written down, ms: a slow script is slow, and not cut off for it. */
const patienceMs = 4000

/** The texts, one after the other, and again from the first. */
const inTurn = (texts: ReadonlyArray<string>): () => string => {
  let next = 0
  return () => texts[next++ % texts.length] ?? ""
}

const after = <A>(ms: number, value: A): Effect.Effect<A> =>
  ms > 0 ? Effect.as(Effect.sleep(ms), value) : Effect.succeed(value)

/** A recogniser that hears the given texts, one an utterance, each `finalMs` after the caller fell silent. */
export const recogniser = (
  { finalMs, texts }: { readonly texts: ReadonlyArray<string>; readonly finalMs: number }
): SpeechToText["Service"] => {
  const next = inTurn(texts)
  return {
    descriptor: { provider_id: bindings.stt, modality: "stt", firstResultCapMs: finalMs + patienceMs },
    recognise: (input) => {
      const text = next()
      return input.pipe(
        Stream.filter((item) => item._tag === "Pause"),
        Stream.mapEffect(({ pauseId }) =>
          after(finalMs, { _tag: "Final", text, pauseId, complete: true } satisfies RecognitionResult)
        )
      )
    }
  }
}

/** A model that gives the given replies, one a call, word by word, the first word after `firstWordMs`. */
export const model = (
  { firstWordMs, replies }: { readonly replies: ReadonlyArray<string>; readonly firstWordMs: number }
): LanguageModel["Service"] => {
  const next = inTurn(replies)
  return {
    descriptor: { provider_id: bindings.llm, modality: "llm", firstResultCapMs: firstWordMs + patienceMs },
    reply: () =>
      Stream.fromIterable(next().match(/\S+\s*/gu) ?? []).pipe(
        Stream.mapEffect((word, index) => after(index === 0 ? firstWordMs : wordEveryMs, word))
      )
  }
}

/** A voice that hums for as long as the text takes to say, the first chunk after `firstChunkMs`. */
export const voice = ({ firstChunkMs }: { readonly firstChunkMs: number }): TextToSpeech["Service"] => ({
  descriptor: { provider_id: bindings.tts, modality: "tts", firstResultCapMs: firstChunkMs + patienceMs },
  synthesise: (text) =>
    Stream.range(1, Math.max(1, Math.round((text.length * characterMs) / chunkMs))).pipe(
      Stream.mapEffect((chunk) =>
        Effect.map(
          after(chunk === 1 ? firstChunkMs : chunkEveryMs, undefined),
          () => new Int16Array(chunkMs * samplesPerMs).fill(3000)
        )
      )
    )
})
