import { Effect, Layer } from "effect"
import { makeInstance } from "@rspp/providers/hosted/Instance"
import { adapter } from "@rspp/providers/stt/AssemblyAiSpeechToText"
import { SpeechToText } from "@rspp/runtime/ports/SpeechToText"
import { speechToTextConformance } from "../conformance/SpeechToText.ts"
import { assemblyAiServer } from "../servers/AssemblyAiServer.ts"
import { readRecording } from "../support/Wav.ts"
import { streamingCases } from "./StreamingCases.ts"

/** As slow as a vendor that is near. */
const slowly = (text: string) => () => new Promise<string>((resolve) => setTimeout(() => resolve(text), 250))

for (const model of ["universal-streaming-english", "universal-3-5-pro"]) {
  speechToTextConformance({
    name: `AssemblyAI, ${model}`,
    layer: Layer.effect(
      SpeechToText,
      Effect.flatMap(
        assemblyAiServer({ engine: slowly("Go forward ten meters.") }),
        (server) =>
          makeInstance(adapter, "assemblyai/streaming", { base_url: server.baseUrl, api_key: server.key, model })
      )
    ),
    speech: readRecording("goforward.wav"),
    word: /forward/iu,
    partials: true
  })
}

streamingCases({
  name: "AssemblyAI",
  server: assemblyAiServer,
  provider: (server, settings) =>
    makeInstance(adapter, "assemblyai/streaming", { base_url: server.baseUrl, api_key: server.key, ...settings })
})
