import { sampleRateHz, samplesPerMs } from "@rspp/runtime/ports/AudioFrame"
import type { ProviderFailure } from "@rspp/runtime/ports/ProviderFailure"
import { SpeechToText } from "@rspp/runtime/ports/SpeechToText"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { WebSocketConstructor } from "effect/socket/Socket"
import { adapterOf } from "../Adapter.ts"
import { failuresOf } from "../hosted/Failures.ts"
import type { Failures } from "../hosted/Failures.ts"
import { asWebSocket, byDefault, hostedSettings, number, text } from "../hosted/Settings.ts"
import { openVendorSocket } from "../hosted/VendorSocket.ts"
import type { VendorSocket } from "../hosted/VendorSocket.ts"
import { AssemblyAiTranscript, failureOfCode } from "./AssemblyAiTranscript.ts"
import { makeSpareSockets } from "./SpareSockets.ts"
import { recogniseStreaming } from "./StreamingRecognition.ts"

/** Audio goes out in messages of this length, ms: the shortest that is taken (50 to 1000 ms). */
const packetMs = 50

/** Silence after which the vendor ends a turn by itself, ms: longer than the session waits, which says when a turn ends. */
const turnSilenceMs = 5_000

/**
 * - `model`: AssemblyAI's `speech_model`, by default `universal-streaming-english`; it also says the languages.
 * - `spare_connections`: connections that are open before they are needed, 0 to 8; by default 0, because AssemblyAI bills
 *   for as long as a connection is open.
 * - `finalise_ms`: how long a pause may take to be finished before the session is ended for it; by default 1000 ms.
 */
const Settings = Schema.Struct({
  ...hostedSettings({ base_url: "https://streaming.assemblyai.com" }),
  model: byDefault(text, "universal-streaming-english"),
  spare_connections: byDefault(number(0, 8), 0),
  finalise_ms: byDefault(number(1, 60_000), 1_000)
})

type Settings = typeof Settings.Type

const urlOf = ({ base_url, model }: Settings): string => {
  const query = new URLSearchParams({
    sample_rate: String(sampleRateHz),
    encoding: "pcm_s16le",
    speech_model: model,
    format_turns: "true",
    min_turn_silence: String(turnSilenceMs),
    max_turn_silence: String(turnSilenceMs),
    // The newer models go by punctuation instead.
    ...(model.startsWith("universal-streaming") ? { end_of_turn_confidence_threshold: "1" } : {})
  })
  return `${asWebSocket(base_url)}/v3/ws?${query.toString()}`
}

const decodeType = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Struct({ type: Schema.String })))

/** Waits for the vendor's `Begin`, which says that the key is accepted and audio may come. */
const begun = (socket: VendorSocket, failures: Failures): Effect.Effect<VendorSocket, ProviderFailure> =>
  socket.receive.pipe(
    Effect.catchTag("VendorClosed", ({ code, reason }) => Effect.fail(failureOfCode(failures, code, reason))),
    Effect.flatMap((frames) => {
      const transcript = new AssemblyAiTranscript(failures)
      for (const frame of frames) {
        const meaning = typeof frame === "string" ? transcript.take(frame) : failures.malformed
        if (typeof meaning !== "string") return Effect.fail(meaning)
        const type = decodeType(frame)
        if (type._tag === "Some" && type.value.type === "Begin") return Effect.succeed(true)
      }
      return Effect.succeed(false)
    }),
    Effect.repeat({ until: (has) => has }),
    Effect.as(socket)
  )

/**
 * AssemblyAI's streaming transcription (v3) as {@link SpeechToText}: one WebSocket per utterance.
 *
 * `Pause` asks with `ForceEndpoint`, the end with `Terminate`. AssemblyAI's own turns decide nothing: their texts add up.
 * The key goes into a header and appears in no message and no error. It does not retry by itself: the session does.
 */
export const adapter = adapterOf({
  adapter: "assemblyai/streaming",
  modality: "stt",
  summary: "AssemblyAI streaming transcription (v3), over a WebSocket",
  documentation: [
    "https://www.assemblyai.com/docs/streaming/message-sequence",
    "https://www.assemblyai.com/docs/api-reference/streaming-api/streaming-api",
    "https://www.assemblyai.com/docs/streaming/universal-streaming/turn-detection",
    "https://www.assemblyai.com/docs/streaming/common-session-errors-and-closures"
  ],
  capabilities: {
    streaming: true,
    partials: true,
    timestamps: false,
    cancel: "message",
    sample_rates: [sampleRateHz],
    languages: ["*"],
    cost: "per audio second"
  },
  settings: Settings,
  environment: { api_key: "ASSEMBLYAI_API_KEY", base_url: "ASSEMBLYAI_BASE_URL", model: "ASSEMBLYAI_MODEL" },
  required: ["api_key"],
  make: (provider_id, settings) =>
    Effect.gen(function*() {
      const construct = yield* WebSocketConstructor
      const failures = failuresOf(provider_id, "AssemblyAI")
      const open = openVendorSocket({
        url: urlOf(settings),
        headers: { Authorization: Redacted.value(settings.api_key) },
        connectMs: settings.connect_ms,
        failures
      }).pipe(
        Effect.flatMap((socket) => begun(socket, failures)),
        Effect.timeoutOrElse({
          duration: settings.connect_ms,
          orElse: () => Effect.fail(failures.connectLate(settings.connect_ms))
        }),
        Effect.provideService(WebSocketConstructor, construct)
      )
      const sockets = yield* makeSpareSockets({
        spares: settings.spare_connections,
        keepAlive: `{"type":"KeepAlive"}`,
        open
      })
      return SpeechToText.of({
        descriptor: { provider_id, modality: "stt", firstResultCapMs: settings.first_result_ms },
        recognise: recogniseStreaming({
          sockets,
          failures,
          transcript: () => new AssemblyAiTranscript(failures),
          finalise: `{"type":"ForceEndpoint"}`,
          end: `{"type":"Terminate"}`,
          endsCancelled: true,
          packetSamples: packetMs * samplesPerMs,
          closed: ({ code, reason }) => failureOfCode(failures, code, reason),
          finaliseMs: settings.finalise_ms,
          stallMs: settings.stall_ms
        })
      })
    })
})
