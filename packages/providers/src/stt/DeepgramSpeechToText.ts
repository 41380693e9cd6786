import { sampleRateHz } from "@rspp/runtime/ports/AudioFrame"
import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import { SpeechToText } from "@rspp/runtime/ports/SpeechToText"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { WebSocketConstructor } from "effect/socket/Socket"
import { adapterOf } from "../Adapter.ts"
import type { Failures } from "../hosted/Failures.ts"
import { failuresOf } from "../hosted/Failures.ts"
import { asWebSocket, byDefault, hostedSettings, number, text } from "../hosted/Settings.ts"
import type { VendorClosed } from "../hosted/VendorSocket.ts"
import { openVendorSocket } from "../hosted/VendorSocket.ts"
import { DeepgramTranscript } from "./DeepgramTranscript.ts"
import { makeSpareSockets } from "./SpareSockets.ts"
import { recogniseStreaming } from "./StreamingRecognition.ts"

/**
 * - `model`, `language`: as in Deepgram's list of models; by default `nova-3` and `en`.
 * - `spare_connections`: connections that are open before they are needed, 0 to 8; by default 1. They cost nothing.
 * - `finalise_ms`: how long a pause may take to be finished before the connection is ended for it; by default 1000 ms.
 */
const Settings = Schema.Struct({
  ...hostedSettings({ base_url: "https://api.deepgram.com" }),
  model: byDefault(text, "nova-3"),
  language: byDefault(text, "en"),
  spare_connections: byDefault(number(0, 8), 1),
  finalise_ms: byDefault(number(1, 60_000), 1_000)
})

type Settings = typeof Settings.Type

const urlOf = ({ base_url, language, model }: Settings): string => {
  const query = new URLSearchParams({
    model,
    language,
    encoding: "linear16",
    sample_rate: String(sampleRateHz),
    channels: "1",
    interim_results: "true",
    punctuate: "true",
    // When a turn ends is for the session to say.
    endpointing: "false"
  })
  return `${asWebSocket(base_url)}/v1/listen?${query.toString()}`
}

/** What a close means: https://developers.deepgram.com/docs/stt-troubleshooting-websocket-data-and-net-errors */
const closedBy = (failures: Failures) => ({ code, reason }: VendorClosed): ProviderFailure => {
  const said = reason === "" ? "" : `: ${reason}`
  switch (code) {
    case 1000:
    case 1005:
      return failures.truncated
    case 1002:
    case 1003:
    case 1007:
    case 1008:
      return failures.of("infrastructure_failure", false, `Deepgram did not take the audio (${code})${said}`)
    case 1013:
      return failures.of("overload", true, `Deepgram has no room (${code})${said}`)
    default:
      return failures.of("infrastructure_failure", true, `Deepgram ended the connection (${code})${said}`)
  }
}

/**
 * Deepgram's live transcription as {@link SpeechToText}: one WebSocket per utterance.
 *
 * `Pause` asks for `Finalize`, the end for `CloseStream`. Deepgram's own endpointing is off. The key goes into a header
 * and appears in no message and no error. It does not retry by itself: the session does.
 */
export const adapter = adapterOf({
  adapter: "deepgram/streaming",
  modality: "stt",
  summary: "Deepgram live transcription (Nova), streaming over a WebSocket",
  documentation: [
    "https://developers.deepgram.com/reference/speech-to-text/listen-streaming",
    "https://developers.deepgram.com/docs/finalize",
    "https://developers.deepgram.com/docs/close-stream",
    "https://developers.deepgram.com/docs/audio-keep-alive",
    "https://developers.deepgram.com/docs/stt-troubleshooting-websocket-data-and-net-errors"
  ],
  capabilities: {
    streaming: true,
    partials: true,
    timestamps: false,
    cancel: "connection",
    sample_rates: [sampleRateHz],
    languages: ["*"],
    cost: "per audio second"
  },
  settings: Settings,
  environment: {
    api_key: "DEEPGRAM_API_KEY",
    base_url: "DEEPGRAM_BASE_URL",
    model: "DEEPGRAM_MODEL",
    language: "DEEPGRAM_LANGUAGE"
  },
  required: ["api_key"],
  make: (provider_id, settings) =>
    Effect.gen(function*() {
      const construct = yield* WebSocketConstructor
      const failures = failuresOf(provider_id, "Deepgram")
      const sockets = yield* makeSpareSockets({
        spares: settings.spare_connections,
        keepAlive: `{"type":"KeepAlive"}`,
        open: openVendorSocket({
          url: urlOf(settings),
          headers: { Authorization: `Token ${Redacted.value(settings.api_key)}` },
          connectMs: settings.connect_ms,
          failures
        }).pipe(Effect.provideService(WebSocketConstructor, construct))
      })
      return SpeechToText.of({
        descriptor: { provider_id, modality: "stt", firstResultCapMs: settings.first_result_ms },
        recognise: recogniseStreaming({
          sockets,
          failures,
          transcript: () => new DeepgramTranscript(failures),
          finalise: `{"type":"Finalize"}`,
          end: `{"type":"CloseStream"}`,
          endsCancelled: false,
          packetSamples: 0,
          closed: closedBy(failures),
          finaliseMs: settings.finalise_ms,
          stallMs: settings.stall_ms
        })
      })
    })
})
