import Anthropic from "@anthropic-ai/sdk"
import { anthropicServer } from "./AnthropicServer.ts"
import { officialClientSuite } from "./officialClient.ts"
import type { ProtocolServer } from "./ProtocolServer.ts"

const client = ({ baseUrl }: ProtocolServer, apiKey: string) =>
  new Anthropic({ baseURL: baseUrl, apiKey, maxRetries: 0, logLevel: "off" })

const body = {
  model: "claude-haiku-4-5",
  max_tokens: 1_000,
  system: "Be brief.",
  messages: [{ role: "user" as const, content: "Grüße, 世界 🎉" }]
}

officialClientSuite({
  name: "the Anthropic protocol server",
  server: anthropicServer(),
  ask: async function*(server, key, signal) {
    for await (const event of await client(server, key).messages.create({ ...body, stream: true }, { signal })) {
      if (event.type === "content_block_delta" && event.delta.type === "text_delta") yield event.delta.text
    }
  },
  usage: async (server) => {
    // The client's helper, which wants every event in its order.
    const { usage } = await client(server, server.key).messages.stream(body).finalMessage()
    return [usage.input_tokens, usage.output_tokens]
  },
  isUnauthorised: (error) => error instanceof Anthropic.AuthenticationError && error.type === "authentication_error",
  isRateLimit: (error) => error instanceof Anthropic.RateLimitError && error.headers?.get("retry-after") === "1"
})
