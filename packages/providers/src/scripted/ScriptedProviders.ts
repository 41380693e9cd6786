// Providers that follow a script, for suites on virtual time and for loads: a recogniser, a model and a voice that say what
// they are told to say, as long after they were asked as they are told to take, by the clock of whoever runs them. They need
// no network, no model files and no key. Each is a Layer of its port for a session; the service itself is for those who give
// one to many sessions.
import { samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import { LanguageModel } from "@rspp/runtime/ports/LanguageModel"
import { SentenceSegmenter } from "@rspp/runtime/ports/SentenceSegmenter"
import { SpeechToText } from "@rspp/runtime/ports/SpeechToText"
import type { RecognitionResult } from "@rspp/runtime/ports/SpeechToText"
import { TextToSpeech } from "@rspp/runtime/ports/TextToSpeech"
import { Effect, Layer, Stream } from "effect"

/** Names of the scripted providers, for a pipeline. */
export const bindings = { stt: "scripted/stt", llm: "scripted/llm", tts: "scripted/tts" } as const

/** Speech that a character of text becomes, ms; a chunk has 100 ms of it, and follows the one before after 5 ms. */
const characterMs = 60
const chunkMs = 100
const chunkEveryMs = 5

/** How long a script may take to its first result, ms; absent: what the profile gives a provider. */
interface Cap {
  readonly firstResultCapMs?: number
}

const capOf = ({ firstResultCapMs }: Cap): Cap => firstResultCapMs === undefined ? {} : { firstResultCapMs }

/** The texts, one after the other; then `otherwise`, or without one again from the first. */
const inTurn = (texts: ReadonlyArray<string>, otherwise?: string): () => string => {
  let next = 0
  return () => {
    const at = next++
    return (otherwise === undefined ? texts[at % texts.length] : texts[at] ?? otherwise) ?? ""
  }
}

const after = <A>(ms: number, value: A): Effect.Effect<A> =>
  ms > 0 ? Effect.as(Effect.sleep(ms), value) : Effect.succeed(value)

export interface RecogniserScript extends Cap {
  /** What is heard, one text an utterance. */
  readonly texts: ReadonlyArray<string>
  /** What is heard when there is none left; without it they begin again. */
  readonly otherwise?: string
  /** From the caller's silence to the text, ms. */
  readonly finalMs: number
}

export const recogniserService = (script: RecogniserScript): SpeechToText["Service"] => {
  const { finalMs, otherwise, texts } = script
  const next = inTurn(texts, otherwise)
  return {
    descriptor: { provider_id: bindings.stt, modality: "stt", ...capOf(script) },
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

export interface ModelScript extends Cap {
  /** What is answered, one reply a call, word by word. */
  readonly replies: ReadonlyArray<string>
  /** What is answered when there is none left; without it they begin again. */
  readonly otherwise?: string
  /** To the first word, and between two, ms. */
  readonly firstWordMs: number
  readonly perWordMs?: number
}

export const modelService = (script: ModelScript): LanguageModel["Service"] => {
  const { firstWordMs, otherwise, perWordMs = 10, replies } = script
  const next = inTurn(replies, otherwise)
  return {
    descriptor: { provider_id: bindings.llm, modality: "llm", ...capOf(script) },
    reply: () =>
      Stream.fromIterable(next().match(/\S+\s*/gu) ?? []).pipe(
        Stream.mapEffect((word, index) => after(index === 0 ? firstWordMs : perWordMs, word))
      )
  }
}

export interface VoiceScript extends Cap {
  /** To the first chunk, ms. */
  readonly firstChunkMs: number
}

/** A voice that hums for as long as a text takes to say. */
export const voiceService = ({ firstChunkMs, ...cap }: VoiceScript): TextToSpeech["Service"] => ({
  descriptor: { provider_id: bindings.tts, modality: "tts", ...capOf(cap) },
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

/** A recogniser that hears the given texts, one an utterance, each `finalMs` after the caller fell silent. */
export const recogniser = (texts: ReadonlyArray<string>, finalMs = 120) =>
  Layer.sync(SpeechToText, () => recogniserService({ texts, otherwise: "", finalMs }))

/** A model that gives the given replies, one a turn, word by word. */
export const model = (replies: ReadonlyArray<string>, firstWordMs = 80, perWordMs = 10) =>
  Layer.sync(
    LanguageModel,
    () => modelService({ replies, otherwise: "I have nothing to say.", firstWordMs, perWordMs })
  )

/** A voice that hums: 60 ms a character, in chunks of 100 ms, the first after `firstChunkMs`. */
export const voice = (firstChunkMs = 50) => Layer.sync(TextToSpeech, () => voiceService({ firstChunkMs }))

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
