import { adapter as anthropic } from "@rspp/providers/llm/AnthropicLanguageModel"
import { adapter as gemini } from "@rspp/providers/llm/GeminiLanguageModel"
import { adapter as openAi } from "@rspp/providers/llm/OpenAiCompatibleLanguageModel"
import { anthropicServer } from "../../servers/AnthropicServer.ts"
import type { Reply } from "../../servers/EventStreamServer.ts"
import { geminiServer } from "../../servers/GeminiServer.ts"
import { openAiServer } from "../../servers/OpenAiServer.ts"
import { hostedEntry } from "./HostedEntry.ts"
import { hostedConformance } from "./HostedTable.ts"

/** Says the answer, a word at a time. */
const saying = (answer: () => string): { readonly engine: Reply } => ({
  engine: async function*() {
    yield* answer().split(/(?<=\s)/u)
  }
})

const wordsAtServer = (request: unknown): string => JSON.stringify(request)

hostedConformance("llm", [
  hostedEntry({
    adapter: openAi,
    server: (answer) => openAiServer(saying(answer)),
    settings: { model: "gpt-4.1-mini" },
    wordsAtServer
  }),
  hostedEntry({ adapter: anthropic, server: (answer) => anthropicServer(saying(answer)), settings: {}, wordsAtServer }),
  hostedEntry({ adapter: gemini, server: (answer) => geminiServer(saying(answer)), settings: {}, wordsAtServer })
])
