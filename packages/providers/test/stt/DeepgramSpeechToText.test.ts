import { Effect, Layer } from "effect"
import { makeInstance } from "@rspp/providers/hosted/Instance"
import { adapter } from "@rspp/providers/stt/DeepgramSpeechToText"
import { SpeechToText } from "@rspp/runtime/ports/SpeechToText"
import { speechToTextConformance } from "../conformance/SpeechToText.ts"
import { deepgramServer } from "../servers/DeepgramServer.ts"
import { readRecording } from "../support/Wav.ts"
import { streamingCases } from "./StreamingCases.ts"

/** As slow as a vendor that is near. */
const slowly = (text: string) => () => new Promise<string>((resolve) => setTimeout(() => resolve(text), 250))

speechToTextConformance({
  name: "Deepgram",
  layer: Layer.effect(
    SpeechToText,
    Effect.flatMap(
      deepgramServer({ engine: slowly("Go forward ten meters.") }),
      (server) => makeInstance(adapter, "deepgram/streaming", { base_url: server.baseUrl, api_key: server.key })
    )
  ),
  speech: readRecording("goforward.wav"),
  word: /forward/iu,
  partials: true
})

streamingCases({
  name: "Deepgram",
  server: deepgramServer,
  provider: (server, settings) =>
    makeInstance(adapter, "deepgram/streaming", { base_url: server.baseUrl, api_key: server.key, ...settings })
})
