import { adapter as anthropic } from "@rspp/providers/llm/AnthropicLanguageModel"
import { adapter as gemini } from "@rspp/providers/llm/GeminiLanguageModel"
import { adapter as openAi } from "@rspp/providers/llm/OpenAiCompatibleLanguageModel"
import { anthropicServer } from "../../servers/AnthropicServer.ts"
import { geminiServer } from "../../servers/GeminiServer.ts"
import { openAiServer } from "../../servers/OpenAiServer.ts"
import { hostedEntry } from "./HostedEntry.ts"
import { hostedConformance } from "./HostedTable.ts"

const repeating = (answer: () => string) => ({
  engine: async function*() {
    // Cut in the middle of words, as tokens are.
    for (const piece of answer().match(/[\s\S]{1,5}/gu) ?? []) yield piece
  }
})

const wordsAtServer = (request: unknown): string => JSON.stringify(request)

hostedConformance("llm", [
  hostedEntry({
    adapter: openAi,
    server: (answer) => openAiServer(repeating(answer)),
    settings: { model: "test-model" },
    wordsAtServer
  }),
  hostedEntry({
    adapter: anthropic,
    server: (answer) => anthropicServer(repeating(answer)),
    settings: {},
    wordsAtServer
  }),
  hostedEntry({ adapter: gemini, server: (answer) => geminiServer(repeating(answer)), settings: {}, wordsAtServer })
])
