import { TextToSpeech } from "@rspp/runtime/ports/TextToSpeech"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { adapterOf } from "../Adapter.ts"
import { failuresOf } from "../hosted/Failures.ts"
import { hedgeSetting } from "../hosted/Hedge.ts"
import { creditFailure, openAiErrorIn } from "../hosted/OpenAiErrors.ts"
import { PcmReader } from "../hosted/Pcm.ts"
import { byDefault, hostedSettings, number, text, withoutSlash } from "../hosted/Settings.ts"
import { resamplers } from "../internal/SpeechResampler.ts"
import { speechBody } from "./SpeechResponse.ts"
import { voiceCall } from "./VoiceCall.ts"
import type { VoicePiece } from "./VoiceCall.ts"

const shared = hostedSettings({ base_url: "https://api.openai.com/v1" })

/** What is wanted inside, Hz. */
const wantedRate = 16_000

/**
 * - `base_url` ends before `/audio/speech` (usually in `/v1`). Local servers often want no key.
 * - `instructions`: how to speak, in words, for models that take them.
 * - `speed`: 0.25 to 4 times the usual.
 * - `sample_rate`: what the server's `pcm` has, in Hz; OpenAI's has 24,000.
 */
const Settings = Schema.Struct({
  ...shared,
  ...hedgeSetting,
  api_key: Schema.optionalKey(shared.api_key),
  model: byDefault(text, "gpt-4o-mini-tts"),
  voice: byDefault(text, "alloy"),
  instructions: Schema.optionalKey(text),
  speed: Schema.optionalKey(number(0.25, 4)),
  sample_rate: byDefault(number(8_000, 48_000), 24_000)
})

/** Sound without a container; servers do not agree on its name. */
const rawSound = /^(?:audio\/(?:x-)?(?:pcm|l16|raw|s16le)|application\/octet-stream)/iu

/**
 * A voice behind any server that speaks OpenAI's `POST /audio/speech` with `response_format: "pcm"`, as
 * {@link TextToSpeech}: OpenAI, Kokoro, LocalAI, vLLM and others.
 *
 * Each segment is a request, whose answer streams and is resampled to 16 kHz as it comes. Interrupting closes the
 * connection. The protocol tells no times of words.
 */
export const adapter = adapterOf({
  adapter: "openai/speech",
  modality: "tts",
  summary: "Any OpenAI-compatible speech server: OpenAI, Kokoro, LocalAI, vLLM",
  documentation: [
    "https://platform.openai.com/docs/api-reference/audio/createSpeech",
    "https://platform.openai.com/docs/guides/text-to-speech"
  ],
  capabilities: {
    streaming: true,
    partials: false,
    timestamps: false,
    cancel: "connection",
    sample_rates: [24_000],
    languages: ["*"],
    cost: "per character"
  },
  settings: Settings,
  environment: {
    api_key: "OPENAI_API_KEY",
    base_url: "RSPP_TTS_BASE_URL",
    model: "RSPP_TTS_MODEL",
    voice: "RSPP_TTS_VOICE"
  },
  required: ["base_url"],
  make: (provider_id, settings) =>
    Effect.gen(function*() {
      const client = HttpClient.withScope(yield* HttpClient.HttpClient)
      const failures = failuresOf(provider_id, "the speech server")
      const url = `${withoutSlash(settings.base_url)}/audio/speech`
      const isWanted = settings.sample_rate === wantedRate
      const resampler = isWanted ? undefined : yield* resamplers(settings.sample_rate, wantedRate)
      const request = (input: string) =>
        HttpClientRequest.post(url).pipe(
          settings.api_key === undefined ? (same) => same : HttpClientRequest.bearerToken(settings.api_key),
          HttpClientRequest.bodyJsonUnsafe({
            model: settings.model,
            voice: settings.voice,
            input,
            response_format: "pcm",
            ...(settings.instructions === undefined ? {} : { instructions: settings.instructions }),
            ...(settings.speed === undefined ? {} : { speed: settings.speed })
          })
        )
      const speak = (said: string): Stream.Stream<VoicePiece, typeof failures.broken> =>
        Stream.unwrap(
          Effect.gen(function*() {
            const pcm = new PcmReader()
            const rate = resampler === undefined ? undefined : yield* resampler
            const sound = Stream.map(
              speechBody({
                client,
                request: request(said),
                failures,
                headMs: settings.first_result_ms,
                connectMs: settings.connect_ms,
                stallMs: settings.stall_ms,
                type: rawSound,
                refused: (body) => creditFailure(openAiErrorIn(body), failures)
              }),
              (bytes): VoicePiece => {
                const samples = pcm.read(bytes)
                return { samples: rate === undefined ? samples : rate.push(samples) }
              }
            )
            // Half a sample at the end is left out: some servers send one. A body that was cut has failed before.
            const end = Stream.suspend((): Stream.Stream<VoicePiece> =>
              rate === undefined ? Stream.empty : Stream.succeed({ samples: rate.end() })
            )
            return Stream.concat(sound, end)
          })
        )
      return TextToSpeech.of({
        descriptor: { provider_id, modality: "tts", firstResultCapMs: settings.first_result_ms },
        synthesise: (said) => voiceCall(said, failures, speak, settings.hedge_after_ms)
      })
    })
})
