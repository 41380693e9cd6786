import { TextToSpeech } from "@rspp/runtime/ports/TextToSpeech"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { adapterOf } from "../Adapter.ts"
import { failuresOf } from "../hosted/Failures.ts"
import { withoutSlash } from "../hosted/Settings.ts"
import { Base64Pcm } from "./Base64Pcm.ts"
import { elevenLabsEnvironment, elevenLabsSettings, voiceSettings } from "./ElevenLabs.ts"
import { speechBody, speechLines } from "./SpeechResponse.ts"
import { SpokenWords } from "./SpokenText.ts"
import { numbersOf, objectOf, parseObject, textOf, textsOf } from "./VendorJson.ts"
import { voiceCall } from "./VoiceCall.ts"
import type { VoicePiece } from "./VoiceCall.ts"

const Settings = Schema.Struct(elevenLabsSettings)

/** The sound of a line, with the characters that are said in it: their times count from the start of all sound. */
const pieceOf = (line: string, pcm: Base64Pcm, words: SpokenWords): VoicePiece | undefined => {
  const message = parseObject(line.startsWith("data:") ? line.slice(5) : line)
  if (message === undefined) return undefined
  const samples = pcm.read(textOf(message["audio_base64"]) ?? "-")
  if (samples === undefined) return undefined
  const alignment = objectOf(message["alignment"])
  if (alignment !== undefined) {
    const ends = numbersOf(alignment["character_end_times_seconds"])
    textsOf(alignment["characters"]).forEach((character, index) => words.place(character, (ends[index] ?? 0) * 16_000))
  }
  return words.with(samples)
}

/**
 * ElevenLabs' voices over HTTP, as {@link TextToSpeech}: each segment is a request, whose answer streams.
 *
 * 16 kHz comes from ElevenLabs itself, with the times of the characters. Interrupting closes the connection. For models
 * that do not speak over ElevenLabs' socket, and where sockets cannot be had; otherwise `elevenlabs/websocket` is faster.
 */
export const adapter = adapterOf({
  adapter: "elevenlabs/http",
  modality: "tts",
  summary: "ElevenLabs voices over HTTP, streamed",
  documentation: [
    "https://elevenlabs.io/docs/api-reference/text-to-speech/stream-with-timestamps",
    "https://help.elevenlabs.io/hc/en-us/articles/19572237925521-API-Error-Code-400-or-401"
  ],
  capabilities: {
    streaming: true,
    partials: false,
    timestamps: true,
    cancel: "connection",
    sample_rates: [16_000],
    languages: ["*"],
    cost: "per character"
  },
  settings: Settings,
  environment: elevenLabsEnvironment,
  required: ["api_key"],
  make: (provider_id, settings) =>
    Effect.gen(function*() {
      const client = HttpClient.withScope(yield* HttpClient.HttpClient)
      const failures = failuresOf(provider_id, "ElevenLabs")
      const voice = encodeURIComponent(settings.voice)
      const url = `${withoutSlash(settings.base_url)}/v1/text-to-speech/${voice}/stream/with-timestamps`
      const voice_settings = voiceSettings(settings)
      const request = (text: string) =>
        HttpClientRequest.post(url).pipe(
          HttpClientRequest.setUrlParam("output_format", "pcm_16000"),
          HttpClientRequest.setHeader("xi-api-key", Redacted.value(settings.api_key)),
          HttpClientRequest.bodyJsonUnsafe({
            text,
            model_id: settings.model,
            ...(settings.language === undefined ? {} : { language_code: settings.language }),
            ...(voice_settings === undefined ? {} : { voice_settings })
          })
        )
      const speak = (said: string) =>
        Stream.suspend(() => {
          const pcm = new Base64Pcm()
          const words = new SpokenWords(said)
          const body = speechBody({
            client,
            request: request(said),
            failures,
            headMs: settings.first_result_ms,
            stallMs: settings.stall_ms,
            type: /json|event-stream/iu
          })
          return Stream.mapEffect(speechLines(body, failures), (line) => {
            const piece = pieceOf(line, pcm, words)
            return piece === undefined ? Effect.fail(failures.malformed) : Effect.succeed(piece)
          })
        })
      return TextToSpeech.of({
        descriptor: { provider_id, modality: "tts", firstResultCapMs: settings.first_result_ms },
        synthesise: (said) => voiceCall(said, failures, speak)
      })
    })
})
