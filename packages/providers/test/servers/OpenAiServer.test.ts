import OpenAI from "openai"
import { collect, officialClientSuite } from "./officialClient.ts"
import { openAiServer } from "./OpenAiServer.ts"
import type { ProtocolServer } from "./ProtocolServer.ts"

const streamed = ({ baseUrl }: ProtocolServer, apiKey: string, signal?: AbortSignal) =>
  new OpenAI({ baseURL: baseUrl, apiKey, maxRetries: 0, logLevel: "off" }).chat.completions.create({
    model: "gpt-4.1-mini",
    stream: true,
    stream_options: { include_usage: true },
    messages: [{ role: "system", content: "Be brief." }, { role: "user", content: "Grüße, 世界 🎉" }]
  }, signal === undefined ? {} : { signal })

officialClientSuite({
  name: "the OpenAI protocol server",
  server: openAiServer(),
  ask: async function*(server, key, signal) {
    for await (const chunk of await streamed(server, key, signal)) yield chunk.choices[0]?.delta.content ?? ""
  },
  usage: async (server) => {
    const chunks = await collect(await streamed(server, server.key))
    const usage = chunks.at(-1)?.usage
    return [usage?.prompt_tokens, usage?.completion_tokens]
  },
  isUnauthorised: (error) => error instanceof OpenAI.AuthenticationError,
  isRateLimit: (error) => error instanceof OpenAI.RateLimitError && error.headers?.get("retry-after") === "1"
})
