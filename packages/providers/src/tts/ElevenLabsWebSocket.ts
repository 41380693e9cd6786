import { TextToSpeech } from "@rspp/runtime/ports/TextToSpeech"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { adapterOf } from "../Adapter.ts"
import type { Failures } from "../hosted/Failures.ts"
import { failuresOf } from "../hosted/Failures.ts"
import { asWebSocket, byDefault, number } from "../hosted/Settings.ts"
import { Base64Pcm } from "./Base64Pcm.ts"
import type { ContextMessage } from "./ContextSockets.ts"
import { makeContextSockets } from "./ContextSockets.ts"
import { elevenLabsEnvironment, elevenLabsFailure, elevenLabsSettings, voiceSettings } from "./ElevenLabs.ts"
import { SpokenWords } from "./SpokenText.ts"
import { numbersOf, objectOf, parseObject, textOf, textsOf } from "./VendorJson.ts"
import type { VendorJson } from "./VendorJson.ts"
import { voiceCall } from "./VoiceCall.ts"
import type { VoicePiece } from "./VoiceCall.ts"

/** Calls on one connection at a time: what ElevenLabs allows, those that it has not ended yet included. */
const contexts = 5

/** After so long without text ElevenLabs gives a context up, s; more than a segment takes. */
const inactivitySeconds = 60

/**
 * Besides what both ways to ElevenLabs have:
 *
 * - `connections`: most connections at a time; one carries five calls.
 * - `idle_ms`: how long a connection without a call stays open.
 */
const Settings = Schema.Struct({
  ...elevenLabsSettings,
  connections: byDefault(number(1, 100), 1),
  idle_ms: byDefault(number(100, 600_000), 30_000)
})

const read = (said: string, failures: Failures): ContextMessage<VendorJson> | undefined => {
  const message = parseObject(said)
  if (message === undefined) return undefined
  // An error ends the connection: ElevenLabs closes it after that.
  const error = textOf(message["error"])
  if (error !== undefined) return { context: undefined, failure: elevenLabsFailure(error, failures) }
  const context = textOf(message["contextId"]) ?? textOf(message["context_id"])
  const value = typeof message["audio"] === "string" ? { value: message } : {}
  const isLast = message["isFinal"] === true || message["is_final"] === true
  return { context, ...value, ...(isLast ? { last: true } : {}) }
}

/** The sound of a message, with the characters that are said in it: their times count from its start. */
const pieceOf = (message: VendorJson, pcm: Base64Pcm, words: SpokenWords): VoicePiece | undefined => {
  const samples = pcm.read(textOf(message["audio"]) ?? "-")
  if (samples === undefined) return undefined
  const alignment = objectOf(message["alignment"])
  if (alignment !== undefined) {
    const starts = numbersOf(alignment["charStartTimesMs"])
    const durations = numbersOf(alignment["charDurationsMs"])
    textsOf(alignment["chars"]).forEach((character, index) =>
      words.place(character, words.samples + ((starts[index] ?? 0) + (durations[index] ?? 0)) * 16)
    )
  }
  return words.with(samples)
}

/**
 * ElevenLabs' voices over its WebSocket, as {@link TextToSpeech}: each segment is a context, five share a connection.
 *
 * 16 kHz comes from ElevenLabs itself, with the times of the characters. A context is closed with its text, so that its
 * end is told; interrupting closes it again, and drops what still comes for it. The models of `eleven_v3` do not speak
 * over this socket: use `elevenlabs/http` for them.
 */
export const adapter = adapterOf({
  adapter: "elevenlabs/websocket",
  modality: "tts",
  summary: "ElevenLabs voices over a shared WebSocket",
  documentation: [
    "https://elevenlabs.io/docs/api-reference/text-to-speech/v-1-text-to-speech-voice-id-multi-stream-input",
    "https://elevenlabs.io/docs/eleven-api/guides/how-to/websockets/multi-context-web-socket"
  ],
  capabilities: {
    streaming: true,
    partials: false,
    timestamps: true,
    cancel: "message",
    sample_rates: [16_000],
    languages: ["*"],
    cost: "per character"
  },
  settings: Settings,
  environment: elevenLabsEnvironment,
  required: ["api_key"],
  make: (provider_id, settings) =>
    Effect.gen(function*() {
      const failures = failuresOf(provider_id, "ElevenLabs")
      const query = new URLSearchParams({
        model_id: settings.model,
        output_format: "pcm_16000",
        auto_mode: "true",
        sync_alignment: "true",
        inactivity_timeout: String(inactivitySeconds),
        ...(settings.language === undefined ? {} : { language_code: settings.language })
      })
      const path = `/v1/text-to-speech/${encodeURIComponent(settings.voice)}/multi-stream-input?${query.toString()}`
      const sockets = yield* makeContextSockets<VendorJson>({
        failures,
        url: `${asWebSocket(settings.base_url)}${path}`,
        headers: { "xi-api-key": Redacted.value(settings.api_key) },
        connectMs: settings.connect_ms,
        stallMs: settings.stall_ms,
        connections: settings.connections,
        contexts,
        idleMs: settings.idle_ms,
        read: (message) => read(message, failures),
        cancel: (context_id) => JSON.stringify({ context_id, close_context: true }),
        closed: ({ code, reason }) =>
          code === 1008 && reason !== "" ? elevenLabsFailure(reason, failures) : failures.broken,
        countsUntilLast: true
      })
      const voice_settings = voiceSettings(settings)
      const speak = (said: string) =>
        Stream.suspend(() => {
          const pcm = new Base64Pcm()
          const words = new SpokenWords(said)
          const messages = (context_id: string) => [
            JSON.stringify({ text: " ", context_id, ...(voice_settings === undefined ? {} : { voice_settings }) }),
            JSON.stringify({ text: `${said} `, context_id, flush: true }),
            JSON.stringify({ context_id, close_context: true })
          ]
          return Stream.mapEffect(sockets.call(messages), (message) => {
            const piece = pieceOf(message, pcm, words)
            return piece === undefined ? Effect.fail(failures.malformed) : Effect.succeed(piece)
          })
        })
      return TextToSpeech.of({
        descriptor: { provider_id, modality: "tts", firstResultCapMs: settings.first_result_ms },
        synthesise: (said) => voiceCall(said, failures, speak, settings.hedge_after_ms)
      })
    })
})
