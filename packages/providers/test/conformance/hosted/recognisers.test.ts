import { adapter as assemblyAi } from "@rspp/providers/stt/AssemblyAiSpeechToText"
import { adapter as deepgram } from "@rspp/providers/stt/DeepgramSpeechToText"
import { adapter as openAi } from "@rspp/providers/stt/OpenAiTranscriptions"
import { assemblyAiServer } from "../../servers/AssemblyAiServer.ts"
import { deepgramServer } from "../../servers/DeepgramServer.ts"
import { openAiTranscriptionsServer } from "../../servers/OpenAiTranscriptionsServer.ts"
import { hostedEntry } from "./HostedEntry.ts"
import { hostedConformance } from "./HostedTable.ts"

/** Hears the answer in whatever it is sent. */
const hearing = (answer: () => string) => ({ engine: () => Promise.resolve(answer()) })

hostedConformance("stt", [
  hostedEntry({ adapter: deepgram, server: (answer) => deepgramServer(hearing(answer)), settings: {} }),
  hostedEntry({ adapter: assemblyAi, server: (answer) => assemblyAiServer(hearing(answer)), settings: {} }),
  hostedEntry({ adapter: openAi, server: (answer) => openAiTranscriptionsServer(hearing(answer)), settings: {} })
])
