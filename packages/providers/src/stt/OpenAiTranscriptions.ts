import { sampleRateHz, samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import { measured } from "@rspp/runtime/ports/MeasuredWork"
import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import { ProviderUsage } from "@rspp/runtime/ports/ProviderUsage"
import { SpeechToText } from "@rspp/runtime/ports/SpeechToText"
import type { RecognitionInput, RecognitionResult } from "@rspp/runtime/ports/SpeechToText"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { adapterOf } from "../Adapter.ts"
import { failuresOf } from "../hosted/Failures.ts"
import { creditFailure, openAiErrorIn } from "../hosted/OpenAiErrors.ts"
import { answerTo, beginningOf, refusalOf } from "../hosted/ServerEvents.ts"
import { byDefault, hostedSettings, text, withoutSlash } from "../hosted/Settings.ts"
import { isComplete } from "./TurnCue.ts"
import { UtteranceBuffer } from "./UtteranceBuffer.ts"
import { wavFile } from "./WavFile.ts"

/** Longest utterance, ms: what comes after a minute is not heard. The session ends a turn long before. */
const maxUtteranceMs = 60_000

/** Audio below this length holds no word, and some servers refuse it: 100 ms. */
const minSamples = 100 * samplesPerMs

/** Results that may wait for a reader that is behind. */
const maxWaitingResults = 16

/** Longest answer, in bytes: a minute of speech has about a thousand characters. */
const maxAnswerBytes = 1_000_000

/**
 * - `base_url`: the server's address up to `/v1`.
 * - `model`: by default `gpt-4o-mini-transcribe`; `whisper-1` and the names of other servers work, too.
 * - `language`: as ISO 639-1, for example `en`; left out, the model finds out.
 *
 * A server that wants no key is given any text as `api_key`.
 */
const Settings = Schema.Struct({
  ...hostedSettings({ base_url: "https://api.openai.com/v1" }),
  model: byDefault(text, "gpt-4o-mini-transcribe"),
  language: Schema.optionalKey(text)
})

/** As much of an answer as is used. */
const Answer = Schema.fromJsonString(Schema.Struct({
  text: Schema.String,
  usage: Schema.optionalKey(Schema.Struct({
    input_tokens: Schema.optionalKey(Schema.Finite),
    output_tokens: Schema.optionalKey(Schema.Finite)
  }))
}))

const decodeAnswer = Schema.decodeUnknownOption(Answer)

const isSilent = (samples: Int16Array): boolean => {
  for (let index = 0; index < samples.length; index++) if (samples[index] !== 0) return false
  return true
}

/** The text of some audio, which is read before anything is waited for. */
type Transcribe = (samples: Int16Array) => Effect.Effect<string, ProviderFailure>

type Results = Queue.Queue<RecognitionResult, ProviderFailure | Cause.Done>

/**
 * One utterance. Invariants:
 * 1. A final is emitted at most once per `Pause`, in the order of the pauses, and never after its `Resume`.
 * 2. Nothing is asked of the server before a `Pause` or the end, and nothing for audio in which there is no sound.
 */
const utterance = Effect.fnUntraced(function*(
  transcribe: Transcribe,
  input: Stream.Stream<RecognitionInput>,
  results: Results
) {
  const buffer = new UtteranceBuffer(maxUtteranceMs)
  let final: Fiber.Fiber<void> | undefined
  const fails = Effect.catch((failure: ProviderFailure) => Effect.asVoid(Queue.fail(results, failure)))
  const emitFinal = (pauseId: number, before: Fiber.Fiber<void> | undefined) =>
    Effect.suspend(() =>
      buffer.length < minSamples || isSilent(buffer.view) ? Effect.succeed("") : transcribe(buffer.view)
    ).pipe(
      Effect.tap(before === undefined ? Effect.void : Fiber.await(before)),
      Effect.flatMap((heard) =>
        Queue.offer(results, { _tag: "Final", text: heard, pauseId, complete: isComplete(heard) })
      ),
      Effect.asVoid,
      fails
    )
  const apply = Effect.fnUntraced(function*(next: Exclude<RecognitionInput, { readonly _tag: "Audio" }>) {
    if (next._tag === "Pause") {
      // Forked at once, so that the call has begun, as measured work, before the next input is looked at.
      final = yield* Effect.forkChild(emitFinal(next.pauseId, final), { startImmediately: true })
    } else if (next._tag === "Resume") {
      if (final !== undefined) yield* Fiber.interrupt(final)
      final = undefined
    }
  })
  yield* input.pipe(
    Stream.takeUntil((next) => next._tag === "End"),
    Stream.runForEach((next) => next._tag === "Audio" ? Effect.sync(() => buffer.append(next.samples)) : apply(next))
  )
  yield* final === undefined ? emitFinal(0, undefined) : Fiber.await(final)
  yield* Queue.end(results)
})

/**
 * Any server that speaks OpenAI's `POST /audio/transcriptions`, as {@link SpeechToText}: OpenAI, Groq, whisper.cpp,
 * faster-whisper, vLLM and others.
 *
 * It does not stream: each `Pause` uploads the utterance so far as a WAV file, and there are no partials. A `Resume`
 * cancels the upload. Silence costs no call. It does not retry by itself: the session does. Interrupting closes the
 * connection. The key appears in no message and no error.
 */
export const adapter = adapterOf({
  adapter: "openai/transcriptions",
  modality: "stt",
  summary: "Any OpenAI-compatible transcription server: OpenAI, Groq, whisper.cpp, faster-whisper, vLLM",
  documentation: [
    "https://platform.openai.com/docs/api-reference/audio/createTranscription",
    "https://platform.openai.com/docs/guides/error-codes"
  ],
  capabilities: {
    streaming: false,
    partials: false,
    timestamps: false,
    cancel: "connection",
    sample_rates: [sampleRateHz],
    languages: ["*"],
    cost: "per audio second"
  },
  settings: Settings,
  environment: {
    api_key: "OPENAI_API_KEY",
    base_url: "OPENAI_BASE_URL",
    model: "OPENAI_TRANSCRIBE_MODEL",
    language: "OPENAI_TRANSCRIBE_LANGUAGE"
  },
  required: ["api_key"],
  make: (provider_id, settings) =>
    Effect.gen(function*() {
      const client = HttpClient.withScope(yield* HttpClient.HttpClient)
      const failures = failuresOf(provider_id, "the transcription server")
      const { api_key, base_url, connect_ms: connectMs, first_result_ms: headMs, language, model, stall_ms: stallMs } =
        settings
      const request = (samples: Int16Array) => {
        const form = new FormData()
        form.set("file", new File([wavFile(samples)], "utterance.wav", { type: "audio/wav" }))
        form.set("model", model)
        form.set("response_format", "json")
        if (language !== undefined) form.set("language", language)
        return HttpClientRequest.post(`${withoutSlash(base_url)}/audio/transcriptions`).pipe(
          HttpClientRequest.acceptJson,
          HttpClientRequest.bearerToken(api_key),
          HttpClientRequest.bodyFormData(form)
        )
      }
      const transcribe: Transcribe = Effect.fnUntraced(function*(samples) {
        const usage = yield* ProviderUsage
        const upload = request(samples)
        const audio_ms = samples.length / samplesPerMs
        const response = yield* answerTo({ client, connectMs, failures, headMs, request: upload })
        const refusal = refusalOf(response, failures, /^application\/json/iu)
        if (refusal !== undefined) {
          const said = response.status < 400 ? undefined : openAiErrorIn(yield* beginningOf(response))
          return yield* creditFailure(said, failures) ?? refusal
        }
        // It was heard, whatever becomes of the answer.
        usage.report({ audio_ms })
        const parts: Array<Uint8Array> = []
        let size = 0
        yield* measured(Stream.runForEach(response.stream, (part) => {
          size += part.length
          parts.push(part)
          return size > maxAnswerBytes ? Effect.fail(failures.malformed) : Effect.void
        })).pipe(
          Effect.mapError((error) => error._tag === "ProviderFailure" ? error : failures.broken),
          Effect.timeoutOrElse({ duration: stallMs, orElse: () => Effect.fail(failures.stalled(stallMs)) })
        )
        const answer = Option.getOrUndefined(decodeAnswer(Buffer.concat(parts).toString()))
        if (answer === undefined) return yield* failures.malformed
        const { input_tokens, output_tokens } = answer.usage ?? {}
        if (input_tokens !== undefined) usage.report({ input_tokens })
        if (output_tokens !== undefined) usage.report({ output_tokens })
        return answer.text.trim()
      }, Effect.scoped)
      return SpeechToText.of({
        descriptor: { provider_id, modality: "stt", firstResultCapMs: settings.first_result_ms },
        recognise: (input) =>
          Stream.callback<RecognitionResult, ProviderFailure>(
            (results) => utterance(transcribe, input, results),
            { bufferSize: maxWaitingResults }
          )
      })
    })
})
