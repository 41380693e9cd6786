import { adapter as cartesia } from "@rspp/providers/tts/CartesiaTextToSpeech"
import { adapter as elevenLabsHttp } from "@rspp/providers/tts/ElevenLabsHttp"
import { adapter as elevenLabsWebSocket } from "@rspp/providers/tts/ElevenLabsWebSocket"
import { adapter as openAi } from "@rspp/providers/tts/OpenAiSpeech"
import { cartesiaServer } from "../../servers/CartesiaServer.ts"
import { elevenLabsServer } from "../../servers/ElevenLabsServer.ts"
import { openAiSpeechServer } from "../../servers/OpenAiSpeechServer.ts"
import { hostedEntry } from "./HostedEntry.ts"
import { hostedConformance } from "./HostedTable.ts"

/** The words of a call, as the server got them. */
const wordsOf = (request: unknown): string => JSON.stringify(request)

hostedConformance("tts", [
  hostedEntry({
    adapter: elevenLabsWebSocket,
    server: () => elevenLabsServer(),
    settings: {},
    wordsAtServer: wordsOf
  }),
  hostedEntry({ adapter: elevenLabsHttp, server: () => elevenLabsServer(), settings: {}, wordsAtServer: wordsOf }),
  hostedEntry({ adapter: cartesia, server: () => cartesiaServer(), settings: {}, wordsAtServer: wordsOf }),
  hostedEntry({ adapter: openAi, server: () => openAiSpeechServer(), settings: {}, wordsAtServer: wordsOf })
])
