// Providers that follow a script, for suites on virtual time: a recogniser, a model and a voice that say what they are told
// to say, as long after they were asked as they are told to take. They need no network, no model files and no key.
import { samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import { LanguageModel } from "@rspp/runtime/ports/LanguageModel"
import { SentenceSegmenter } from "@rspp/runtime/ports/SentenceSegmenter"
import { SpeechToText } from "@rspp/runtime/ports/SpeechToText"
import type { RecognitionResult } from "@rspp/runtime/ports/SpeechToText"
import { TextToSpeech } from "@rspp/runtime/ports/TextToSpeech"
import { Effect, Layer, Stream } from "effect"

/** A recogniser that hears the given texts, one an utterance, each `delayMs` after the caller fell silent. */
export const recogniser = (texts: ReadonlyArray<string>, delayMs = 120) =>
  Layer.sync(SpeechToText, () => {
    let utterance = 0
    return {
      descriptor: { provider_id: "scripted/stt", modality: "stt" as const },
      recognise: (input) => {
        const text = texts[utterance++] ?? ""
        return input.pipe(
          Stream.filter((item) => item._tag === "Pause"),
          Stream.mapEffect(({ pauseId }) =>
            Effect.as(
              Effect.sleep(delayMs),
              { _tag: "Final", text, pauseId, complete: true } satisfies RecognitionResult
            )
          )
        )
      }
    }
  })

/** A model that gives the given replies, one a turn, word by word. */
export const model = (replies: ReadonlyArray<string>, firstWordMs = 80, perWordMs = 10) =>
  Layer.sync(LanguageModel, () => {
    let turn = 0
    return {
      descriptor: { provider_id: "scripted/llm", modality: "llm" as const },
      reply: () => {
        const words = (replies[turn++] ?? "I have nothing to say.").match(/\S+\s*/gu) ?? []
        return Stream.fromIterable(words).pipe(
          Stream.mapEffect((word, index) => Effect.as(Effect.sleep(index === 0 ? firstWordMs : perWordMs), word))
        )
      }
    }
  })

/** A voice that hums: 60 ms a character, in chunks of 100 ms, the first after `firstChunkMs`. */
export const voice = (firstChunkMs = 50) =>
  Layer.succeed(TextToSpeech, {
    descriptor: { provider_id: "scripted/tts", modality: "tts" },
    synthesise: (text) => {
      const chunks = Math.max(1, Math.round((text.length * 60) / 100))
      return Stream.range(1, chunks).pipe(
        Stream.mapEffect((chunk) =>
          Effect.as(Effect.sleep(chunk === 1 ? firstChunkMs : 5), new Int16Array(100 * samplesPerMs).fill(3000))
        )
      )
    }
  })

/** Sentences end at a full stop, a question mark or an exclamation mark. */
export const segmenter = Layer.succeed(SentenceSegmenter, {
  start: () => {
    let rest = ""
    return {
      push: (delta) => {
        rest += delta
        const sentences = rest.match(/[^.!?]*[.!?]\s*/gu) ?? []
        rest = rest.slice(sentences.join("").length)
        return sentences.map((sentence) => sentence.trim())
      },
      flush: () => (rest.trim() === "" ? undefined : rest.trim())
    }
  }
})

/** Names of the scripted providers, for a pipeline. */
export const bindings = { stt: "scripted/stt", llm: "scripted/llm", tts: "scripted/tts" } as const
