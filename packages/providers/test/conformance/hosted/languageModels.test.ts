import { adapter as openAi } from "@rspp/providers/llm/OpenAiCompatibleLanguageModel"
import { openAiServer } from "../../servers/OpenAiServer.ts"
import { hostedEntry } from "./HostedEntry.ts"
import { hostedConformance } from "./HostedTable.ts"

const repeating = (answer: () => string) => ({
  engine: async function*() {
    // Cut in the middle of words, as tokens are.
    for (const piece of answer().match(/[\s\S]{1,5}/gu) ?? []) yield piece
  }
})

hostedConformance("llm", [
  hostedEntry({
    adapter: openAi,
    server: (answer) => openAiServer(repeating(answer)),
    settings: { model: "test-model" },
    wordsAtServer: (request) => JSON.stringify(request)
  })
])
