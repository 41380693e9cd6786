import { Effect, Layer } from "effect"
import { layerOf } from "@rspp/providers/hosted/Instance"
import { adapter as cartesia } from "@rspp/providers/tts/CartesiaTextToSpeech"
import { adapter as elevenLabsHttp } from "@rspp/providers/tts/ElevenLabsHttp"
import { adapter as elevenLabsWebSocket } from "@rspp/providers/tts/ElevenLabsWebSocket"
import { adapter as openAi } from "@rspp/providers/tts/OpenAiSpeech"
import { textToSpeechConformance } from "../conformance/TextToSpeech.ts"
import { cartesiaServer } from "../servers/CartesiaServer.ts"
import { elevenLabsServer } from "../servers/ElevenLabsServer.ts"
import { openAiSpeechServer } from "../servers/OpenAiSpeechServer.ts"

const sentence = "The train to the harbour leaves at ten past four from platform nine."

textToSpeechConformance({
  name: "ElevenLabs over its socket",
  layer: Layer.unwrap(
    Effect.map(
      elevenLabsServer(),
      ({ baseUrl, key }) => layerOf(elevenLabsWebSocket, "test/elevenlabs", { base_url: baseUrl, api_key: key })
    )
  ),
  sentence
})

textToSpeechConformance({
  name: "ElevenLabs over HTTP",
  layer: Layer.unwrap(
    Effect.map(
      elevenLabsServer(),
      ({ baseUrl, key }) => layerOf(elevenLabsHttp, "test/elevenlabs", { base_url: baseUrl, api_key: key })
    )
  ),
  sentence
})

textToSpeechConformance({
  name: "Cartesia",
  layer: Layer.unwrap(
    Effect.map(
      cartesiaServer(),
      ({ baseUrl, key }) => layerOf(cartesia, "test/cartesia", { base_url: baseUrl, api_key: key })
    )
  ),
  sentence
})

textToSpeechConformance({
  name: "an OpenAI-compatible speech server",
  layer: Layer.unwrap(
    Effect.map(
      openAiSpeechServer(),
      ({ baseUrl, key }) => layerOf(openAi, "test/openai", { base_url: baseUrl, api_key: key })
    )
  ),
  sentence
})
