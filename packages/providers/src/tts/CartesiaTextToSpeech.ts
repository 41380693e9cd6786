import { TextToSpeech } from "@rspp/runtime/ports/TextToSpeech"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { adapterOf } from "../Adapter.ts"
import type { Failures } from "../hosted/Failures.ts"
import { detailOf, failuresOf } from "../hosted/Failures.ts"
import { hedgeSetting } from "../hosted/Hedge.ts"
import { asWebSocket, byDefault, hostedSettings, number, text } from "../hosted/Settings.ts"
import { Base64Pcm } from "./Base64Pcm.ts"
import type { ContextMessage } from "./ContextSockets.ts"
import { makeContextSockets } from "./ContextSockets.ts"
import { SpokenWords } from "./SpokenText.ts"
import { numbersOf, objectOf, parseObject, textOf, textsOf } from "./VendorJson.ts"
import type { VendorJson } from "./VendorJson.ts"
import { voiceCall } from "./VoiceCall.ts"
import type { VoicePiece } from "./VoiceCall.ts"

/** The version of the interface that this is written for. */
const version = "2026-03-01"

/** Calls on one connection at a time; Cartesia takes dozens. */
const contexts = 24

/**
 * - `voice`: the id of a voice; by default the one of Cartesia's own examples.
 * - `speed`: how fast it speaks, 0.6 to 1.5 times the voice's own speed.
 * - `connections`: most connections at a time; one carries 24 calls.
 * - `idle_ms`: how long a connection without a call stays open.
 */
const Settings = Schema.Struct({
  ...hostedSettings({ base_url: "https://api.cartesia.ai" }),
  ...hedgeSetting,
  model: byDefault(text, "sonic-3.5"),
  voice: byDefault(text, "6ccbfb76-1fc6-48f7-b71d-91ac6298247b"),
  language: byDefault(text, "en"),
  speed: Schema.optionalKey(number(0.6, 1.5)),
  connections: byDefault(number(1, 100), 1),
  idle_ms: byDefault(number(100, 600_000), 30_000)
})

const failureOf = (message: VendorJson, failures: Failures) => {
  const status = message["status_code"]
  const { message: said, outcome_class, retryable } = failures.status(typeof status === "number" ? status : 500)
  const why = textOf(message["error_code"]) ?? textOf(message["title"])
  return failures.of(outcome_class, retryable, why === undefined ? said : `${said}: ${detailOf(why)}`)
}

const read = (said: string, failures: Failures): ContextMessage<VendorJson> | undefined => {
  const message = parseObject(said)
  if (message === undefined) return undefined
  const context = textOf(message["context_id"])
  switch (message["type"]) {
    case "chunk":
    case "timestamps":
      return { context, value: message }
    case "done":
      return { context, last: true }
    case "error":
      return { context, failure: failureOf(message, failures) }
    default:
      // Other messages, those that a later version adds among them, mean nothing: many calls share the connection.
      return typeof message["type"] === "string" ? { context } : undefined
  }
}

/**
 * Cartesia's voices over its WebSocket, as {@link TextToSpeech}: each segment is a context, many share a connection.
 *
 * 16 kHz comes from Cartesia itself, with the times of the words. Interrupting cancels the context and drops what still
 * comes for it; Cartesia may finish, and bill, what it has begun.
 */
export const adapter = adapterOf({
  adapter: "cartesia/websocket",
  modality: "tts",
  summary: "Cartesia Sonic voices over a shared WebSocket",
  documentation: [
    "https://docs.cartesia.ai/api-reference/tts/websocket",
    "https://docs.cartesia.ai/use-the-api/tts-websocket/contexts",
    "https://docs.cartesia.ai/use-the-api/api-errors"
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
  environment: { api_key: "CARTESIA_API_KEY", voice: "CARTESIA_VOICE_ID", model: "CARTESIA_MODEL" },
  required: ["api_key"],
  make: (provider_id, settings) =>
    Effect.gen(function*() {
      const failures = failuresOf(provider_id, "Cartesia")
      const sockets = yield* makeContextSockets<VendorJson>({
        failures,
        url: `${asWebSocket(settings.base_url)}/tts/websocket`,
        headers: { authorization: `Bearer ${Redacted.value(settings.api_key)}`, "cartesia-version": version },
        connectMs: settings.connect_ms,
        stallMs: settings.stall_ms,
        connections: settings.connections,
        contexts,
        idleMs: settings.idle_ms,
        read: (message) => read(message, failures),
        cancel: (context_id) => JSON.stringify({ context_id, cancel: true }),
        closed: () => failures.broken,
        countsUntilLast: false
      })
      const request = {
        model_id: settings.model,
        voice: { mode: "id", id: settings.voice },
        language: settings.language,
        output_format: { container: "raw", encoding: "pcm_s16le", sample_rate: 16_000 },
        add_timestamps: true,
        continue: false,
        ...(settings.speed === undefined ? {} : { generation_config: { speed: settings.speed } })
      }
      const speak = (transcript: string) =>
        Stream.suspend(() => {
          const pcm = new Base64Pcm()
          const words = new SpokenWords(transcript)
          const noSound = new Int16Array(0)
          return Stream.mapEffect(
            sockets.call((context_id) => [JSON.stringify({ ...request, transcript, context_id })]),
            (message): Effect.Effect<VoicePiece, typeof failures.malformed> => {
              if (message["type"] === "timestamps") {
                const times = objectOf(message["word_timestamps"])
                const ends = numbersOf(times?.["end"])
                textsOf(times?.["words"]).forEach((word, index) => words.place(word, (ends[index] ?? 0) * 16_000))
                return Effect.succeed({ samples: noSound })
              }
              const samples = pcm.read(textOf(message["data"]) ?? "-")
              return samples === undefined
                ? Effect.fail(failures.malformed)
                : Effect.succeed(words.with(samples))
            }
          )
        })
      return TextToSpeech.of({
        descriptor: { provider_id, modality: "tts", firstResultCapMs: settings.first_result_ms },
        synthesise: (said) => voiceCall(said, failures, speak, settings.hedge_after_ms)
      })
    })
})
